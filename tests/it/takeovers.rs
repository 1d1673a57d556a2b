//! A project that docker compose runs: its accessories stay, and the app's port goes to the proxy at the very end. With a
//! fault, a kill and a cancel at every call.

use std::sync::Arc;

use deploy_apps::event::Outcome;
use deploy_apps::model::{Condition, PortBinding, Project, Role};
use deploy_apps::ports::EngineErrorKind;
use tokio::time::Instant;

use crate::fixture::*;
use crate::session::{Desired, at, no_faults, run, succeed};
use crate::world::{Call, Error, Fault, World};

fn shop() -> Project {
    with_accessories([service("redis")], project([after("redis", Condition::Started, app("go-app"))]))
}

/// What `docker compose up` has made: redis, and go-app at the port that the proxy is to have.
async fn composed() -> Arc<World> {
    let made = World::new();
    succeed(&made, &Desired::of(shop())).await;
    let (mut redis, tags) = {
        let state = made.state();
        (state.containers["sample-redis-1"].clone(), state.tags.clone())
    };
    redis.new.labels.identity.clear();
    let mut old = redis.clone();
    old.new.name = "sample-go-app-1".to_owned();
    old.new.labels.service = Some(name("go-app"));
    old.new.spec.ports = vec![PortBinding {
        host_port: Some(8080),
        container_port: 3000,
        protocol: "tcp".to_owned(),
        ..PortBinding::default()
    }];
    let world = World::new();
    {
        let mut state = world.state();
        state.tags.extend(tags.into_iter().filter(|(tag, _)| !tag.starts_with("deploy-apps/sample-go-app")));
        for container in [redis, old] {
            state.containers.insert(container.new.name.clone(), container);
        }
    }
    world
}

/// Who answers at the port: compose's container, the proxy with a replica behind it, or nobody.
fn served_by(world: &World) -> Vec<&'static str> {
    let state = world.state();
    let now = Instant::now();
    let holds = |role: Role| {
        state.containers.values().any(|container| {
            let ports = container.new.spec.ports.iter();
            container.new.labels.role == role
                && container.runs(now)
                && ports.clone().any(|port| port.host_port == Some(8080))
        })
    };
    let routed = state.apps.values().any(|app| app.record.is_some());
    let both = [(holds(Role::Accessory), "compose"), (holds(Role::Proxy) && routed, "proxy")];
    both.into_iter().filter(|(holds, _)| *holds).map(|(_, who)| who).collect()
}

fn accessories(world: &World) -> Vec<String> {
    let state = world.state();
    let own = state.containers.values().filter(|container| container.new.labels.role == Role::Accessory);
    own.map(|container| container.new.name.clone()).collect()
}

#[tokio::test(start_paused = true)]
async fn the_port_goes_to_the_proxy_and_accessories_stay() {
    let world = composed().await;
    assert_eq!(served_by(&world), ["compose"]);
    let report = succeed(&world, &Desired::of(shop())).await;
    assert_eq!(report.outcome(), Outcome::Completed, "{}", report.story());
    assert_eq!(served_by(&world), ["proxy"], "{}", report.story());
    assert_eq!(accessories(&world), ["sample-redis-1"], "{}", report.story());
    assert!(report.calls.iter().all(|call| call.subject != "sample-redis-1" || call.what != "create_container"));
    assert!(report.story().contains("which docker compose made, serves port 8080 until"), "{}", report.story());
    // The old one stops when the new proxy is made, so that only its start is left to wait for.
    let position = |what: &str, subject: &str| {
        report.calls.iter().rposition(|call| call.what == what && call.subject == subject).expect("such a call")
    };
    let stopped = position("stop_container", "sample-go-app-1");
    assert!(stopped > position("create_container", "deploy-apps-proxy"), "{}", report.story());
    assert!(stopped < position("start_container", "deploy-apps-proxy"), "{}", report.story());
    let again = succeed(&world, &Desired::of(shop())).await;
    assert_eq!(again.outcome(), Outcome::UpToDate, "{}", again.story());
}

#[tokio::test(start_paused = true)]
async fn a_failed_first_deploy_leaves_compose_serving() {
    let world = composed().await;
    world.script("go-app", crate::world::Behaviour::exits_after(std::time::Duration::from_millis(50), 1));
    let report = run(&world, &Desired::of(shop()), no_faults()).await;
    assert_eq!(report.outcome(), Outcome::RolledBack, "{}", report.story());
    assert_eq!(served_by(&world), ["compose"], "{}", report.story());
}

#[tokio::test(start_paused = true)]
async fn a_single_writer_stops_before_the_new_one_starts_and_comes_back() {
    let single = || with_accessories([service("redis")], project([stop_first(app("go-app"))]));
    let world = composed().await;
    world.script("go-app-r1", crate::world::Behaviour::exits_after(std::time::Duration::from_millis(50), 1));
    let report = run(&world, &Desired::of(single()), no_faults()).await;
    assert_eq!(report.outcome(), Outcome::RolledBack, "{}", report.story());
    assert_eq!(served_by(&world), ["compose"], "{}", report.story());
}

#[tokio::test(start_paused = true)]
async fn a_worker_of_compose_goes_when_the_new_one_runs() {
    let world = composed().await;
    let report = succeed(&world, &Desired::of(project([worker("go-app")]))).await;
    assert_eq!(report.outcome(), Outcome::Completed, "{}", report.story());
    assert_eq!(accessories(&world), ["sample-redis-1"], "{}", report.story());
}

async fn survives(faults: impl Fn(&Call) -> Vec<Fault>, comes_back: bool) {
    let begin = composed().await;
    let desired = Desired::of(shop());
    let undisturbed = run(&begin.fork(), &desired, no_faults()).await;
    let mut runs = 0;
    for call in &undisturbed.calls {
        for fault in faults(call) {
            let world = begin.fork();
            let report = run(&world, &desired, at(call.index, fault)).await;
            let context = format!("{fault:?} at {call}\n{}", report.story());
            world.assert_lawful(&context);
            if comes_back {
                assert_eq!(served_by(&world).len(), 1, "{:?} {context}", served_by(&world));
            }
            let next = succeed(&world, &desired).await;
            let context = format!("{context}\nthen\n{}", next.story());
            assert_eq!(served_by(&world), ["proxy"], "{context}");
            assert_eq!(accessories(&world), ["sample-redis-1"], "{context}");
            runs += 1;
        }
    }
    assert!(runs > 20, "only {runs} runs");
}

#[tokio::test(start_paused = true)]
async fn a_takeover_that_fails_or_is_cancelled_anywhere_leaves_somebody_at_the_port() {
    let faults = |call: &Call| {
        let engine = call.port == crate::world::Port::Engine;
        let fails = engine.then_some(Fault::Fail(Error::Engine(EngineErrorKind::Other)));
        fails.into_iter().chain([Fault::Cancel]).collect()
    };
    survives(faults, true).await;
}

#[tokio::test(start_paused = true)]
async fn a_takeover_killed_anywhere_is_finished_by_the_next_one() {
    survives(|_| vec![Fault::Crash, Fault::CrashAfterEffect], false).await;
}
