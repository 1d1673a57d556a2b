//! `restart`, `stop` and `start` under faults, kills and the cancellation.

use deploy_apps::event::Outcome;
use deploy_apps::model::{AccessoryChange, ReleaseNumber, Scale};
use deploy_apps::plan::{Intent, Verdict};
use deploy_apps::rollout::DeployError;

use crate::cancels::stop_anywhere;
use crate::crashes::carry_on;
use crate::failures::{faults_of, survive, undisturbed};
use crate::fixture::*;
use crate::scenes::{Scene, changed, deployed, scaled};
use crate::session::{Desired, at, finish, look, no_faults, run, succeed};
use crate::world::{Fault, World};

fn asking(project: deploy_apps::model::Project, intent: Intent) -> Desired {
    Desired::of(project).intending(intent)
}

async fn restarts() -> Vec<Scene> {
    let two = || project([replicas(2, app("go-app"))]);
    let batches = project([in_batches_of(1, replicas(3, app("go-app")))]);
    let writer = project([with_release_command(stop_first(app("go-app")))]);
    // What the file says by now is the next deploy's matter.
    let edited = project([replicas(3, crate::scenes::environment(app("go-app")))]);
    vec![
        changed("restarted", two(), two()).await.desiring(asking(two(), Intent::Restart)),
        changed("restarted in batches", batches.clone(), batches.clone())
            .await
            .desiring(asking(batches, Intent::Restart)),
        changed("restarted stop-first", writer.clone(), writer.clone()).await.desiring(asking(writer, Intent::Restart)),
        changed("restarted beside a changed file", replicas_of(3), edited.clone())
            .await
            .desiring(asking(edited, Intent::Restart)),
    ]
}

fn replicas_of(count: u32) -> deploy_apps::model::Project {
    project([replicas(count, app("go-app"))])
}

async fn stopped(name: &'static str, project: deploy_apps::model::Project) -> Scene {
    let world = deployed(&project).await;
    succeed(&world, &asking(project.clone(), Intent::Stop)).await;
    Scene::new(name, world, asking(project, Intent::Start))
}

async fn stops_and_starts() -> Vec<Scene> {
    let two = || replicas_of(2);
    let writer = project([stop_first(worker("go-app"))]);
    vec![
        changed("stopped", two(), two()).await.desiring(asking(two(), Intent::Stop)),
        changed("a worker stopped", writer.clone(), writer.clone())
            .await
            .desiring(asking(writer.clone(), Intent::Stop)),
        stopped("started", two()).await,
        stopped("a worker started", writer).await,
    ]
}

fn serving(world: &World) -> (ReleaseNumber, Vec<String>, Option<Scale>) {
    let state = world.state();
    let record = state.record(&"sample/go-app".parse().expect("a key")).expect("a record");
    (record.release, record.peers.iter().map(|peer| peer.id.clone()).collect(), record.scale)
}

#[tokio::test(start_paused = true)]
async fn any_failed_call_leaves_a_restart_undone_or_done() {
    survive(restarts().await, faults_of).await;
}

#[tokio::test(start_paused = true)]
async fn any_failed_call_leaves_a_stop_or_a_start_undone_or_done() {
    survive(stops_and_starts().await, faults_of).await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_or_a_start_killed_anywhere_is_finished_by_the_next_one() {
    carry_on(stops_and_starts().await).await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_killed_anywhere_is_finished_by_the_next_one() {
    let mut runs = 0;
    for scene in restarts().await {
        let (_, calls) = undisturbed(&scene).await;
        let count = serving(&scene.world).1.len();
        for call in &calls {
            for fault in [Fault::Crash, Fault::CrashAfterEffect] {
                let world = scene.fork();
                let killed = run(&world, &scene.desired, at(call.index, fault)).await;
                world.assert_lawful(&format!("{}: {fault:?} at {call}\n{}", scene.name, killed.story()));
                let next = finish(&world, &scene.desired).await;
                let context = format!("{}: {fault:?} at {call}\n{}", scene.name, next.story());
                world.assert_lawful(&context);
                let (release, peers, _) = serving(&world);
                assert_eq!((release, peers.len()), (ReleaseNumber(1), count), "{context}");
                let left = world.picture().containers.len();
                assert_eq!(left, scene.world.picture().containers.len(), "{context}");
                runs += 1;
            }
        }
    }
    assert!(runs > 40, "only {runs} runs");
}

#[tokio::test(start_paused = true)]
async fn a_restart_a_stop_and_a_start_can_be_cancelled_anywhere() {
    stop_anywhere(restarts().await).await;
    stop_anywhere(stops_and_starts().await).await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_is_new_containers_of_the_same_release_and_asks_for_no_source() {
    let scene = scaled("scaled", replicas_of(2), 3).await;
    let before = serving(&scene.world);
    let report = succeed(&scene.world, &asking(replicas_of(2), Intent::Restart)).await;
    let after = serving(&scene.world);
    assert_eq!((after.0, after.1.len(), after.2), (before.0, 3, before.2), "{}", report.story());
    assert!(after.1.iter().all(|name| !before.1.contains(name)), "{after:?}");
    let asked = ["source_digest", "build_image", "pull_image", "image_id"];
    assert!(report.calls.iter().all(|call| !asked.contains(&call.what)), "{}", report.story());
}

#[tokio::test(start_paused = true)]
async fn a_start_brings_back_as_many_as_were_scaled_to() {
    let scene = scaled("scaled", replicas_of(2), 4).await;
    let world = &scene.world;
    succeed(world, &asking(replicas_of(2), Intent::Stop)).await;
    let scale = Some(Scale { replicas: 4, file: Some(2) });
    assert_eq!(serving(world), (ReleaseNumber(1), Vec::new(), scale));
    let refused = run(world, &asking(replicas_of(2), Intent::Restart), no_faults()).await;
    let Some(Err(DeployError::Refused(refused))) = refused.result else { panic!("{}", refused.story()) };
    assert_eq!(refused.to_string(), "app `sample/go-app` is stopped");
    succeed(world, &asking(replicas_of(2), Intent::Start)).await;
    assert_eq!((serving(world).1.len(), serving(world).2), (4, scale));
    let again = succeed(world, &asking(replicas_of(2), Intent::Start)).await;
    assert_eq!(again.outcome(), Outcome::UpToDate, "{}", again.story());
}

#[tokio::test(start_paused = true)]
async fn what_is_scaled_to_zero_is_not_started() {
    let scene = scaled("asleep", replicas_of(2), 0).await;
    let refused = run(&scene.world, &asking(replicas_of(2), Intent::Start), no_faults()).await;
    let Some(Err(DeployError::Refused(refused))) = refused.result else { panic!("{}", refused.story()) };
    assert_eq!(refused.to_string(), "app `sample/go-app` is scaled to zero, which a start leaves as it is");
}

#[tokio::test(start_paused = true)]
async fn an_accessory_is_restarted_in_place() {
    let project = || with_accessories([service("redis")], project([app("go-app")]));
    let mut desired = Desired::of(project());
    desired.apps.push(name("redis"));
    let world = World::new();
    succeed(&world, &desired).await;
    let mut asked = asking(project(), Intent::Stop);
    asked.apps = vec![name("redis")];
    let changes = [
        (Intent::Restart, AccessoryChange::Restart, true),
        (Intent::Stop, AccessoryChange::Stop, false),
        (Intent::Stop, AccessoryChange::Leave, false),
        (Intent::Start, AccessoryChange::Start, true),
    ];
    for (intent, change, runs) in changes {
        asked.options.intent = intent;
        let plan = look(&world, &asked).await.1.expect("a plan");
        assert_eq!(plan.apps[0].verdict, Verdict::Accessory(change), "{plan}");
        let report = succeed(&world, &asked).await;
        assert_eq!(world.picture().containers.get("sample-redis-1"), Some(&runs), "{}", report.story());
    }
}
