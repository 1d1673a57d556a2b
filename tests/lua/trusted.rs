//! Whose word about a client is taken, and what an app and the log get to see then.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::ask;
use crate::world::{PATIENCE, Setup, World, eventually};

/// Every test calls from an address of the first of these.
const TRUSTED: &str = "10.198.0.0/16,192.0.2.0/25,2001:db8:f::/47,198.51.100.7";

/// The answer's report of what reached the app after these header lines.
async fn headers(world: &World, lines: &str) -> Value {
    let request = format!("GET / HTTP/1.1\r\nHost: app.test\r\n{lines}Connection: close\r\n\r\n");
    ask(world.target, &request).await.json()["headers"].clone()
}

async fn world(setup: Setup) -> (World, crate::backend::Backend) {
    let world = World::with(setup).await;
    let backend = world.backend("r1").await;
    world.flip(&[world.serving("app", &[&backend])]).await;
    (world, backend)
}

#[tokio::test]
async fn takes_the_rightmost_untrusted_address() {
    let (world, _backend) = world(Setup { trusted_proxies: TRUSTED, ..Setup::default() }).await;
    let own = world.gateway.to_string();
    let long = format!("6.6.6.6, {}203.0.113.9", "192.0.2.1, ".repeat(2000));
    let many = format!("6.6.6.6, {}", "192.0.2.1, ".repeat(40).trim_end_matches(", "));
    for (chain, client) in [
        ("203.0.113.9", "203.0.113.9"),
        ("6.6.6.6, 203.0.113.9", "203.0.113.9"),
        ("6.6.6.6,203.0.113.9 ,  192.0.2.127, 198.51.100.7", "203.0.113.9"),
        // Just outside of what is trusted.
        ("6.6.6.6, 192.0.2.128", "192.0.2.128"),
        ("6.6.6.6, 198.51.100.8", "198.51.100.8"),
        ("6.6.6.6, 2001:db8:10::1", "2001:db8:10::1"),
        ("2001:DB8:0:0::9, 2001:db8:f::1, 2001:db8:e:ffff::1", "2001:db8::9"),
        ("203.0.113.9:4711", "203.0.113.9"),
        ("[2001:db8::9]:4711", "2001:db8::9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        // What is no address ends the chain at the last one that is.
        ("6.6.6.6, unknown, 192.0.2.1", "192.0.2.1"),
        ("6.6.6.6, 1.2.3.4.5", own.as_str()),
        ("6.6.6.6, ", "6.6.6.6"),
        ("192.0.2.1, 192.0.2.2", "192.0.2.1"),
        (long.as_str(), "203.0.113.9"),
        (many.as_str(), "192.0.2.1"),
    ] {
        let seen = headers(&world, &format!("X-Forwarded-For: {chain}\r\n")).await;
        let shown = chain.get(..60).unwrap_or(chain);
        assert_eq!((&seen["x-forwarded-for"], &seen["x-real-ip"]), (&json!(client), &json!(client)), "{shown}");
    }
    let seen = headers(&world, "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 203.0.113.9\r\n").await;
    assert_eq!(seen["x-forwarded-for"], "203.0.113.9", "two lines are one list");
}

#[tokio::test]
async fn believes_a_trusted_proxy_about_scheme_host_and_port() {
    let (world, _backend) = world(Setup { trusted_proxies: TRUSTED, ..Setup::default() }).await;
    for (lines, proto, host, port, forwarded) in [
        ("", "http", "app.test", Value::Null, Value::Null),
        ("X-Forwarded-Proto: https\r\n", "https", "app.test", Value::Null, Value::Null),
        ("X-Forwarded-Proto: HTTPS\r\nX-Forwarded-Port: 8443\r\n", "https", "app.test", json!("8443"), Value::Null),
        (
            "X-Forwarded-Proto: wss\r\nX-Forwarded-Host: shop.example:8443\r\n",
            "https",
            "shop.example:8443",
            Value::Null,
            Value::Null,
        ),
        // The value of the proxy that the client spoke to, not the one that was sent along by the client.
        (
            "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https, http\r\n",
            "http",
            "app.test",
            Value::Null,
            Value::Null,
        ),
        (
            "X-Forwarded-For: 203.0.113.9, 192.0.2.1\r\nX-Forwarded-Proto: https, http\r\n",
            "https",
            "app.test",
            Value::Null,
            Value::Null,
        ),
        (
            "X-Forwarded-For: 203.0.113.9, 192.0.2.1\r\nX-Forwarded-Proto: https\r\n",
            "https",
            "app.test",
            Value::Null,
            Value::Null,
        ),
        // What cannot be meant is replaced as ever.
        (
            "X-Forwarded-Proto: gopher\r\nX-Forwarded-Port: 65536\r\nX-Forwarded-Host: a b\r\n",
            "http",
            "app.test",
            Value::Null,
            Value::Null,
        ),
        (
            "Forwarded: for=6.6.6.6;proto=http;x=\", for=\"[2001:db8::9]:47\";Proto=https;host=\"shop.example\"\r\n",
            "https",
            "shop.example",
            Value::Null,
            json!("for=\"[2001:db8::9]\";proto=https;host=\"shop.example\""),
        ),
        (
            "Forwarded: for=203.0.113.9\r\nX-Forwarded-Proto: https\r\n",
            "https",
            "app.test",
            Value::Null,
            json!("for=\"203.0.113.9\";proto=https;host=\"app.test\""),
        ),
    ] {
        let seen = headers(&world, lines).await;
        let found =
            (&seen["x-forwarded-proto"], &seen["x-forwarded-host"], &seen["x-forwarded-port"], &seen["forwarded"]);
        assert_eq!(found, (&json!(proto), &json!(host), &port, &forwarded), "{lines}");
    }
    // A `Forwarded` beside an `X-Forwarded-For` may be the client's own.
    let seen = headers(&world, "X-Forwarded-For: 203.0.113.9\r\nForwarded: for=6.6.6.6;proto=https\r\n").await;
    assert_eq!((&seen["x-forwarded-for"], &seen["x-forwarded-proto"]), (&json!("203.0.113.9"), &json!("http")));
    assert_eq!(seen["forwarded"], "for=\"203.0.113.9\";proto=http;host=\"app.test\"");
}

#[tokio::test]
async fn replaces_what_an_untrusted_client_claims() {
    let (world, _backend) = world(Setup { trusted_proxies: "192.0.2.0/24", ..Setup::default() }).await;
    let lines = "X-Forwarded-For: 203.0.113.9, 192.0.2.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\n\
                 X-Forwarded-Port: 443\r\nForwarded: for=203.0.113.9;proto=https\r\nX-Real-IP: 203.0.113.9\r\n";
    let seen = headers(&world, lines).await;
    let own = json!(world.gateway.to_string());
    assert_eq!((&seen["x-forwarded-for"], &seen["x-real-ip"]), (&own, &own));
    assert_eq!((&seen["x-forwarded-proto"], &seen["x-forwarded-host"]), (&json!("http"), &json!("app.test")));
    assert_eq!((&seen["x-forwarded-port"], &seen["forwarded"]), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn the_log_has_the_real_client() {
    let (world, _backend) = world(Setup { trusted_proxies: TRUSTED, ..Setup::default() }).await;
    headers(&world, "X-Forwarded-For: 6.6.6.6, 203.0.113.9\r\n").await;
    world.get("nobody.test", "/").await;
    eventually("the client in the log", async || {
        let log = world.logs().await;
        log.contains("\"client\":\"203.0.113.9\"") && log.contains(&format!("\"client\":\"{}\"", world.gateway))
    })
    .await;
}

/// What the app sees after these bytes at the port that takes the PROXY protocol; `None` when nothing answers.
async fn proxied(world: &World, line: &[u8], lines: &str) -> Option<Value> {
    let asking = async {
        let mut stream = TcpStream::connect(SocketAddr::new(world.target.ip(), 8081)).await.expect("a connection");
        let request = format!("GET / HTTP/1.1\r\nHost: app.test\r\n{lines}Connection: close\r\n\r\n");
        stream.write_all(&[line, request.as_bytes()].concat()).await.expect("a sent request");
        let mut text = String::new();
        // It may be reset.
        let _ = stream.read_to_string(&mut text).await;
        let report: Value = serde_json::from_str(text.split_once("\r\n\r\n")?.1).ok()?;
        Some(report["headers"].clone())
    };
    tokio::time::timeout(PATIENCE, asking).await.expect("an end in time")
}

/// Version 2, for TCP over IPv4, from 203.0.113.9 to port `to`.
fn version_2(to: u16) -> Vec<u8> {
    let mut bytes = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    bytes.extend([203, 0, 113, 9, 192, 0, 2, 1, 0x12, 0x67]);
    bytes.extend(to.to_be_bytes());
    bytes
}

#[tokio::test]
async fn takes_the_client_from_the_proxy_protocol() {
    let (world, _backend) = world(Setup { trusted_proxies: TRUSTED, proxy_protocol: true, ..Setup::default() }).await;
    let own = world.gateway.to_string();
    let spoofed = "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\n";
    for (line, lines, client, proto) in [
        (b"PROXY TCP4 203.0.113.9 192.0.2.1 4711 80\r\n".to_vec(), spoofed, "203.0.113.9", "http"),
        (b"PROXY TCP6 2001:db8::9 2001:db8::1 4711 443\r\n".to_vec(), "", "2001:db8::9", "https"),
        (version_2(80), spoofed, "203.0.113.9", "http"),
        (version_2(443), "", "203.0.113.9", "https"),
        // A trusted proxy before the one that speaks the protocol.
        (b"PROXY TCP4 192.0.2.1 192.0.2.1 4711 80\r\n".to_vec(), spoofed, "6.6.6.6", "https"),
        (b"PROXY UNKNOWN\r\n".to_vec(), "", own.as_str(), "http"),
    ] {
        let seen = proxied(&world, &line, lines).await.expect("an answer");
        let found = (&seen["x-forwarded-for"], &seen["x-forwarded-proto"]);
        assert_eq!(found, (&json!(client), &json!(proto)), "{}", line.escape_ascii());
    }
    assert_eq!(proxied(&world, b"", "").await, None, "without the protocol's line");
    // Other apps call without it.
    assert_eq!(world.get("app.test", "/").await.backend(), "r1");
}

#[tokio::test]
async fn ignores_the_proxy_protocol_of_an_untrusted_client() {
    let setup = Setup { trusted_proxies: "192.0.2.0/24", proxy_protocol: true, ..Setup::default() };
    let (world, _backend) = world(setup).await;
    let seen = proxied(&world, b"PROXY TCP4 203.0.113.9 192.0.2.1 4711 443\r\n", "").await.expect("an answer");
    assert_eq!(seen["x-forwarded-for"], json!(world.gateway.to_string()));
    assert_eq!(seen["x-forwarded-proto"], "http");
}
