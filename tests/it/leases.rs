//! One deploy of an app at a time, and nobody waits for the dead.

use std::sync::Arc;
use std::time::Duration;

use deploy_apps::event::{Fact, Outcome};
use deploy_apps::model::Condition;
use deploy_apps::ports::ProxyError;
use deploy_apps::rollout::DeployError;

use crate::fixture::*;
use crate::judge::stray;
use crate::session::{Wish, at_first, no_faults, run, succeed};
use crate::world::{Fault, World};

async fn edited(wish: &Wish) -> Arc<World> {
    let world = World::new();
    succeed(&world, wish).await;
    world.edit("go-app");
    world
}

#[tokio::test(start_paused = true)]
async fn a_held_lease_refuses_at_once_and_names_its_owner() {
    let wish = Wish::of(project([app("go-app")]));
    let world = edited(&wish).await;
    world.hold("sample/go-app");
    let before = world.picture();
    let report = run(&world, &wish, no_faults()).await;
    let refused =
        matches!(&report.result, Some(Err(DeployError::Proxy(ProxyError::LeaseHeld { owner, .. }))) if owner == "ann");
    assert!(refused, "{}", report.story());
    assert_eq!(world.picture(), before);
}

#[tokio::test(start_paused = true)]
async fn a_held_lease_is_waited_for_as_long_as_asked() {
    let mut wish = Wish::of(project([app("go-app")]));
    let world = edited(&wish).await;
    world.hold("sample/go-app");
    wish.lock_wait = Duration::from_secs(10);
    let started = tokio::time::Instant::now();
    let (report, ()) = tokio::join!(run(&world, &wish, no_faults()), async {
        tokio::time::sleep(Duration::from_secs(4)).await;
        world.state().leases.clear();
    });
    assert_eq!(report.outcome(), Outcome::Completed);
    assert!(started.elapsed() >= Duration::from_secs(4));
    assert_eq!(report.facts().filter(|fact| matches!(fact, Fact::LeaseAwaited { .. })).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn of_two_deploys_at_once_the_second_finds_nothing_left_to_do() {
    let mut wish = Wish::of(project([replicas(2, app("go-app"))]));
    let world = edited(&wish).await;
    wish.lock_wait = Duration::from_secs(60);
    let (first, second) = tokio::join!(run(&world, &wish, no_faults()), run(&world, &wish, no_faults()));
    world.assert_lawful(&first.story());
    let mut outcomes = [first.outcome(), second.outcome()];
    outcomes.sort();
    assert_eq!(outcomes, [Outcome::UpToDate, Outcome::Completed]);
    assert!(stray(&world).is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_lease_of_a_killed_deploy_is_free_at_once() {
    let wish = Wish::of(project([app("go-app")]));
    let world = edited(&wish).await;
    run(&world, &wish, at_first("flip", Fault::Crash)).await;
    assert_eq!(succeed(&world, &wish).await.outcome(), Outcome::Completed);
}

#[tokio::test(start_paused = true)]
async fn a_deploy_that_loses_its_lease_flips_nothing_and_leaves_nothing() {
    let wish = Wish::of(project([replicas(2, app("go-app"))]));
    let world = edited(&wish).await;
    let before = world.picture();
    let report = run(&world, &wish, at_first("create_container", Fault::LoseLease)).await;
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
        let mut wish = Wish::of(whole.clone());
        wish.apps = vec![wish.apps[index].clone()];
        wish
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
