//! `--atomic`: all named apps flip in one call, or none does.

use std::sync::Arc;

use deploy_apps::event::Outcome;
use deploy_apps::ports::EngineErrorKind;

use crate::fixture::*;
use crate::session::{Desired, Report, no_faults, run, succeed};
use crate::world::{Behaviour, Call, Error, Fault, Faults, World};

fn pair() -> Desired {
    Desired::of(project([replicas(2, app("go-app")), app("node-app")])).atomic()
}

async fn redeploy(faults: Faults, prepare: impl Fn(&World)) -> (Arc<World>, Report) {
    let world = World::new();
    succeed(&world, &pair()).await;
    world.edit("go-app");
    world.edit("node-app");
    prepare(&world);
    let report = run(&world, &pair(), faults).await;
    world.assert_lawful(&report.story());
    (world, report)
}

fn flips(calls: &[Call]) -> Vec<&str> {
    calls.iter().filter(|call| call.what == "flip").map(|call| call.subject.as_str()).collect()
}

#[tokio::test(start_paused = true)]
async fn two_apps_flip_in_one_call() {
    let (_, report) = redeploy(no_faults(), |_| {}).await;
    assert_eq!(flips(&report.calls), ["sample/go-app sample/node-app"]);
    assert_eq!(report.outcomes(), [Outcome::Completed, Outcome::Completed]);
}

#[tokio::test(start_paused = true)]
async fn one_bad_app_flips_none_and_nobody_was_cancelled() {
    for bad in ["go-app-r2", "node-app-r2"] {
        let world = World::new();
        succeed(&world, &pair()).await;
        world.edit("go-app");
        world.edit("node-app");
        world.script(bad, Behaviour::exits_after(std::time::Duration::from_millis(30), 1));
        let before = world.picture();
        let report = run(&world, &pair(), no_faults()).await;
        world.assert_lawful(&report.story());
        assert_eq!(flips(&report.calls), [""; 0]);
        assert_eq!(report.outcomes(), [Outcome::RolledBack, Outcome::RolledBack], "{}", report.story());
        assert_eq!(world.picture(), before);
    }
}

#[tokio::test(start_paused = true)]
async fn an_app_whose_world_moved_is_not_flipped_alone_later() {
    let taken = Fault::Fail(Error::Engine(EngineErrorKind::AddressTaken));
    let faults: Faults =
        Arc::new(move |call| (call.what == "start_container" && call.subject == "sample-go-app-r2-1").then_some(taken));
    let (_, report) = redeploy(faults, |_| {}).await;
    assert_eq!(flips(&report.calls), ["sample/go-app sample/node-app"]);
    assert_eq!(report.outcomes(), [Outcome::Completed, Outcome::Completed], "{}", report.story());
}

#[tokio::test(start_paused = true)]
async fn an_app_whose_world_moved_beside_a_bad_one_is_not_tried_again() {
    let taken = Fault::Fail(Error::Engine(EngineErrorKind::AddressTaken));
    let faults: Faults = Arc::new(move |call| match (call.what, call.subject.as_str()) {
        ("start_container", "sample-go-app-r2-1") => Some(taken),
        ("start_container", "sample-node-app-r2-1") => Some(Fault::Fail(Error::Unreachable)),
        _ => None,
    });
    let (_, report) = redeploy(faults, |_| {}).await;
    assert_eq!(flips(&report.calls), [""; 0]);
    assert_eq!(report.outcomes(), [Outcome::RolledBack, Outcome::RolledBack]);
}

#[tokio::test(start_paused = true)]
async fn apps_that_are_not_atomic_end_each_on_its_own() {
    let mut desired = pair();
    desired.options.atomic = false;
    let world = World::new();
    succeed(&world, &desired).await;
    world.edit("go-app");
    world.edit("node-app");
    world.script("go-app-r2", Behaviour::never_healthy());
    let report = run(&world, &desired, no_faults()).await;
    world.assert_lawful(&report.story());
    assert_eq!(report.outcomes(), [Outcome::RolledBack, Outcome::Completed]);
}

#[tokio::test(start_paused = true)]
async fn an_app_that_has_ended_is_told_of_even_if_another_cannot_be_planned_again() {
    let mut desired = pair();
    desired.options.atomic = false;
    let world = World::new();
    succeed(&world, &desired).await;
    world.edit("go-app");
    world.edit("node-app");
    let observed = std::sync::atomic::AtomicUsize::new(0);
    let faults: Faults = Arc::new(move |call| match (call.what, call.subject.as_str()) {
        ("start_container", "sample-go-app-r2-1") => Some(Fault::Fail(Error::Engine(EngineErrorKind::AddressTaken))),
        ("source_digest", _) if observed.fetch_add(1, std::sync::atomic::Ordering::Relaxed) >= 2 => {
            Some(Fault::Fail(Error::Unreachable))
        }
        _ => None,
    });
    let report = run(&world, &desired, faults).await;
    world.assert_lawful(&report.story());
    let mut outcomes = report.outcomes();
    outcomes.sort();
    assert_eq!(outcomes, [Outcome::Completed, Outcome::RolledBack], "{}", report.story());
}
