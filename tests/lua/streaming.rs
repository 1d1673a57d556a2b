//! Bytes go through as they come, in both directions, and nothing is kept on the way.

use std::sync::atomic::Ordering;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::client::read_until;
use crate::world::{World, eventually};

async fn world_with_app() -> (World, crate::backend::Backend) {
    let world = World::start().await;
    let backend = world.backend("r1").await;
    world.flip(&[world.serving("app", &[&backend])]).await;
    (world, backend)
}

#[tokio::test]
async fn an_event_arrives_before_the_next_one_is_made() {
    let (world, backend) = world_with_app().await;
    let mut stream = world.open("GET /events HTTP/1.1\r\nHost: app.test\r\n\r\n").await;
    let first = read_until(&mut stream, "data: first\n\n").await;
    assert!(first.contains("text/event-stream") && !first.contains("last"), "{first}");
    backend.seen.go.add_permits(1);
    read_until(&mut stream, "data: last\n\n").await;
    backend.seen.go.add_permits(1);
    read_until(&mut stream, "0\r\n\r\n").await;
}

#[tokio::test]
async fn an_upload_reaches_the_app_before_its_end_is_sent() {
    let (world, backend) = world_with_app().await;
    for framing in ["Content-Length: 10", "Transfer-Encoding: chunked"] {
        let before = backend.seen.body_bytes.load(Ordering::SeqCst);
        let mut stream = world.open(&format!("POST /up HTTP/1.1\r\nHost: app.test\r\n{framing}\r\n\r\n")).await;
        let is_chunked = framing.ends_with("chunked");
        stream.write_all(if is_chunked { b"5\r\nhello\r\n" } else { b"hello" }).await.expect("sent");
        eventually("the first half is there", async || backend.seen.body_bytes.load(Ordering::SeqCst) == before + 5)
            .await;
        stream.write_all(if is_chunked { b"5\r\nworld\r\n0\r\n\r\n" } else { b"world" }).await.expect("sent");
        read_until(&mut stream, "\"target\":\"/up\"").await;
        assert_eq!(backend.seen.body_bytes.load(Ordering::SeqCst), before + 10, "{framing}");
    }
}

#[tokio::test]
async fn a_websocket_carries_bytes_both_ways_at_once() {
    let (world, _backend) = world_with_app().await;
    let mut socket = world
        .open("GET /ws HTTP/1.1\r\nHost: app.test\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\r\n")
        .await;
    let head = read_until(&mut socket, "\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 101") && head.to_lowercase().contains("upgrade: websocket"), "{head}");
    for round in 0..20 {
        let text = format!("round {round:02}.");
        socket.write_all(text.as_bytes()).await.expect("sent");
        assert_eq!(read_until(&mut socket, ".").await, text);
    }
    socket.shutdown().await.expect("an open socket");
    world.drained(&["r1".to_owned()]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_of_200_mb_goes_through_a_proxy_that_has_nowhere_to_put_it() {
    let (world, backend) = world_with_app().await;
    let size = 200 << 20;
    let mut stream = world
        .open(&format!("POST /up HTTP/1.1\r\nHost: app.test\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n"))
        .await;
    let piece = vec![b'x'; 1 << 20];
    for _ in 0..size >> 20 {
        stream.write_all(&piece).await.expect("an open connection");
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(backend.seen.body_bytes.load(Ordering::SeqCst), size);
    let memory = world.exec("awk '/VmHWM/ { if ($2 > most) most = $2 } END { print most }' /proc/*/status").await;
    let most: u64 = memory.parse().expect("kilobytes");
    assert!(most < 100 << 10, "a worker took {most} kB");
}
