//! Uploads whose client pauses, stops or is gone.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::client::read_until;
use crate::world::{Setup, Variant, World, eventually};

const HEAD: &str = "POST /echo HTTP/1.1\r\nHost: app.test\r\nContent-Length: 12\r\n\r\n";

/// A proxy and an app to which half a body has come.
async fn half_sent(variant: Variant) -> (World, crate::backend::Backend, TcpStream) {
    let world = World::with(Setup { variant, ..Setup::default() }).await;
    let backend = world.backend("r1").await;
    world.flip(&[world.serving("app", &[&backend])]).await;
    let mut client = world.open(HEAD).await;
    client.write_all(b"half a").await.expect("a sent half");
    eventually("the request is counted", async || world.in_flight(&["r1"]).await.requests == 1).await;
    (world, backend, client)
}

async fn is_over(world: &World) {
    eventually("nothing is open", async || world.in_flight(&["r1"]).await.is_zero()).await;
}

#[tokio::test]
async fn an_upload_whose_client_is_gone_is_open_no_more() {
    let (world, _backend, client) = half_sent(Variant::Usual).await;
    drop(client);
    is_over(&world).await;

    // As a process that was killed, or a machine that answers after a restart: a reset.
    let mut client = world.open(HEAD).await;
    client.write_all(b"half a").await.expect("a sent half");
    eventually("the request is counted", async || world.in_flight(&["r1"]).await.requests == 1).await;
    client.set_zero_linger().expect("an open socket");
    drop(client);
    is_over(&world).await;
}

#[tokio::test]
async fn an_upload_that_stops_is_given_up() {
    // The client's end stays open and says nothing more, as one behind a cable that was pulled.
    let (world, _backend, client) = half_sent(Variant::Impatient).await;
    is_over(&world).await;
    drop(client);
}

#[tokio::test]
async fn an_upload_may_pause_as_often_as_it_likes() {
    let world = World::with(Setup { variant: Variant::Impatient, ..Setup::default() }).await;
    let backend = world.backend("r1").await;
    world.flip(&[world.serving("app", &[&backend])]).await;
    let mut client = world.open(HEAD).await;
    // Each pause is far shorter than the limit of a second, all together are longer.
    for byte in b"half a whole" {
        client.write_all(&[*byte]).await.expect("a connection that is still there");
        client.flush().await.expect("a connection that is still there");
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    assert!(read_until(&mut client, "half a whole").await.starts_with("HTTP/1.1 200 "));
}
