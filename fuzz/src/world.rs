//! A project and a host in whatever state: also such that no run would leave.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::LazyLock;
use std::time::Duration;

use deploy_apps::compose::{LoadRequest, load};
use deploy_apps::model::{
    App, AppKey, AppName, AppRecord, ContainerState, DockerHealth, Features, Generation, Hooks, InFlight, Maintenance,
    ObservedApp, ObservedContainer, ObservedEngine, ObservedImage, ObservedProxy, ObservedState, Order, OwnLabels,
    Pause, Peer, Project, ProxyName, ReleaseNumber, ResolvedImage, Role, Scale, StoredRelease,
};

use super::choices::Choices;

/// Small numbers, so that what is made up meets what was made up before: names, releases and addresses collide.
const RELEASES: u32 = 6;
const REPLICAS: u32 = 5;
const ADDRESSES: u32 = 64;

const FILE: &str = "
name: sample
services:
  web:
    image: web:1
    depends_on: [db]
    x-deploy-apps: { port: 8080, release: [./migrate] }
  worker:
    image: worker:1
    x-deploy-apps: {}
  db:
    image: db:1
";

/// As the file above says it; what is made of it differs in how it is rolled.
static PROJECT: LazyLock<Project> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("compose.yaml"), FILE).expect("a file");
    let request = LoadRequest { folder: folder.path().to_owned(), ..LoadRequest::default() };
    load(&request).expect("a valid file").project
});

pub fn project(choices: &mut Choices<'_>) -> Project {
    let mut project = PROJECT.clone();
    for app in project.apps.values_mut() {
        app.replicas = choices.below(REPLICAS);
        app.replicas_stated = choices.seldom();
        app.rollout.parallelism = choices.below(4);
        app.rollout.delay = Duration::from_secs(choices.below(2).into());
        app.rollout.order = choices.of(&[Order::StartFirst, Order::StopFirst]);
        app.rollback = app.rollout.clone();
        app.release = app.release.take().filter(|_| choices.below(2) == 1);
    }
    project
}

pub fn observed(choices: &mut Choices<'_>, project: &Project) -> ObservedState {
    let mut containers: BTreeMap<String, ObservedContainer> = BTreeMap::new();
    for container in choices.several(9, |choices| container(choices, project)) {
        containers.insert(container.name.clone(), container);
    }
    let in_flight = containers.keys().filter(|_| choices.seldom()).cloned().collect::<Vec<_>>();
    let in_flight = in_flight.into_iter().map(|name| {
        let (requests, websockets) = (choices.below(3).into(), choices.below(2).into());
        (name, InFlight { requests, websockets })
    });
    let in_flight = in_flight.collect();
    let mut apps = BTreeMap::new();
    let mut releases = BTreeMap::new();
    for app in project.apps.values() {
        let key = project.key(&app.service.name);
        apps.insert(key.clone(), known(choices, project, app));
        releases.insert(key, kept(choices, app));
    }
    let generation = Generation(choices.below(9).into());
    let (keeps_releases, is_new) = (!choices.seldom(), !choices.seldom());
    let known = |name: &&str| if *name == Features::RELEASES { keeps_releases } else { is_new };
    let features = ["releases", "scale", "targets", "certificates"].into_iter().filter(known).collect();
    let proxy = ObservedProxy { generation, apps, in_flight, features, certificates: BTreeMap::new() };
    let images = choices.several(3, |choices| image(choices, project));
    let engine = ObservedEngine { containers: containers.into_values().collect(), images, ..ObservedEngine::default() };
    let resolved = project.apps.keys().chain(project.accessories.keys());
    let resolved = resolved.map(|name| (name.clone(), ResolvedImage::Image { id: "sha256:0".to_owned() })).collect();
    ObservedState { proxy, engine, images: resolved, releases, ..ObservedState::default() }
}

/// Of an app, of its accessory, or of what the file no longer has.
fn service(choices: &mut Choices<'_>, project: &Project) -> AppName {
    let gone: AppName = "gone".parse().expect("a name");
    let apps: Vec<AppName> = project.apps.keys().cloned().collect();
    choices.of(&[apps[0].clone(), apps[0].clone(), apps[0].clone(), apps[1].clone(), gone])
}

/// A replica's name says its app, its release and its number, as the planner would have named it; or it does not.
fn name(project: &Project, app: &AppName, release: u32, replica: u32) -> String {
    format!("{}-{app}-r{release}-{replica}", project.name)
}

fn container(choices: &mut Choices<'_>, project: &Project) -> ObservedContainer {
    let app = service(choices, project);
    let (release, replica) = (choices.below(RELEASES), choices.below(REPLICAS));
    let role = choices.of(&[
        Role::Replica,
        Role::Replica,
        Role::Replica,
        Role::Replica,
        Role::ReleaseCommand,
        Role::Accessory,
    ]);
    let exited = |code| ContainerState::Exited { code, oom_killed: code == 2 };
    let running = ContainerState::Running;
    let labels = OwnLabels {
        role,
        proxy: ProxyName::default(),
        project: Some(project.name.clone()),
        service: Some(app.clone()),
        release: (!choices.seldom()).then_some(ReleaseNumber(release)),
        replica: (!choices.seldom()).then_some(replica),
        version: Some(format!("1.0.0+{release}")),
        identity: choices.of(&["old", "older", ""]).to_owned(),
        tuning: None,
    };
    ObservedContainer {
        id: format!("id{}", choices.byte()),
        // An accessory is named as compose names it.
        name: if role == Role::Accessory {
            format!("{}-{app}-{replica}", project.name)
        } else {
            name(project, &app, release, replica)
        },
        image_id: "sha256:0".to_owned(),
        labels,
        state: choices.of(&[
            running,
            running,
            running,
            ContainerState::Created,
            exited(0),
            exited(2),
            ContainerState::Paused,
            ContainerState::Restarting,
            ContainerState::Dead,
        ]),
        health: choices
            .maybe(|choices| choices.of(&[DockerHealth::Starting, DockerHealth::Healthy, DockerHealth::Unhealthy])),
        address: (!choices.seldom()).then(|| address(choices)),
        hooks: Hooks::default(),
        volumes: Vec::new(),
        published: None,
    }
}

fn address(choices: &mut Choices<'_>) -> Ipv4Addr {
    Ipv4Addr::new(10, 242, 21, choices.below(ADDRESSES) as u8)
}

fn known(choices: &mut Choices<'_>, project: &Project, app: &App) -> ObservedApp {
    let record = (!choices.seldom()).then(|| record(choices, project, app));
    ObservedApp {
        generation: Generation(choices.below(9).into()),
        last_release: ReleaseNumber(choices.below(RELEASES)),
        served: choices.several(4, |choices| ReleaseNumber(choices.below(RELEASES))),
        record,
    }
}

fn record(choices: &mut Choices<'_>, project: &Project, app: &App) -> AppRecord {
    let mut peers = choices.several(3, |choices| {
        let (release, replica) = (choices.below(RELEASES), choices.below(REPLICAS));
        Peer {
            id: name(project, &app.service.name, release, replica),
            address: address(choices),
            port: app.port,
            release: ReleaseNumber(release),
            replica,
            version: String::new(),
        }
    });
    peers.sort_by(|one, other| one.id.cmp(&other.id));
    peers.dedup_by(|one, other| one.id == other.id);
    let release = ReleaseNumber(choices.below(RELEASES));
    AppRecord {
        routes: if choices.seldom() { Vec::new() } else { app.routes.clone() },
        hold_ms: choices.maybe(|_| 9000).unwrap_or_default(),
        scale: choices.maybe(|choices| Scale { replicas: choices.below(REPLICAS), file: None }),
        maintenance: choices.maybe(|_| Maintenance {
            since_ms: 0,
            by: "ann on laptop".to_owned(),
            retry_after_s: 60,
            allow: Vec::new(),
            page: None,
        }),
        pause: choices.maybe(|_| Pause { until_ms: 1, for_ms: 1, by: "ann on laptop".to_owned() }),
        peers,
        ..AppRecord::new(project.key(&app.service.name), release, "1.0.0".to_owned())
    }
}

/// What the proxy keeps of the app's releases, highest first.
fn kept(choices: &mut Choices<'_>, app: &App) -> Vec<StoredRelease> {
    let mut numbers = choices.several(4, |choices| choices.below(RELEASES));
    numbers.sort_unstable_by(|one, other| other.cmp(one));
    numbers.dedup();
    let stored = |number| StoredRelease {
        number: ReleaseNumber(number),
        version: format!("1.0.0+{number}"),
        identity: "old".to_owned(),
        image: "sha256:0".to_owned(),
        port: app.port,
        health: app.health.clone(),
        container: app.service.container.clone(),
        release: app.release.clone(),
        mounted: BTreeMap::new(),
        policy: None,
        settings: None,
        at: number.into(),
        owner: "ann".to_owned(),
        host: "laptop".to_owned(),
    };
    numbers.into_iter().map(stored).collect()
}

fn image(choices: &mut Choices<'_>, project: &Project) -> ObservedImage {
    let app: AppKey = project.key(&service(choices, project));
    let tags = choices.several(3, |choices| choices.below(RELEASES));
    ObservedImage {
        id: format!("sha256:{}", choices.below(3)),
        tags: tags.iter().map(|tag| format!("deploy-apps/{}-{}:r{tag}", app.project, app.app)).collect(),
        source: choices.maybe(|_| "d".to_owned()),
    }
}
