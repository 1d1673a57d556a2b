//! nginx workers that die.

use std::time::Duration;

use deploy_apps::model::InFlight;
use tokio::net::TcpStream;

use crate::client::read_until;
use crate::world::{Setup, World, eventually};

/// Lists each worker as `pid sockets`.
const WORKERS: &str = "for worker in $(cat /proc/1/task/1/children); do \
    echo $worker $(ls -l /proc/$worker/fd | grep -c socket:); done";

#[tokio::test]
async fn a_killed_worker_takes_its_counts_with_it_and_no_others() {
    let world = World::with(Setup { workers: 3, ..Setup::default() }).await;
    let backend = world.backend("r1").await;
    world.flip(&[world.serving("app", &[&backend])]).await;

    // The kernel spreads connections as it likes: open more until two workers have some.
    let idle = sockets(&world).await;
    let mut open = Vec::new();
    let victim = loop {
        assert!(open.len() < 400, "all connections are with one worker");
        for _ in 0..20 {
            open.push(world.open("GET /hold HTTP/1.1\r\nHost: app.test\r\n\r\n").await);
        }
        let opened = open.len() as u64;
        eventually("all are counted", async || world.in_flight(&["r1"]).await.requests == opened).await;
        let now = sockets(&world).await;
        let busy = now.iter().filter(|(pid, count)| idle.iter().any(|(id, before)| id == pid && count > &(before + 3)));
        let mut busy: Vec<_> = busy.collect();
        busy.sort_by_key(|(_, count)| *count);
        if busy.len() > 1 {
            break busy[0].0.clone();
        }
    };
    world.exec(&format!("kill -9 {victim}")).await;

    let mut alive = Vec::new();
    let total = open.len();
    for stream in open {
        if !is_cut(&stream).await {
            alive.push(stream);
        }
    }
    assert!((1..total).contains(&alive.len()), "{} of {total} requests live on", alive.len());
    let expected = InFlight { requests: alive.len() as u64, websockets: 0 };
    eventually("the dead worker's requests are forgotten", async || world.in_flight(&["r1"]).await == expected).await;

    backend.release_all();
    for mut stream in alive {
        read_until(&mut stream, "held").await;
        drop(stream);
    }
    world.drained(&["r1".to_owned()]).await;
    assert_eq!(world.get("app.test", "/").await.status, 200);
    eventually("nginx has replaced it", async || sockets(&world).await.len() == 3).await;
}

async fn sockets(world: &World) -> Vec<(String, u64)> {
    let text = world.exec(WORKERS).await;
    let worker = |line: &str| {
        let (pid, count) = line.split_once(' ').expect("`pid sockets`");
        (pid.to_owned(), count.parse().expect("a count"))
    };
    text.lines().map(worker).collect()
}

/// Whether the connection has ended. A killed process's connections end at once, so a short look is enough for each;
/// the first looks wait for all.
async fn is_cut(stream: &TcpStream) -> bool {
    let mut probe = [0; 1];
    tokio::time::timeout(Duration::from_millis(20), stream.readable()).await.is_ok()
        && !matches!(stream.try_read(&mut probe), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
}

#[tokio::test]
async fn a_lease_outlives_the_worker_that_held_its_connection() {
    let world = World::start().await;
    let lease = world.lease(&["app"]).await.expect("a free lease");
    let before = sockets(&world).await;
    for (pid, _) in &before {
        world.exec(&format!("kill -9 {pid}")).await;
    }
    eventually("nginx has replaced them", async || {
        let now = sockets(&world).await;
        now.len() == 2 && now.iter().all(|(pid, _)| before.iter().all(|(old, _)| old != pid))
    })
    .await;
    eventually("the owner has resumed its lease", async || {
        let (_, state) = world.call("GET", "/v1/state", "").await;
        state["leases"][0]["owner"] == "tester"
    })
    .await;
    let lost = tokio::time::timeout(Duration::from_millis(500), lease.lost()).await;
    assert!(lost.is_err() && !lease.is_lost());
    assert!(world.lease(&["app"]).await.is_err(), "somebody else got it meanwhile");
}
