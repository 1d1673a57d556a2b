//! One deploy of an app at a time, and nobody waits for the dead.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deploy_apps::event::{Fact, Outcome};
use deploy_apps::model::Condition;
use deploy_apps::ports::{EngineErrorKind, ProxyError};
use deploy_apps::rollout::DeployError;

use crate::fixture::*;
use crate::judge::stray;
use crate::session::{Desired, at_first, no_faults, run, succeed};
use crate::world::{Behaviour, Error, Fault, Faults, Port, World};

async fn edited(desired: &Desired) -> Arc<World> {
    let world = World::new();
    succeed(&world, desired).await;
    world.edit("go-app");
    world
}

#[tokio::test(start_paused = true)]
async fn a_held_lease_refuses_at_once_and_names_its_owner() {
    let desired = Desired::of(project([app("go-app")]));
    let world = edited(&desired).await;
    world.hold("sample/go-app");
    let before = world.picture();
    let report = run(&world, &desired, no_faults()).await;
    let refused =
        matches!(&report.result, Some(Err(DeployError::Proxy(ProxyError::LeaseHeld { owner, .. }))) if owner == "ann");
    assert!(refused, "{}", report.story());
    assert_eq!(world.picture(), before);
}

#[tokio::test(start_paused = true)]
async fn a_held_lease_is_waited_for_as_long_as_asked() {
    let mut desired = Desired::of(project([app("go-app")]));
    let world = edited(&desired).await;
    world.hold("sample/go-app");
    desired.lock_wait = Duration::from_secs(10);
    let started = tokio::time::Instant::now();
    let (report, ()) = tokio::join!(run(&world, &desired, no_faults()), async {
        tokio::time::sleep(Duration::from_secs(4)).await;
        world.state().leases.clear();
    });
    assert_eq!(report.outcome(), Outcome::Completed);
    assert!(started.elapsed() >= Duration::from_secs(4));
    assert_eq!(report.facts().filter(|fact| matches!(fact, Fact::LeaseAwaited { .. })).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn of_two_deploys_at_once_the_second_finds_nothing_left_to_do() {
    let mut desired = Desired::of(project([replicas(2, app("go-app"))]));
    let world = edited(&desired).await;
    desired.lock_wait = Duration::from_secs(60);
    let (first, second) = tokio::join!(run(&world, &desired, no_faults()), run(&world, &desired, no_faults()));
    world.assert_lawful(&first.story());
    let mut outcomes = [first.outcome(), second.outcome()];
    outcomes.sort();
    assert_eq!(outcomes, [Outcome::UpToDate, Outcome::Completed]);
    assert!(stray(&world).is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_lease_of_a_killed_deploy_is_free_at_once() {
    let desired = Desired::of(project([app("go-app")]));
    let world = edited(&desired).await;
    run(&world, &desired, at_first("flip", Fault::Crash)).await;
    assert_eq!(succeed(&world, &desired).await.outcome(), Outcome::Completed);
}

#[tokio::test(start_paused = true)]
async fn a_deploy_that_loses_its_lease_flips_nothing_and_leaves_nothing() {
    let desired = Desired::of(project([replicas(2, app("go-app"))]));
    let world = edited(&desired).await;
    let before = world.picture();
    let report = run(&world, &desired, at_first("create_container", Fault::LoseLease)).await;
    world.assert_lawful(&report.story());
    assert_eq!(report.outcome(), Outcome::RolledBack, "{}", report.story());
    assert_eq!(world.picture(), before);
}

#[tokio::test(start_paused = true)]
async fn two_first_deploys_at_once_share_one_proxy_and_one_accessory() {
    let whole = with_accessories(
        [service("redis")],
        project(["go-app", "node-app"].map(|name| after("redis", Condition::Started, app(name)))),
    );
    let [first, second] = [0, 1].map(|index| {
        let mut desired = Desired::of(whole.clone());
        desired.apps = vec![desired.apps[index].clone()];
        desired
    });
    let world = World::new();
    let (first, second) = tokio::join!(run(&world, &first, no_faults()), run(&world, &second, no_faults()));
    world.assert_lawful(&first.story());
    assert_eq!(
        (first.outcome(), second.outcome()),
        (Outcome::Completed, Outcome::Completed),
        "{}\n{}",
        first.story(),
        second.story()
    );
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_lost_while_the_gate_is_waited_for_ends_the_wait_and_undoes_all() {
    let desired = Desired::of(project([replicas(2, app("go-app"))]));
    let world = edited(&desired).await;
    world.script("-r2-", Behaviour::never_healthy());
    let before = world.picture();
    let started = tokio::time::Instant::now();
    let report = run(&world, &desired, at_first("probe", Fault::LoseLease)).await;
    world.assert_lawful(&report.story());
    assert_eq!(report.outcome(), Outcome::RolledBack, "{}", report.story());
    assert_eq!(world.picture(), before);
    // The gate's own limit is 5 s.
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}\n{}", started.elapsed(), report.story());
    let flips = report.facts().filter(|fact| matches!(fact, Fact::StepStarted { step, .. } if step.contains("flip")));
    assert_eq!(flips.count(), 0, "{}", report.story());
    assert!(report.story().contains("the lease on the apps is lost"), "{}", report.story());
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_lost_after_the_flip_leaves_the_rest_to_who_has_it() {
    let desired = Desired::of(project([replicas(2, app("go-app"))]));
    let world = edited(&desired).await;
    let report = run(&world, &desired, at_first("in_flight", Fault::LoseLease)).await;
    assert_eq!(report.outcome(), Outcome::CompletedWithLeftovers, "{}", report.story());
    world.state().leases.clear();
    assert_eq!(succeed(&world, &desired).await.outcome(), Outcome::UpToDate);
    assert!(stray(&world).is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_is_lost_before_the_flip_is_told_apart_and_the_next_run_finishes() {
    let desired = Desired::of(project([replicas(2, app("go-app"))]));
    let world = edited(&desired).await;
    let gone = AtomicBool::new(false);
    let faults: Faults = Arc::new(move |call| {
        if call.what == "start_container" {
            gone.store(true, Ordering::Relaxed);
        }
        (call.port == Port::Engine && gone.load(Ordering::Relaxed))
            .then_some(Fault::Fail(Error::Engine(EngineErrorKind::Unreachable)))
    });
    let report = run(&world, &desired, faults).await;
    assert_eq!(report.outcome(), Outcome::Disconnected, "{}", report.story());
    assert!(!report.left_behind().is_empty(), "what is left is named\n{}", report.story());
    assert_eq!(succeed(&world, &desired).await.outcome(), Outcome::Completed);
    assert!(stray(&world).is_empty());
}
