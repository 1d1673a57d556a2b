//! The planner before states that no run would leave: it never panics, and whatever it plans keeps the laws.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use deploy_apps::model::{
    AppRecord, ContainerState, DockerHealth, Generation, InFlight, ObservedApp, ObservedContainer, ObservedEngine,
    ObservedImage, ObservedProxy, ObservedState, OwnLabels, Peer, ProxyName, ReleaseNumber, ResolvedImage, Role,
};
use deploy_apps::plan::{DeployOptions, Step, check_laws, plan_deploy};
use proptest::prelude::*;

use crate::fixture::*;

const APP: &str = "go-app";

fn state() -> impl Strategy<Value = ContainerState> {
    prop_oneof![
        4 => Just(ContainerState::Running),
        1 => Just(ContainerState::Created),
        1 => Just(ContainerState::Paused),
        1 => Just(ContainerState::Restarting),
        1 => Just(ContainerState::Dead),
        1 => (0..3i64).prop_map(|code| ContainerState::Exited { code, oom_killed: code == 2 }),
    ]
}

fn health() -> impl Strategy<Value = Option<DockerHealth>> {
    let known = prop_oneof![Just(DockerHealth::Starting), Just(DockerHealth::Healthy), Just(DockerHealth::Unhealthy)];
    prop::option::weighted(0.3, known)
}

/// A container of the app, or of something else, in whatever shape.
fn container() -> impl Strategy<Value = ObservedContainer> {
    let role = prop_oneof![6 => Just(Role::Replica), 1 => Just(Role::ReleaseCommand), 1 => Just(Role::Accessory)];
    let release = prop::option::weighted(0.9, 0..5u32);
    let replica = prop::option::weighted(0.9, 1..5u32);
    let address = prop::option::weighted(0.9, 0..64u8);
    let identity = prop::sample::select(vec!["", "old", "older"]);
    (role, release, replica, address, identity, state(), health(), any::<u16>()).prop_map(
        |(role, release, replica, address, identity, state, health, id)| {
            let labels = OwnLabels {
                role,
                proxy: ProxyName::default(),
                project: Some("sample".parse().expect("a valid name")),
                service: Some(name(APP)),
                release: release.map(ReleaseNumber),
                replica,
                version: release.map(|release| format!("1.0.0+{release}")),
                identity: identity.to_owned(),
            };
            ObservedContainer {
                id: format!("id{id}"),
                name: format!("sample-{APP}-{}-{}", release.unwrap_or_default(), id % 24),
                image_id: "sha256:0".to_owned(),
                labels,
                state,
                health,
                address: address.map(|last| Ipv4Addr::new(10, 242, 21, last)),
                hooks: deploy_apps::model::Hooks::default(),
                volumes: Vec::new(),
            }
        },
    )
}

fn peer() -> impl Strategy<Value = Peer> {
    (0..5u32, 0..24u16, 0..64u8, prop::option::of(Just(8080))).prop_map(|(release, id, last, port)| Peer {
        id: format!("sample-{APP}-{release}-{id}"),
        address: Ipv4Addr::new(10, 242, 21, last),
        port,
        release: ReleaseNumber(release),
        replica: u32::from(id),
        version: String::new(),
    })
}

fn record() -> impl Strategy<Value = Option<AppRecord>> {
    let record = (prop::collection::vec(peer(), 0..4), 0..5u32, prop::sample::select(vec![0, 9000]), any::<bool>());
    let record = record.prop_map(|(mut peers, release, hold_ms, routed)| {
        peers.sort_by(|one, other| one.id.cmp(&other.id));
        peers.dedup_by(|one, other| one.id == other.id);
        AppRecord {
            project: "sample".parse().expect("a valid name"),
            app: name(APP),
            release: ReleaseNumber(release),
            version: "1.0.0".to_owned(),
            routes: if routed { app(APP).routes } else { Vec::new() },
            balance: deploy_apps::model::Balance::default(),
            hold_ms,
            scale: None,
            metrics: None,
            peers,
        }
    });
    prop::option::weighted(0.8, record)
}

prop_compose! {
    fn observed()(
        containers in prop::collection::vec(container(), 0..8),
        record in record(),
        generation in 0..9u64,
        last_release in 0..6u32,
        open in prop::collection::btree_map(0..24u16, (0..3u64, 0..2u64), 0..5),
        tags in prop::collection::vec(0..7u32, 0..3),
        built in any::<bool>(),
    ) -> ObservedState {
        let containers: BTreeMap<String, ObservedContainer> =
            containers.into_iter().map(|container| (container.name.clone(), container)).collect();
        let in_flight = containers.keys().filter_map(|name| {
            let id: u16 = name.rsplit('-').next()?.parse().ok()?;
            let (requests, websockets) = *open.get(&id)?;
            Some((name.clone(), InFlight { requests, websockets }))
        });
        let known = ObservedApp { generation: Generation(generation), last_release: ReleaseNumber(last_release), served: Vec::new(), record };
        let image = ObservedImage {
            id: "sha256:0".to_owned(),
            tags: tags.iter().map(|tag| format!("deploy-apps/sample-{APP}:r{tag}")).collect(),
            source: Some("d".to_owned()),
        };
        let built = built.then(|| "sha256:0".to_owned());
        ObservedState {
            proxy: ObservedProxy {
                generation: Generation(generation),
                apps: [(format!("sample/{APP}").parse().expect("a valid key"), known)].into(),
                in_flight: in_flight.collect(),
                keeps_releases: true,
                lists_targets: true,
            },
            engine: ObservedEngine { containers: containers.into_values().collect(), images: vec![image], ..ObservedEngine::default() },
            images: [(name(APP), ResolvedImage::Source { digest: "d".to_owned(), built })].into(),
            releases: BTreeMap::new(),
        }
    }
}

prop_compose! {
    fn wanted()(
        count in 0..5u32,
        parallelism in 0..4u32,
        delay in 0..2u64,
        is_worker in prop::bool::weighted(0.2),
        stops_first in any::<bool>(),
        migrates in any::<bool>(),
    ) -> deploy_apps::model::App {
        let app = if is_worker { worker(APP) } else { app(APP) };
        let mut app = in_batches_of(parallelism, replicas(count, app));
        app.rollout.delay = Duration::from_secs(delay);
        let app = if stops_first { stop_first(app) } else { app };
        if migrates { with_release_command(app) } else { app }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 800, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_found_the_plan_keeps_the_laws(observed in observed(), app in wanted(), force in any::<bool>()) {
        let project = project([app]);
        let apps: Vec<_> = project.apps.keys().cloned().collect();
        let options = DeployOptions { force, ..DeployOptions::default() };
        let plan = plan_deploy(&project, &apps, &observed, &options).expect("a plan");
        prop_assert_eq!(check_laws(&plan, &project, &observed), Vec::new(), "{}", plan);

        let app = &plan.apps[0];
        let created: Vec<_> = app.steps().filter_map(|planned| match &planned.step {
            Step::CreateContainer(container) => Some(container),
            _ => None,
        }).collect();
        for container in &created {
            prop_assert!(observed.engine.container(&container.name).is_none(), "{} is taken\n{plan}", container.name);
        }
        let mut addresses: Vec<_> = created.iter().flat_map(|new| &new.spec.networks).filter_map(|network| network.address).collect();
        addresses.extend(observed.engine.containers.iter().filter_map(|container| container.address).collect::<std::collections::BTreeSet<_>>());
        let count = addresses.len();
        addresses.sort();
        addresses.dedup();
        prop_assert_eq!(addresses.len(), count, "an address is given twice\n{}", plan);
        // Everything of the app that shall not serve goes, and nothing that shall.
        let serving = app.flip.as_ref().and_then(|flip| match &flip.step {
            Step::Flip { changes } => changes[0].record.clone(),
            _ => None,
        }).or(observed.proxy.apps[&app.app].record.clone());
        for container in observed.engine.containers.iter().filter(|container| container.labels.role != Role::Accessory) {
            let removed = app.steps().any(|planned| matches!(&planned.step, Step::RemoveContainer { name } if *name == container.name));
            let serves = serving.as_ref().is_some_and(|record| record.serves(&container.name));
            prop_assert!(removed != serves, "`{}` removed: {removed}, serves: {serves}\n{plan}", container.name);
        }
    }
}
