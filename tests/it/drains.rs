//! Old replicas finish what they have begun, up to the limits, and what is cut is counted.

use std::time::Duration;

use deploy_apps::event::{Fact, Outcome};
use deploy_apps::model::{App, DrainPolicy, InFlight};

use crate::fixture::*;
use crate::session::{Desired, no_faults, run, succeed};
use crate::world::World;

const SECOND: Duration = Duration::from_secs(1);

/// What was waited for, what was cut, and how long it took, with these open on the old replica at the flip.
async fn drained(drain: DrainPolicy, requests: &[Duration], websockets: &[Duration]) -> (InFlight, InFlight, Duration) {
    drained_of(app("go-app"), drain, requests, websockets).await
}

async fn drained_of(
    mut app: App,
    drain: DrainPolicy,
    requests: &[Duration],
    websockets: &[Duration],
) -> (InFlight, InFlight, Duration) {
    app.drain = drain;
    let desired = Desired::of(project([app]));
    let world = World::new();
    succeed(&world, &desired).await;
    world.edit("go-app");
    world.load(requests, websockets);
    let report = run(&world, &desired, no_faults()).await;
    world.assert_lawful(&report.story());
    assert_eq!(report.outcome(), Outcome::Completed);
    let drained = report.facts().find_map(|fact| match fact {
        Fact::Drained { waited, cut, took } => Some((*waited, *cut, *took)),
        _ => None,
    });
    drained.expect("a drain")
}

fn limits(timeout: Duration, websocket_timeout: Duration) -> DrainPolicy {
    DrainPolicy { timeout, websocket_timeout, ..DrainPolicy::default() }
}

fn open(requests: u64, websockets: u64) -> InFlight {
    InFlight { requests, websockets }
}

/// Calls cost a millisecond each, so a wait begins and ends a little after its time.
fn about(took: Duration, wanted: Duration) -> bool {
    took.abs_diff(wanted) < Duration::from_millis(50)
}

#[tokio::test(start_paused = true)]
async fn an_idle_replica_is_not_waited_for() {
    let (waited, cut, took) = drained(limits(60 * SECOND, 300 * SECOND), &[], &[]).await;
    assert_eq!((waited, cut), (open(0, 0), open(0, 0)));
    assert!(about(took, Duration::ZERO), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_sleeper_finishes_and_the_stop_follows_at_once() {
    let (waited, cut, took) = drained(limits(60 * SECOND, 300 * SECOND), &[25 * SECOND], &[]).await;
    assert_eq!((waited, cut), (open(1, 0), open(0, 0)));
    assert!(about(took, 25 * SECOND), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_open_at_the_limit_is_cut_and_counted() {
    let (waited, cut, took) =
        drained(limits(10 * SECOND, 300 * SECOND), &[3 * SECOND, 20 * SECOND, 99 * SECOND], &[]).await;
    assert_eq!((waited, cut), (open(3, 0), open(2, 0)));
    assert!(about(took, 10 * SECOND), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn websockets_have_a_longer_limit_of_their_own() {
    let (waited, cut, took) =
        drained(limits(10 * SECOND, 40 * SECOND), &[99 * SECOND], &[25 * SECOND, 99 * SECOND]).await;
    assert_eq!((waited, cut), (open(1, 2), open(1, 1)));
    assert!(about(took, 40 * SECOND), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn websockets_may_have_a_shorter_limit_than_requests() {
    let (waited, cut, took) = drained(limits(60 * SECOND, 5 * SECOND), &[SECOND], &[99 * SECOND]).await;
    assert_eq!((waited, cut), (open(1, 1), open(0, 1)));
    assert!(about(took, 5 * SECOND), "{took:?}");
}

/// New requests wait at the proxy for the old replica's end, so streams that never end must not decide for how long.
#[tokio::test(start_paused = true)]
async fn streams_hold_a_stop_first_deploy_up_for_a_short_limit_only() {
    let stop_first = || stop_first(app("go-app"));
    let (streams, sockets) = ([2 * SECOND, 999 * SECOND], [999 * SECOND]);
    let (waited, cut, took) = drained_of(stop_first(), DrainPolicy::default(), &streams, &sockets).await;
    assert_eq!((waited, cut), (open(2, 1), open(1, 1)));
    assert!(about(took, 10 * SECOND), "{took:?}");

    let longer = DrainPolicy { stop_first_timeout: 40 * SECOND, ..DrainPolicy::default() };
    let (.., took) = drained_of(stop_first(), longer, &streams, &sockets).await;
    assert!(about(took, 40 * SECOND), "{took:?}");

    // The usual limits hold here too.
    let (.., took) = drained_of(stop_first(), limits(3 * SECOND, 5 * SECOND), &streams, &sockets).await;
    assert!(about(took, 5 * SECOND), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn every_replica_stops_when_it_is_idle_and_not_when_all_are() {
    let desired = Desired::of(project([replicas(2, app("go-app"))]));
    let world = World::new();
    succeed(&world, &desired).await;
    world.edit("go-app");
    world.open("sample-go-app-r1-2", false, 30 * SECOND);
    let report = succeed(&world, &desired).await;
    let stopped = |replica: &str| {
        report.events.iter().find_map(|event| match &event.fact {
            Fact::ReplicaStopped { name, .. } if name == replica => Some(event.elapsed),
            _ => None,
        })
    };
    let (idle, busy) = (stopped("sample-go-app-r1-1").unwrap(), stopped("sample-go-app-r1-2").unwrap());
    assert!(busy - idle > 20 * SECOND, "{idle:?} {busy:?}");
}
