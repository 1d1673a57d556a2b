//! A client that holds as much as it can get leaves room for the others.

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::client::read_until;
use crate::world::{Setup, World, eventually};

/// Of the one worker; a quarter of it is what one address may have open, as each request takes two connections.
const CONNECTIONS: u32 = 400;
const SHARE: usize = 100;

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
    // As many again: each is refused, and said so.
    for _ in 0..SHARE {
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

#[tokio::test]
async fn a_trusted_proxy_speaks_for_many_clients_and_is_not_counted() {
    let (world, _backend) = crowded("10.0.0.0/8").await;
    let mut held = Vec::new();
    for _ in 0..SHARE + 20 {
        held.push(slow(&world).await);
    }
    eventually("all are open", async || world.in_flight(&["r1"]).await.requests == held.len() as u64).await;
}
