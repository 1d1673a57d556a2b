//! A table of 1,000 apps with 10 peers each: flips stay right in it, and it survives as a snapshot.

use std::time::Instant;

use deploy_apps::model::{AppRecord, Generation};
use deploy_apps::ports::Proxy;

use crate::world::{World, change, eventually, key};

const APPS: usize = 1000;

fn name(number: usize) -> String {
    format!("app-{number:04}")
}

/// All of them are served by one backend; the peer's id says which record it was.
fn record(world: &World, number: usize, release: u32, port: u16) -> AppRecord {
    let app = name(number);
    let peer = |replica: u32| {
        let mut peer = world.peer(&format!("t-{app}-r{release}-{replica}"), port);
        (peer.release.0, peer.replica) = (release, replica);
        peer
    };
    let mut record = world.record(&app, (1..=10).map(peer).collect());
    record.release.0 = release;
    record
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_apps_flip_alone_and_together_and_outlive_a_corrupt_snapshot() {
    let world = World::start().await;
    let (old, new) = (world.backend("old").await, world.backend("new").await);
    let names: Vec<_> = (0..APPS).map(name).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let lease = world.lease(&names).await.expect("free leases");
    let flip_all = async |release: u32, expected: u64| {
        let changes: Vec<_> = (0..APPS).map(|number| change(&record(&world, number, release, old.port))).collect();
        let flipped = world.control.flip(&lease, &changes, &vec![Generation(expected); APPS]).await;
        flipped.expect("a flip of all").0
    };
    let mut generation = flip_all(1, 0).await;

    let mut times = Vec::new();
    for number in (0..APPS).step_by(4) {
        let flip = [change(&record(&world, number, 2, new.port))];
        let begun = Instant::now();
        generation = world.control.flip(&lease, &flip, &[Generation(1)]).await.expect("a flip").0;
        times.push(begun.elapsed());
    }
    times.sort();
    let (p50, p99) = (times[times.len() / 2], times[times.len() * 99 / 100]);
    println!("flip among {APPS} apps × 10 peers: p50 {p50:?}, p99 {p99:?}, the control channel included");
    assert_eq!(generation, 251, "every flip has a generation of its own");

    for number in [0, 1, 2, 3, 4, 500, 501, 996, 999] {
        let expected = if number % 4 == 0 { "new" } else { "old" };
        assert_eq!(world.get(&format!("{}.test", name(number)), "/").await.backend(), expected, "app {number}");
    }

    // The journal grows over its limit with this, so a snapshot is written beside the flips.
    let state = world.control.state().await.expect("the state");
    let expected: Vec<_> = (0..APPS).map(|number| state.apps[&key(&name(number))].generation).collect();
    let changes: Vec<_> = (0..APPS).map(|number| change(&record(&world, number, 3, old.port))).collect();
    let mut last = world.control.flip(&lease, &changes, &expected).await.expect("a flip of all").0;
    for release in 4..6 {
        last = flip_all(release, last).await;
    }
    eventually("there is a snapshot", async || !world.exec("ls /var/lib/deploy-apps/routes.json").await.is_empty())
        .await;
    let flip = [change(&record(&world, 7, 6, new.port))];
    world.control.flip(&lease, &flip, &[Generation(last)]).await.expect("a flip after the snapshot");
    let before = world.control.state().await.expect("the state");
    drop(lease);

    world.kill().await;
    world.boot().await;
    assert!(
        world.control.state().await.expect("the state") == before,
        "the snapshot and its journal give another state"
    );
    assert_eq!(world.get("app-0007.test", "/").await.backend(), "new");

    world.exec("printf '{\"format\":1,' > /var/lib/deploy-apps/routes.json").await;
    world.kill().await;
    world.boot().await;
    assert!(world.control.state().await.expect("the state") == before, "without the snapshot the state is another");
    assert!(world.exec("ls /var/lib/deploy-apps").await.contains("routes.json.corrupt-"), "it was not kept aside");
}
