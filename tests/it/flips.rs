//! The point of no return: lost answers, moved generations, and a proxy that thinks otherwise.

use std::sync::Arc;
use std::time::Duration;

use deploy_apps::event::Outcome;

use crate::fixture::*;
use crate::session::{Desired, Report, at_first, run, succeed};
use crate::world::{Error, Fault, Faults, World};

/// A redeploy with something going wrong at the flip.
async fn redeploy(faults: Faults) -> (Arc<World>, Report) {
    let desired = Desired::of(project([replicas(2, app("go-app"))]));
    let world = World::new();
    succeed(&world, &desired).await;
    world.edit("go-app");
    let report = run(&world, &desired, faults).await;
    world.assert_lawful(&report.story());
    (world, report)
}

fn served(world: &World) -> Vec<String> {
    let picture = world.picture();
    picture.records.values().flat_map(|record| &record.peers).map(|peer| peer.id.clone()).collect()
}

const OLD: [&str; 2] = ["sample-go-app-r1-1", "sample-go-app-r1-2"];
const NEW: [&str; 2] = ["sample-go-app-r2-1", "sample-go-app-r2-2"];

#[tokio::test(start_paused = true)]
async fn a_flip_whose_answer_is_lost_is_looked_up_and_counts() {
    for error in [Error::Unreachable, Error::Malformed] {
        let (world, report) = redeploy(at_first("flip", Fault::FailAfterEffect(error))).await;
        assert_eq!((report.outcome(), served(&world)), (Outcome::Completed, NEW.map(str::to_owned).to_vec()));
        assert_eq!(report.calls.iter().filter(|call| call.what == "flip").count(), 1, "{}", report.story());
    }
}

#[tokio::test(start_paused = true)]
async fn a_flip_that_did_not_arrive_is_sent_again() {
    for error in [Error::Unreachable, Error::Malformed] {
        let (world, report) = redeploy(at_first("flip", Fault::Fail(error))).await;
        assert_eq!((report.outcome(), served(&world)), (Outcome::Completed, NEW.map(str::to_owned).to_vec()));
        assert_eq!(report.calls.iter().filter(|call| call.what == "flip").count(), 2, "{}", report.story());
    }
}

#[tokio::test(start_paused = true)]
async fn a_flip_whose_answer_is_lost_after_a_long_time_counts_too() {
    let slow = Fault::SlowAndFailAfterEffect(Duration::from_secs(60), Error::Unreachable);
    let (world, report) = redeploy(at_first("flip", slow)).await;
    assert_eq!((report.outcome(), served(&world)), (Outcome::Completed, NEW.map(str::to_owned).to_vec()));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_stopped_while_it_is_not_known_what_the_proxy_routes() {
    for took_effect in [true, false] {
        let faults: Faults = Arc::new(move |call| {
            let lost = call.what == "flip" || (call.what == "state" && call.index > 10);
            let fault = if took_effect { Fault::FailAfterEffect } else { Fault::Fail };
            lost.then_some(fault(Error::Unreachable))
        });
        let (world, report) = redeploy(faults).await;
        assert_eq!(report.outcome(), Outcome::Stuck, "{}", report.story());
        let running: Vec<bool> = OLD.iter().chain(&NEW).map(|name| world.picture().containers[*name]).collect();
        assert_eq!(running, [true; 4], "{}", report.story());
        succeed(&world, &Desired::of(project([replicas(2, app("go-app"))]))).await;
        assert!(crate::judge::stray(&world).is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_generation_that_moved_is_planned_for_again() {
    let (world, report) = redeploy(at_first("flip", Fault::Fail(Error::GenerationMoved))).await;
    assert_eq!(report.outcome(), Outcome::Completed);
    assert_eq!(served(&world), ["sample-go-app-r3-1", "sample-go-app-r3-2"]);
    assert!(!world.picture().containers.keys().any(|name| name.contains("-r2-")));
}

#[tokio::test(start_paused = true)]
async fn a_world_that_moves_each_time_is_left_alone_in_the_end() {
    let faults: Faults = Arc::new(|call| (call.what == "flip").then_some(Fault::Fail(Error::GenerationMoved)));
    let (world, report) = redeploy(faults).await;
    assert_eq!((report.outcome(), served(&world)), (Outcome::RolledBack, OLD.map(str::to_owned).to_vec()));
    assert_eq!(report.calls.iter().filter(|call| call.what == "flip").count(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_flip_that_the_proxy_could_not_write_down_is_rolled_back() {
    let (world, report) = redeploy(at_first("flip", Fault::Fail(Error::PersistFailed))).await;
    assert_eq!((report.outcome(), served(&world)), (Outcome::RolledBack, OLD.map(str::to_owned).to_vec()));
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_routes_otherwise_after_the_flip_keeps_what_it_routes_to() {
    // The third look at the state is the confirmation.
    let faults: Faults = Arc::new(|call| (call.what == "state" && call.index > 10).then_some(Fault::Forget));
    let (world, report) = redeploy(faults).await;
    assert_eq!((report.outcome(), served(&world)), (Outcome::Stuck, OLD.map(str::to_owned).to_vec()));
    assert!(OLD.iter().all(|name| world.picture().containers[*name]), "{}", report.story());
    assert!(report.left_behind().iter().any(|what| what.contains(OLD[0])), "{}", report.story());
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_is_silent_for_a_while_confirms_later() {
    let faults: Faults = Arc::new(|call| {
        (call.what == "state" && call.index > 10).then_some(Fault::RestartProxy(Duration::from_millis(150)))
    });
    let once = std::sync::atomic::AtomicBool::new(false);
    let faults: Faults =
        Arc::new(move |call| faults(call).filter(|_| !once.swap(true, std::sync::atomic::Ordering::Relaxed)));
    let (world, report) = redeploy(faults).await;
    assert_eq!((report.outcome(), served(&world)), (Outcome::Completed, NEW.map(str::to_owned).to_vec()));
}
