//! Apps and projects that are taken away: their plans, and a fault, a crash and a cancel at every call.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use deploy_apps::event::{Event, Fact, Outcome};
use deploy_apps::model::{
    AppName, Condition, EndpointOptions, Mount, MountOptions, MountSource, NetworkAttachment, NetworkSettings,
    ObservedApp, Project, Role,
};
use deploy_apps::plan::{DownOptions, PlanRefused, Removal, RemoveOptions, orphans};
use deploy_apps::ports::{Engine, EngineErrorKind, Proxy, ProxyError};
use deploy_apps::rollout::{DeployError, RemovalScope, RemoveRequest, Removed, look_at_removal, remove};

use crate::fixture::*;
use crate::plans::compare;
use crate::session::{Desired, at, at_first, no_faults, run_of, succeed};
use crate::world::{Call, Client, Error, Fault, Faults, Port, World};

const ALL: RemoveOptions = RemoveOptions { volumes: true, images: true };

/// go-app has two replicas, a volume and a network, and needs redis; node-app is its neighbour.
fn shop() -> Project {
    let mut go_app = after("redis", Condition::Started, replicas(2, app("go-app")));
    go_app.service.container.mounts = vec![Mount {
        source: MountSource::Volume("sample_files".to_owned()),
        target: "/files".to_owned(),
        read_only: false,
        options: MountOptions::default(),
    }];
    go_app.service.container.networks = vec![NetworkAttachment {
        network: "sample_back".to_owned(),
        aliases: Vec::new(),
        address: None,
        options: EndpointOptions::default(),
    }];
    let mut project = with_accessories([service("redis")], project([go_app, app("node-app")]));
    project.volumes = vec!["sample_files".into()];
    project.networks.insert("sample_back".to_owned(), NetworkSettings::default());
    project
}

/// The file no longer has go-app, nor its volume.
fn without_go_app() -> Project {
    let mut project = shop();
    project.apps.shift_remove(&name("go-app"));
    project.volumes.clear();
    project
}

/// The shop is deployed, and requests are open whenever a replica leaves.
async fn deployed() -> Arc<World> {
    let world = World::new();
    succeed(&world, &Desired::of(shop())).await;
    world.load(&[Duration::from_millis(700), Duration::from_secs(2)], &[Duration::from_secs(3)]);
    world
}

struct Report {
    /// `None`: it was killed.
    result: Option<Result<Removed, DeployError>>,
    events: Vec<Event>,
    calls: Vec<Call>,
}

impl Report {
    fn outcomes(&self) -> Vec<Outcome> {
        match &self.result {
            Some(Ok(removed)) => removed.apps.iter().map(|result| result.outcome).chain(removed.rest).collect(),
            _ => Vec::new(),
        }
    }

    fn story(&self) -> String {
        let calls = self.calls.iter().map(|call| format!("  {call}\n")).collect::<String>();
        let facts = self.events.iter().map(|event| format!("  {:?} {:?}\n", event.elapsed, event.fact));
        format!("calls:\n{calls}events:\n{}result: {:?}", facts.collect::<String>(), self.result)
    }
}

/// Removes, and lets the world judge.
async fn take_away(world: &Arc<World>, project: &Project, goal: RemovalScope<'_>, faults: Faults) -> Report {
    let client = Client::new(world, faults);
    world.expect(&shop());
    world.expect_gone(match goal {
        RemovalScope::Apps { names, .. } => names.iter().map(|name| project.key(name)).collect(),
        RemovalScope::Project { .. } => shop().apps.keys().map(|name| project.key(name)).collect(),
    });
    let (run, events) = run_of(&client);
    let operator = operator(project);
    let request = RemoveRequest { project, goal, operator: &operator, lock_wait: Duration::ZERO };
    let result = tokio::select! {
        biased;
        () = client.crashed() => None,
        result = remove(&run, &request) => Some(result),
    };
    let events = std::mem::take(&mut *Mutex::lock(&events).unwrap_or_else(PoisonError::into_inner));
    Report { result, events, calls: client.calls() }
}

async fn look(world: &Arc<World>, project: &Project, goal: RemovalScope<'_>) -> Result<Removal, DeployError> {
    let (run, _) = run_of(&Client::new(world, no_faults()));
    let operator = operator(project);
    let request = RemoveRequest { project, goal, operator: &operator, lock_wait: Duration::ZERO };
    look_at_removal(&run, &request).await.map(|(_, _, removal)| removal)
}

fn go_app() -> [AppName; 1] {
    [name("go-app")]
}

#[tokio::test(start_paused = true)]
async fn an_app_leaves_the_proxy_then_drains_stops_and_goes() {
    let names = go_app();
    let goal = RemovalScope::Apps { names: &names, options: RemoveOptions::default() };
    let removal = look(&deployed().await, &shop(), goal).await.expect("a plan");
    compare("remove", &removal.to_string());
    assert_eq!(removal.summary(), ["app `go-app` r1 (1.0.0+1): 2 containers"]);
}

#[tokio::test(start_paused = true)]
async fn an_app_that_the_file_no_longer_has_goes_with_the_volumes_and_images_made_for_it() {
    let names = go_app();
    let removal = look(&deployed().await, &without_go_app(), RemovalScope::Apps { names: &names, options: ALL }).await;
    compare("remove-gone-from-the-file", &removal.expect("a plan").to_string());
}

#[tokio::test(start_paused = true)]
async fn a_volume_that_another_app_uses_and_an_external_one_stay() {
    let names = go_app();
    let goal = RemovalScope::Apps { names: &names, options: RemoveOptions { volumes: true, images: false } };
    let world = deployed().await;
    let goes = async |project: &Project| {
        let removal = look(&world, project, goal).await.expect("a plan");
        removal.summary().iter().any(|line| line.starts_with("volume"))
    };
    assert!(goes(&shop()).await);
    let mut shared = shop();
    shared.apps[&name("node-app")].service.container.mounts =
        shared.apps[&name("go-app")].service.container.mounts.clone();
    assert!(!goes(&shared).await, "node-app will want it with its next deploy");
    let mut external = shop();
    external.volumes.clear();
    external.external_volumes = vec!["sample_files".to_owned()];
    assert!(!goes(&external).await);
    let mut foreign = without_go_app();
    foreign.name = "other".parse().expect("a name");
    assert!(!goes(&foreign).await);
}

#[tokio::test(start_paused = true)]
async fn what_a_killed_removal_has_left_goes_with_the_next_one() {
    let world = deployed().await;
    let names = go_app();
    let goal = RemovalScope::Apps { names: &names, options: RemoveOptions::default() };
    let killed = take_away(&world, &shop(), goal, at_first("flip", Fault::CrashAfterEffect)).await;
    assert!(killed.result.is_none());
    compare("remove-after-a-kill", &look(&world, &shop(), goal).await.expect("a plan").to_string());
}

#[tokio::test(start_paused = true)]
async fn a_project_goes_down_apps_first_and_keeps_its_data() {
    let goal = RemovalScope::Project { options: DownOptions::default() };
    let world = deployed().await;
    let removal = look(&world, &shop(), goal).await.expect("a plan");
    compare("down", &removal.to_string());
    let report = take_away(&world, &shop(), goal, no_faults()).await;
    world.assert_lawful(&report.story());
    assert!(report.outcomes().iter().all(|outcome| *outcome == Outcome::Completed), "{}", report.story());
    assert!(is_down(&world), "{}", report.story());
    assert!(world.state().volumes.contains("sample_files"));
    assert!(look(&world, &shop(), goal).await.expect("a plan").is_empty());
    // Its numbers go on where they ended.
    succeed(&world, &Desired::of(shop())).await;
    assert!(world.picture().containers.contains_key("sample-go-app-r2-1"));
}

#[tokio::test(start_paused = true)]
async fn everything_goes_when_everything_is_asked_for() {
    let goal = RemovalScope::Project { options: DownOptions { remove: ALL, proxy: true } };
    let world = deployed().await;
    compare("down-with-everything", &look(&world, &shop(), goal).await.expect("a plan").to_string());
    let report = take_away(&world, &shop(), goal, no_faults()).await;
    world.assert_lawful(&report.story());
    let state = world.state();
    assert!(state.containers.is_empty() && state.volumes.is_empty() && state.networks.is_empty(), "{}", report.story());
    assert!(state.tags.keys().all(|tag| tag.starts_with("deploy-apps/proxy")), "{:?}", state.tags);
}

#[tokio::test(start_paused = true)]
async fn the_proxy_stays_while_another_project_is_served_by_it() {
    let world = deployed().await;
    let mut other = project([app("wiki")]);
    other.name = "other".parse().expect("a name");
    let goal = RemovalScope::Project { options: DownOptions { proxy: true, ..DownOptions::default() } };
    let refused = look(&world, &other, goal).await.expect_err("refused");
    let apps = "`sample/go-app`, `sample/node-app`, `sample/redis`".to_owned();
    assert_eq!(refused, DeployError::Refused(PlanRefused::ProxyServesOthers { proxy: "deploy-apps".to_owned(), apps }));
}

#[tokio::test(start_paused = true)]
async fn a_held_lease_refuses_a_removal_and_names_its_owner() {
    let world = deployed().await;
    world.hold("sample/go-app");
    let before = world.picture();
    let names = go_app();
    let goal = RemovalScope::Apps { names: &names, options: ALL };
    let report = take_away(&world, &shop(), goal, no_faults()).await;
    let held =
        matches!(&report.result, Some(Err(DeployError::Proxy(ProxyError::LeaseHeld { owner, .. }))) if owner == "ann");
    assert!(held, "{}", report.story());
    assert_eq!(world.picture(), before);
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_was_stopped_is_woken_to_forget_the_routes() {
    let world = deployed().await;
    world.kill("deploy-apps-proxy");
    let names = go_app();
    let goal = RemovalScope::Apps { names: &names, options: RemoveOptions::default() };
    let report = take_away(&world, &shop(), goal, no_faults()).await;
    world.assert_lawful(&report.story());
    assert_eq!(report.outcomes(), [Outcome::Completed], "{}", report.story());
    assert!(is_gone(&world, "sample/go-app"));
}

#[tokio::test(start_paused = true)]
async fn without_a_proxy_labels_say_what_goes() {
    let world = deployed().await;
    world.state().containers.retain(|name, _| !name.starts_with("deploy-apps-proxy"));
    let goal = RemovalScope::Project { options: DownOptions::default() };
    let report = take_away(&world, &shop(), goal, no_faults()).await;
    assert!(report.outcomes().iter().all(|outcome| *outcome == Outcome::Completed), "{}", report.story());
    assert!(world.state().containers.is_empty(), "{}", report.story());
}

/// Neither routed nor any container left.
fn is_gone(world: &World, key: &str) -> bool {
    let key = key.parse().expect("a key");
    let state = world.state();
    state.record(&key).is_none() && !state.containers.values().any(|container| container.key().as_ref() == Some(&key))
}

fn faults_of(call: &Call) -> Vec<Fault> {
    use Error::{Engine, GenerationMoved, Malformed, PersistFailed, Refused, Unreachable};
    let specific = match call.what {
        "flip" => vec![GenerationMoved, PersistFailed],
        _ => Vec::new(),
    };
    let general = if call.port == Port::Engine { Engine(EngineErrorKind::Other) } else { Refused };
    let lost = if call.port == Port::Proxy { vec![Unreachable, Malformed] } else { vec![Unreachable] };
    let before = specific.into_iter().chain([general, Unreachable]).map(Fault::Fail);
    before.chain(lost.into_iter().map(Fault::FailAfterEffect)).collect()
}

/// Runs with each fault at each call; then a run without any ends where an undisturbed one would have.
async fn survives(
    goal: RemovalScope<'_>,
    project: &Project,
    faults: impl Fn(&Call) -> Vec<Fault>,
    is_done: impl Fn(&World) -> bool,
) {
    let begin = deployed().await;
    let undisturbed = take_away(&begin.fork(), project, goal, no_faults()).await;
    let mut runs = 0;
    for call in &undisturbed.calls {
        for fault in faults(call) {
            let world = begin.fork();
            let before = world.picture();
            let report = take_away(&world, project, goal, at(call.index, fault)).await;
            let context = format!("{fault:?} at {call}\n{}", report.story());
            world.assert_lawful(&context);
            let outcomes = report.outcomes();
            if !outcomes.is_empty() && outcomes.iter().all(|outcome| *outcome == Outcome::Completed) {
                assert!(is_done(&world), "it says that all is done: {context}");
            }
            if outcomes == [Outcome::RolledBack] {
                assert_eq!(world.picture(), before, "it says that all is as before: {context}");
            }
            assert!(!outcomes.contains(&Outcome::Stuck), "stuck after a single fault: {context}");
            let next = take_away(&world, project, goal, no_faults()).await;
            let context = format!("{context}\nthen\n{}", next.story());
            world.assert_lawful(&context);
            assert!(is_done(&world), "{context}");
            if matches!(goal, RemovalScope::Apps { .. }) {
                let neighbour = "sample/node-app".parse().expect("a key");
                assert_eq!(world.picture().records.get(&neighbour), before.records.get(&neighbour), "{context}");
                assert!(world.picture().containers["sample-node-app-r1-1"], "{context}");
            }
            runs += 1;
        }
    }
    assert!(runs > 20, "only {runs} runs");
}

fn removed(world: &World) -> bool {
    let state = world.state();
    let data = state.volumes.contains("sample_files");
    let images = state.tags.keys().any(|tag| tag.starts_with("deploy-apps/sample-go-app:"));
    drop(state);
    is_gone(world, "sample/go-app") && !data && !images
}

fn is_down(world: &World) -> bool {
    let state = world.state();
    state.containers.values().all(|container| matches!(container.new.labels.role, Role::Proxy | Role::ProxyInstance))
        && state.apps.values().all(|app| app.record.is_none())
        && !state.networks.contains_key("sample_back")
}

#[tokio::test(start_paused = true)]
async fn a_removal_with_a_fault_anywhere_is_finished_by_the_next_one() {
    let names = go_app();
    survives(RemovalScope::Apps { names: &names, options: ALL }, &shop(), faults_of, removed).await;
}

#[tokio::test(start_paused = true)]
async fn a_removal_killed_or_cancelled_anywhere_is_finished_by_the_next_one() {
    let faults = |_: &Call| vec![Fault::Crash, Fault::CrashAfterEffect, Fault::Cancel];
    let names = go_app();
    // The volume's mark is what names it once no container does.
    survives(RemovalScope::Apps { names: &names, options: ALL }, &shop(), faults, removed).await;
}

#[tokio::test(start_paused = true)]
async fn a_down_with_a_fault_anywhere_is_finished_by_the_next_one() {
    survives(RemovalScope::Project { options: DownOptions::default() }, &shop(), faults_of, is_down).await;
}

#[tokio::test(start_paused = true)]
async fn a_down_killed_or_cancelled_anywhere_is_finished_by_the_next_one() {
    let faults = |_: &Call| vec![Fault::Crash, Fault::CrashAfterEffect, Fault::Cancel];
    survives(RemovalScope::Project { options: DownOptions::default() }, &shop(), faults, is_down).await;
}

/// The file no longer has redis, and nothing that needs it.
fn without_redis() -> Project {
    let mut project = shop();
    project.accessories.clear();
    project.apps[&name("go-app")].service.depends_on.clear();
    project
}

#[tokio::test(start_paused = true)]
async fn an_accessory_that_the_file_no_longer_has_is_named_and_removed_by_its_name() {
    let world = deployed().await;
    let found = async |project: &Project| {
        let (run, _) = run_of(&Client::new(&world, no_faults()));
        let engine = run.engine().observe(&project.proxy.name).await.expect("an engine");
        let proxy = run.proxy().state().await.expect("a proxy");
        orphans(project, &engine, &proxy)
            .iter()
            .map(|orphan| format!("{orphan}; {}", orphan.remedy()))
            .collect::<Vec<_>>()
    };
    assert_eq!(found(&shop()).await, [""; 0]);
    assert_eq!(
        found(&without_redis()).await,
        ["orphan: accessory `redis` is not in the compose file and `sample-redis-1` is still there; \
          `deploy-apps remove redis` removes it"]
    );
    let gone = found(&without_go_app()).await;
    assert_eq!(gone.len(), 1, "{gone:?}");
    assert!(gone[0].starts_with("orphan: app `go-app` is not in the compose file and 2 containers"), "{gone:?}");
    let mut dormant = without_redis();
    dormant.dormant.insert(name("redis"));
    assert_eq!(found(&dormant).await, [""; 0], "its profile is not chosen");

    let names = [name("redis")];
    let goal = RemovalScope::Apps { names: &names, options: RemoveOptions { volumes: false, images: true } };
    let removal = look(&world, &shop(), goal).await.expect("a plan");
    assert!(removal.is_empty(), "one of the file would come back with the next deploy: {removal}");
    let removal = look(&world, &without_redis(), goal).await.expect("a plan");
    compare("remove-accessory", &removal.to_string());
    let report = take_away(&world, &without_redis(), goal, no_faults()).await;
    assert_eq!(report.outcomes(), [Outcome::Completed], "{}", report.story());
    assert!(!world.state().containers.contains_key("sample-redis-1"), "{}", report.story());
    assert_eq!(found(&without_redis()).await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_deploy_of_everything_names_what_the_file_no_longer_has() {
    let world = deployed().await;
    let warned = async |desired: &Desired| {
        let report = succeed(&world, desired).await;
        report
            .facts()
            .any(|fact| matches!(fact, Fact::Warned { message } if message.starts_with("orphan: accessory `redis`")))
    };
    assert!(warned(&Desired::of(without_redis())).await);
    let one = Desired { apps: vec![name("node-app")], ..Desired::of(without_redis()) };
    assert!(!warned(&one).await, "a run that names its apps is not about the others");
}

#[tokio::test(start_paused = true)]
async fn down_with_images_takes_all_images_of_the_project_and_no_other() {
    let world = deployed().await;
    let before = world.state().tags.clone();
    {
        let mut state = world.state();
        // Of an app and an accessory that are long gone, and of a project whose name begins with this one's.
        for tag in ["deploy-apps/sample-old:r3", "deploy-apps/sample-cache:accessory", "deploy-apps/sample-x-web:r1"] {
            let image = before.values().next().expect("an image").clone();
            state.tags.insert(tag.to_owned(), image);
        }
        state.apps.insert("sample-x/web".parse().expect("a key"), ObservedApp::default());
    }
    let options = DownOptions { remove: ALL, proxy: false };
    take_away(&world, &without_redis(), RemovalScope::Project { options }, no_faults()).await;
    let left: Vec<String> = world.state().tags.keys().filter(|tag| tag.contains("/sample-")).cloned().collect();
    assert_eq!(left, ["deploy-apps/sample-x-web:r1"]);
}
