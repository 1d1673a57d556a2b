//! A client that holds as much as it can get leaves room for the others.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::read_until;
use crate::world::{PATIENCE, Setup, Variant, World, eventually};

/// Of the one worker; a quarter of it is what one address may hold, as each request takes two connections.
const CONNECTIONS: u32 = 400;
const SHARE: usize = 100;
/// Beyond the share so many connections more get an answer, a 429.
const MARGIN: usize = SHARE / 8 + 16;

/// Half of an upload, which never goes on.
const SLOW: &str = "POST /echo HTTP/1.1\r\nHost: app.test\r\nContent-Length: 12\r\n\r\nhalf a";

async fn crowded(trusted_proxies: &'static str) -> (World, crate::backend::Backend) {
    let setup = Setup { workers: 1, connections: Some(CONNECTIONS), trusted_proxies, ..Setup::default() };
    let world = World::with(setup).await;
    let backend = world.backend("r1").await;
    world.flip(&[world.serving("app", &[&backend])]).await;
    (world, backend)
}

async fn slow(world: &World) -> TcpStream {
    let mut client = world.open(SLOW).await;
    client.flush().await.expect("a connection");
    client
}

/// The status line that a client of another address gets, from within the proxy's container.
/// It stays on the line: nginx gives up the request of a client that closes its half.
async fn elsewhere(world: &World) -> String {
    let request = "printf 'GET / HTTP/1.1\\r\\nHost: app.test\\r\\nConnection: close\\r\\n\\r\\n'";
    let answer = world.exec(&format!("{{ {request}; sleep 1; }} | socat -t 5 - TCP:127.0.0.1:80")).await;
    answer.lines().next().unwrap_or_default().trim().to_owned()
}

#[tokio::test]
async fn one_address_cannot_take_all_connections_from_the_others() {
    let (world, backend) = crowded("").await;
    let mut held = Vec::new();
    for _ in 0..SHARE {
        held.push(slow(&world).await);
    }
    eventually("the share is used up", async || world.in_flight(&["r1"]).await.requests == SHARE as u64).await;
    // Each further one is refused, and said so.
    for _ in 0..MARGIN {
        let mut refused = slow(&world).await;
        assert!(read_until(&mut refused, "\r\n\r\n").await.starts_with("HTTP/1.1 429 "));
        held.push(refused);
    }
    assert_eq!(elsewhere(&world).await, "HTTP/1.1 200 OK", "another client is served");
    assert_eq!(world.in_flight(&["r1"]).await.requests, SHARE as u64);
    drop(held);
    eventually("what was held is free", async || world.get("app.test", "/").await.status == 200).await;
    drop(backend);
}

/// The whole answer to a request on a connection that is there.
async fn asked(client: &mut TcpStream, lines: &str) -> String {
    let request = format!("GET / HTTP/1.1\r\nHost: app.test\r\n{lines}\r\n");
    client.write_all(request.as_bytes()).await.expect("a connection");
    read_until(client, "\r\n\r\n").await
}

/// Whether the proxy ends the connection by itself.
async fn ends(client: &mut TcpStream) -> bool {
    let mut rest = Vec::new();
    tokio::time::timeout(PATIENCE, client.read_to_end(&mut rest)).await.is_ok()
}

#[tokio::test]
async fn connections_that_ask_nothing_count_as_those_that_do() {
    let (world, _backend) = crowded("").await;
    let mut held = Vec::new();
    for n in 0..SHARE {
        // Nothing, a part of a head, a request that has been answered.
        let mut client = world.open(["", "GET / HT", "GET / HTTP/1.1\r\nHost: app.test\r\n\r\n"][n % 3]).await;
        if n % 3 == 2 {
            assert!(read_until(&mut client, "\r\n\r\n").await.starts_with("HTTP/1.1 200 "));
        }
        held.push(client);
    }
    let mut refused = world.open("").await;
    assert!(asked(&mut refused, "").await.starts_with("HTTP/1.1 429 "));
    assert!(ends(&mut refused).await, "it makes room again");
    assert!(asked(&mut held[0], "").await.starts_with("HTTP/1.1 200 "), "what is within the share is served");
    // One that sends its head slowly is not waited for when the share is used up.
    let mut slow = world.open("GET / HT").await;
    let since = Instant::now();
    assert!(ends(&mut slow).await);
    assert!(since.elapsed() < Duration::from_secs(20), "after {:?}", since.elapsed());
    assert_eq!(elsewhere(&world).await, "HTTP/1.1 200 OK", "another client is served");
    drop(held);
    eventually("what was held is free", async || world.get("app.test", "/").await.status == 200).await;
}

#[tokio::test]
async fn far_beyond_the_share_connections_are_closed_at_once() {
    let (world, _backend) = crowded("").await;
    let mut held = Vec::new();
    for _ in 0..SHARE + MARGIN {
        held.push(world.open("").await);
    }
    let since = Instant::now();
    for _ in 0..50 {
        assert!(ends(&mut world.open("").await).await);
    }
    assert!(since.elapsed() < Duration::from_secs(3), "after {:?}", since.elapsed());
    assert_eq!(elsewhere(&world).await, "HTTP/1.1 200 OK", "another client is served");
    let said = "holds more connections than one may, and more are closed";
    eventually("the proxy says so", async || world.logs().await.contains(said)).await;
}

#[tokio::test]
async fn the_share_may_be_a_number() {
    let setup = Setup { connections_per_client: Some(5), ..Setup::default() };
    let world = World::with(setup).await;
    let backend = world.backend("r1").await;
    world.flip(&[world.serving("app", &[&backend])]).await;
    let mut held = Vec::new();
    for _ in 0..5 {
        held.push(world.open("").await);
    }
    assert!(asked(&mut world.open("").await, "").await.starts_with("HTTP/1.1 429 "));
    assert!(asked(&mut held[4], "").await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn what_a_killed_worker_held_is_forgotten() {
    let (world, _backend) = crowded("").await;
    for round in 1..=3 {
        let mut held = Vec::new();
        for _ in 0..SHARE {
            held.push(world.open("").await);
        }
        assert!(asked(&mut held[0], "").await.starts_with("HTTP/1.1 200 "));
        assert!(asked(&mut world.open("").await, "").await.starts_with("HTTP/1.1 429 "));
        world.exec("kill -9 $(cat /proc/1/task/1/children)").await;
        assert!(ends(&mut held[0]).await);
        let started = async || world.logs().await.matches("start worker process ").count();
        eventually("another worker serves", async || started().await > round).await;
    }
}

#[tokio::test]
async fn heads_and_bodies_that_pause_are_given_up() {
    let world = World::with(Setup { variant: Variant::Impatient, ..Setup::default() }).await;
    let backend = world.backend("r1").await;
    world.flip(&[world.serving("app", &[&backend])]).await;
    // The whole head has to arrive in time: a byte now and then does not help.
    let mut client = world.open("GET / HTTP/1.1\r\nHost: app.test\r\nX-Slow: ").await;
    let since = Instant::now();
    while client.write_all(b"x").await.is_ok() && since.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(since.elapsed() < Duration::from_secs(15), "after {:?}", since.elapsed());
    let mut client = slow(&world).await;
    assert!(ends(&mut client).await);
    eventually("nothing is open", async || world.in_flight(&["r1"]).await.requests == 0).await;
}

#[tokio::test]
async fn behind_a_trusted_proxy_each_client_has_a_share_of_its_own() {
    let setup =
        Setup { workers: 1, connections_per_client: Some(40), trusted_proxies: "10.0.0.0/8", ..Setup::default() };
    let world = World::with(setup).await;
    let backend = world.backend("r1").await;
    world.flip(&[world.serving("app", &[&backend])]).await;
    let mut held = Vec::new();
    for n in 0..40 {
        // One network of 64 bits is one client.
        for client in ["203.0.113.9", ["2001:db8:0:1::1", "2001:db8:0:1:2::2"][n % 2]] {
            let lines = format!("X-Forwarded-For: {client}\r\nContent-Length: 12\r\n\r\nhalf a");
            held.push(world.open(&format!("POST /echo HTTP/1.1\r\nHost: app.test\r\n{lines}")).await);
        }
    }
    let open = held.len() as u64;
    eventually("all are open", async || world.in_flight(&["r1"]).await.requests == open).await;
    for (client, status) in
        [("203.0.113.9", 429), ("2001:db8:0:1:3::3", 429), ("203.0.113.10", 200), ("2001:db8:0:2::1", 200)]
    {
        let mut one = world.open("").await;
        let answer = asked(&mut one, &format!("X-Forwarded-For: {client}\r\n")).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{client}: {answer}");
    }
}

#[tokio::test]
async fn a_trusted_proxy_speaks_for_many_clients_and_is_not_counted() {
    let (world, _backend) = crowded("10.0.0.0/8").await;
    let mut held = Vec::new();
    for _ in 0..SHARE + 20 {
        held.push(slow(&world).await);
    }
    eventually("all are open", async || world.in_flight(&["r1"]).await.requests == held.len() as u64).await;
    for _ in 0..MARGIN {
        held.push(world.open("").await);
    }
    assert_eq!(world.get("app.test", "/").await.status, 200);
}
