//! The count of open requests: the number that decides when an old replica may be stopped.

use std::time::Duration;

use deploy_apps::load::{Expect, Load, LoadConfig, Report, Traffic};
use deploy_apps::model::{Generation, Route};
use deploy_apps::ports::Proxy;
use futures_util::future::join_all;

use crate::backend::Backend;
use crate::client::read_until;
use crate::world::{Setup, Variant, World, change, eventually};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_reaches_a_peer_after_its_flip_was_acknowledged_and_its_count_was_zero() {
    let world = World::with(Setup { workers: 4, ..Setup::default() }).await;
    let storm = Storm { flips: 40, least: 300, posts: 6, slow_gets: 4 };
    let reports = join_all(["one", "two", "three"].map(|app| flip_under_load(&world, app, &storm))).await;
    expect_nothing_lost(&world, &reports, &storm).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_counted_after_the_flip_looks_again_and_goes_to_the_new_peer() {
    let world = World::with(Setup { workers: 4, variant: Variant::SlowToCount, ..Setup::default() }).await;
    // Little load: while one worker is held up with a request, another has to acknowledge the flip and count zero.
    let storm = Storm { flips: 60, least: 50, posts: 2, slow_gets: 0 };
    let report = flip_under_load(&world, "one", &storm).await;
    expect_nothing_lost(&world, &[report], &storm).await;
}

/// How an app is flipped, and what it is sent meanwhile.
struct Storm {
    flips: u64,
    /// Answered requests without which a run proves nothing.
    least: u64,
    posts: usize,
    slow_gets: usize,
}

async fn expect_nothing_lost(world: &World, reports: &[Report], storm: &Storm) {
    for report in reports {
        assert_eq!(report.failures(), 0, "{report}");
        assert!(report.ok > storm.least, "too little load to prove anything:\n{report}");
    }
    let state = world.control.state().await.expect("the state");
    assert!(state.in_flight.is_empty(), "counts that never fall: {:?}", state.in_flight);
    assert_eq!(state.generation, Generation(reports.len() as u64 * (storm.flips + 1)));
}

/// Flips one app from one pair of backends to the next, and retires each pair when its count is zero.
async fn flip_under_load(world: &World, app: &str, storm: &Storm) -> Report {
    let lease = world.lease(&[app]).await.expect("a free lease");
    let mut generation = Generation(0);
    let mut past: Vec<Backend> = Vec::new();
    let mut load = None;
    for round in 0..=storm.flips {
        let names = [format!("{app}-r{round}-1"), format!("{app}-r{round}-2")];
        let pair = [world.backend(&names[0]).await, world.backend(&names[1]).await];
        let record = world.serving(app, &[&pair[0], &pair[1]]);
        generation = world.control.flip(&lease, &[change(&record)], &[generation]).await.expect("a flip");
        let old: Vec<_> = past.iter().rev().take(2).map(|backend| backend.name.clone()).collect();
        if !old.is_empty() {
            world.drained(&old).await;
            past.iter().rev().take(2).for_each(Backend::retire);
        }
        past.extend(pair);
        let load = match &load {
            Some(load) => load,
            None => load.insert(Load::start(traffic(world, app, storm)).await.expect("load")),
        };
        // A request that is slow to be counted checks again after each flip: flips without a pause would let none through.
        let before = load.progress().requests;
        eventually("a request got through", async || load.progress().requests > before).await;
    }
    let report = load.expect("load").stop().await;
    for backend in &past {
        assert_eq!(backend.late(), 0, "`{}` got requests after its count was zero", backend.name);
    }
    report
}

fn traffic(world: &World, app: &str, storm: &Storm) -> LoadConfig {
    LoadConfig::new(world.target, &format!("{app}.test"))
        .send(storm.posts, Traffic::post("/echo", Expect::Echo))
        .send(storm.slow_gets, Traffic::get("/slow?3"))
        .bounded(Duration::from_secs(60), 1_000_000)
}

#[tokio::test]
async fn requests_and_websockets_are_counted_apart_until_they_end() {
    let world = World::start().await;
    let backend = world.backend("r1").await;
    let mut record = world.serving("app", &[&backend]);
    record.routes.push(Route { host: None, path: "/app".to_owned(), strip: true, tls: None });
    world.flip(&[record]).await;
    let held = world.open("GET /hold HTTP/1.1\r\nHost: app.test\r\n\r\n").await;
    let mut sockets = Vec::new();
    // The path of the second is taken off, which nginx does at another place.
    for (host, path) in [("app.test", "/ws"), ("elsewhere", "/app/ws")] {
        let upgrade = "Connection: Upgrade\r\nUpgrade: websocket";
        let mut socket = world.open(&format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{upgrade}\r\n\r\n")).await;
        read_until(&mut socket, "101 ").await;
        sockets.push(socket);
    }
    eventually("all are counted", async || {
        let open = world.in_flight(&["r1"]).await;
        (open.requests, open.websockets) == (1, 2)
    })
    .await;

    // Flipped out, they are still counted: that is what a drain waits for.
    let next = world.backend("r2").await;
    world.flip(&[world.serving("app", &[&next])]).await;
    let state = world.control.state().await.expect("the state");
    assert_eq!(state.in_flight.keys().collect::<Vec<_>>(), ["r1"]);
    assert_eq!(world.get("app.test", "/").await.backend(), "r2");

    // A client that leaves ends its request.
    drop(held);
    drop(sockets);
    world.drained(&["r1".to_owned()]).await;
    assert_eq!(backend.arrivals().len(), 3);
}

#[tokio::test]
async fn a_drain_answers_as_soon_as_the_count_moves() {
    let world = World::start().await;
    let backend = world.backend("r1").await;
    world.flip(&[world.serving("app", &[&backend])]).await;
    let mut held = world.open("GET /hold HTTP/1.1\r\nHost: app.test\r\n\r\n").await;
    eventually("it is open", async || world.in_flight(&["r1"]).await.requests == 1).await;

    let known = Some(world.in_flight(&["r1"]).await);
    let peers = ["r1".to_owned()];
    let (answer, ()) = tokio::join!(world.control.in_flight(&peers, known, Duration::from_secs(50)), async {
        backend.release_all();
        read_until(&mut held, "held").await;
    });
    assert!(answer.expect("an answer before the wait is over").is_zero());
}
