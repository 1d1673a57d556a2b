//! The gate asks through nginx: what nginx will refuse from an app later is refused before the app serves.

use std::time::Duration;

use deploy_apps::ports::{Probe, ProbeAnswer, Proxy};
use tokio::io::AsyncWriteExt;

use crate::raw::{Raw, Say};
use crate::world::{World, eventually};

async fn probe(world: &World, port: u16, timeout: Duration) -> ProbeAnswer {
    let (path, host) = ("/healthz".to_owned(), "app.test".to_owned());
    let probe = Probe { address: world.gateway, port, path, host, timeout };
    world.control.probe(&probe).await.expect("an answer of the proxy")
}

const SOON: Duration = Duration::from_secs(20);

#[tokio::test]
async fn refuses_what_nginx_refuses_and_says_why() {
    let world = World::start().await;
    let long = format!("HTTP/1.1 200 OK\r\nX-Long: {}\r\nContent-Length: 2\r\n\r\nok", "x".repeat(40_000));
    let cases: &[(&str, &str)] = &[
        (&long, "too big header"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", "Content-Length"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "at the same time"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nok", "Transfer-Encoding"),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "Transfer-Encoding",
        ),
        ("HTTP/1.1 200 OK\r\nX Foo: 1\r\nContent-Length: 2\r\n\r\nok", "invalid header"),
        ("HTTP/1.1 200 OK\r\nX-A: 1\r\n folded\r\nContent-Length: 2\r\n\r\nok", "invalid header"),
    ];
    for (answer, why) in cases {
        let backend = Raw::saying(world.gateway, answer).await;
        let found = probe(&world, backend.port, SOON).await;
        let error = found.error.clone().unwrap_or_default();
        let begins: String = answer.chars().take(80).collect();
        assert!(!found.healthy && found.status.is_none(), "`{begins}` passes the gate: {found:?}");
        assert!(error.starts_with("nginx refuses the answer: upstream sent"), "`{begins}`: {error}");
        assert!(error.contains(why) && !error.contains("client:"), "`{begins}`: {error}");
    }
}

#[tokio::test]
async fn passes_what_nginx_passes() {
    let world = World::start().await;
    let cases = [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, "ok"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n", 200, "ok"),
        ("HTTP/1.1 204 No Content\r\n\r\n", 204, ""),
        ("HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n", 302, ""),
        // It never ends, and is an answer none the less.
        ("HTTP/1.1 200 OK\r\n\r\nstream", 200, "stream"),
    ];
    for (answer, status, body) in cases {
        let backend = Raw::saying(world.gateway, answer).await;
        let found = probe(&world, backend.port, SOON).await;
        assert!(found.healthy && found.status == Some(status), "`{answer}`: {found:?}");
        assert_eq!(found.body.as_deref(), Some(body), "`{answer}`");
    }
    for status in [404, 500, 502, 503] {
        let backend = Raw::saying(world.gateway, format!("HTTP/1.1 {status} X\r\nContent-Length: 3\r\n\r\nown")).await;
        let found = probe(&world, backend.port, SOON).await;
        assert!(!found.healthy, "{found:?}");
        assert_eq!((found.status, found.body.as_deref()), (Some(status), Some("own")), "the app's own answer");
    }
}

#[tokio::test]
async fn says_how_an_answer_ended_too_early() {
    let world = World::start().await;
    for (answer, why) in [
        ("", "connection closed before an answer"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", "prematurely closed connection"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "invalid chunked response"),
    ] {
        let backend = Raw::start(world.gateway, Say::Hasty(answer.into())).await;
        let found = probe(&world, backend.port, SOON).await;
        assert!(!found.healthy && found.error.as_deref().is_some_and(|error| error.contains(why)), "{why}: {found:?}");
    }
}

/// Memory of all of the proxy's processes.
async fn memory_kb(world: &World) -> u64 {
    let sum = world.exec("cat /proc/[0-9]*/status | sed -n 's/^RssAnon:[^0-9]*\\([0-9]*\\).*/\\1/p'").await;
    sum.lines().filter_map(|line| line.parse::<u64>().ok()).sum()
}

#[tokio::test]
async fn an_endless_head_fills_nothing() {
    let world = World::start().await;
    let say = Say::Endless {
        first: b"HTTP/1.1 200 OK\r\nX-Endless: ".to_vec(),
        again: vec![b'x'; 64 << 10],
        pause: Duration::ZERO,
    };
    let backend = Raw::start(world.gateway, say).await;
    let before = memory_kb(&world).await;
    for _ in 0..20 {
        let found = probe(&world, backend.port, SOON).await;
        assert!(found.error.as_deref().is_some_and(|error| error.contains("too big header")), "{found:?}");
    }
    let after = memory_kb(&world).await;
    assert!(after < before + 8 * 1024, "the proxy grew from {before} to {after} KB");
}

#[tokio::test]
async fn a_slow_head_ends_with_the_time_or_with_the_caller() {
    let world = World::start().await;
    let say =
        Say::Endless { first: b"HTTP/1.1 200 OK\r\n".to_vec(), again: b"x".to_vec(), pause: Duration::from_millis(50) };
    let backend = Raw::start(world.gateway, say).await;
    let found = probe(&world, backend.port, Duration::from_millis(300)).await;
    assert_eq!(found.error.as_deref(), Some("no answer within 300 ms"));
    eventually("nobody asks any more", async || backend.open() == 0).await;

    let mut channel = world.raw_control().await;
    let body = format!(r#"{{"address":"{}","port":{},"timeout_ms":60000}}"#, world.gateway, backend.port);
    let head = format!("POST /v1/probe HTTP/1.1\r\nHost: proxy\r\nContent-Length: {}\r\n\r\n", body.len());
    channel.write_all(format!("{head}{body}").as_bytes()).await.expect("a sent call");
    channel.flush().await.expect("a sent call");
    eventually("it is asked", async || backend.open() == 1).await;
    drop(channel);
    eventually("nobody asks for a caller that has gone", async || backend.open() == 0).await;
}
