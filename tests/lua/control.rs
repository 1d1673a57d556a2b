//! What the control API refuses, and who may change what.

use std::time::Duration;

use deploy_apps::model::{AppRecord, Generation, Route};
use deploy_apps::ports::{Probe, Proxy, ProxyError};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::world::{World, change, eventually, key};

#[tokio::test]
async fn a_flip_of_another_generation_or_of_others_routes_changes_nothing() {
    let world = World::start().await;
    let backend = world.backend("r1").await;
    let lease = world.lease(&["one", "two"]).await.expect("free leases");
    let (one, two) = (world.serving("one", &[&backend]), world.serving("two", &[&backend]));
    let flip = async |records: &[&AppRecord], expected: &[u64]| {
        let changes: Vec<_> = records.iter().copied().map(change).collect();
        let expected: Vec<_> = expected.iter().copied().map(Generation).collect();
        world.control.flip(&lease, &changes, &expected).await
    };
    assert_eq!(flip(&[&one], &[0]).await, Ok(Generation(1)));

    // Of two apps in one flip, one is stale: neither changes.
    let moved = flip(&[&two, &one], &[0, 5]).await.expect_err("a moved generation");
    assert_eq!(moved, ProxyError::GenerationMoved { app: key("one"), expected: 5, found: 1 });
    assert_eq!(world.get("two.test", "/").await.status, 404);
    let exists = flip(&[&one], &[0]).await.expect_err("an app that is there");
    assert!(matches!(exists, ProxyError::GenerationMoved { found: 1, .. }), "{exists:?}");

    let mut thief = two.clone();
    thief.routes.push(Route { host: Some("ONE.test".to_owned()), path: "/".to_owned(), strip: false, tls: None });
    let conflict = flip(&[&thief], &[0]).await.expect_err("somebody else's route");
    assert!(
        matches!(&conflict, ProxyError::RouteConflict { app, other, .. } if *app == key("two") && *other == key("one")),
        "{conflict:?}"
    );
    assert_eq!(world.control.state().await.expect("the state").generation, Generation(1));
    assert_eq!(world.get("one.test", "/").await.backend(), "r1");

    // A route may go from one app to another within one flip.
    let mut heir = two;
    heir.routes.push(Route { host: Some("was-one.test".to_owned()), path: "/".to_owned(), strip: false, tls: None });
    let mut giver = one.clone();
    giver.routes[0].host = Some("was-one.test".to_owned());
    assert_eq!(flip(&[&giver], &[1]).await, Ok(Generation(2)));
    giver.routes[0].host = Some("one-again.test".to_owned());
    assert_eq!(flip(&[&heir, &giver], &[0, 2]).await, Ok(Generation(3)));
}

#[tokio::test]
async fn a_lease_keeps_others_out_and_ends_with_its_connection() {
    let world = World::start().await;
    let backend = world.backend("r1").await;
    let record = world.serving("app", &[&backend]);
    let lease = world.lease(&["app", "other"]).await.expect("free leases");
    let held = world.lease(&["third", "app"]).await.err().expect("held");
    assert!(
        matches!(&held, ProxyError::LeaseHeld { app, owner, host, purpose, .. }
        if *app == key("app") && owner == "tester" && host == "bench" && purpose == "test"),
        "{held:?}"
    );
    // All or none: the free one of the two was not kept.
    let third = world.lease(&["third"]).await.expect("a free lease");
    let foreign = world.control.flip(&third, &[change(&record)], &[Generation(0)]).await.expect_err("not its app");
    assert!(matches!(foreign, ProxyError::LeaseLost { .. }), "{foreign:?}");

    drop(lease);
    is_freed(&world, &["app", "other"]).await;
}

/// At the end of its connection: 15 s after the last heartbeat it would be free in any case.
async fn is_freed(world: &World, apps: &[&str]) {
    let freed = async {
        while world.lease(apps).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(8), freed).await.is_ok(), "still leased: {apps:?}");
}

#[tokio::test]
async fn a_lease_ends_with_its_connection_however_its_call_came() {
    let world = World::start().await;
    // Longer than what nginx reads together with a request's head.
    let names: Vec<String> = (0..400).map(|index| format!("app-of-a-long-name-{index:03}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let lease = world.lease(&names).await.expect("free leases");
    assert!(world.lease(&names[7..8]).await.is_err(), "held");
    drop(lease);
    is_freed(&world, &names).await;

    let mut slow = world.raw_control().await;
    let body = json!({ "apps": ["t/slow"], "owner": "o", "host": "h", "purpose": "deploy" }).to_string();
    let head = format!("POST /v1/lease HTTP/1.1\r\nHost: proxy\r\nContent-Length: {}\r\n\r\n", body.len());
    slow.write_all(head.as_bytes()).await.expect("a sent head");
    slow.flush().await.expect("a sent head");
    // The head has been read when later calls are answered, also those of the other worker.
    for _ in 0..20 {
        assert_eq!(world.call("GET", "/v1/state", "").await.0, 200);
    }
    slow.write_all(body.as_bytes()).await.expect("a sent body");
    slow.flush().await.expect("a sent body");
    let mut answer = [0; 1024];
    assert!(slow.read(&mut answer).await.expect("an answer") > 0);
    eventually("it is held", async || world.lease(&["slow"]).await.is_err()).await;
    drop(slow);
    is_freed(&world, &["slow"]).await;
}

#[tokio::test]
async fn a_lease_without_heartbeats_expires_although_its_connection_stays_open() {
    let world = World::start().await;
    let backend = world.backend("r1").await;
    let mut silent = world.raw_control().await;
    let body = json!({ "apps": ["t/app"], "owner": "gone", "host": "laptop", "purpose": "deploy" }).to_string();
    let call = format!("POST /v1/lease HTTP/1.1\r\nHost: proxy\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    silent.write_all(call.as_bytes()).await.expect("a sent call");
    silent.flush().await.expect("a sent call");
    let mut answer = String::new();
    let mut piece = [0; 1024];
    let token = loop {
        let read = silent.read(&mut piece).await.expect("an answer");
        answer.push_str(&String::from_utf8_lossy(&piece[..read]));
        if let Some((_, rest)) = answer.split_once("\"token\":\"") {
            break rest.split('"').next().expect("a token").to_owned();
        }
    };
    let (status, _) = world.call("POST", "/v1/lease/heartbeat", &json!({ "token": token }).to_string()).await;
    assert_eq!(status, 200);
    assert!(world.lease(&["app"]).await.is_err(), "held");

    let mut lease = None;
    eventually("it has expired", async || {
        lease = world.lease(&["app"]).await.ok();
        lease.is_some()
    })
    .await;
    let (status, answer) = world.call("POST", "/v1/lease/heartbeat", &json!({ "token": token }).to_string()).await;
    assert_eq!((status, answer["error"]["code"].as_str()), (410, Some("lease_lost")));
    let flip = json!({ "lease": token, "changes":
        [{ "app": "t/app", "expect": 0, "record": world.serving("app", &[&backend]) }] });
    let (status, answer) = world.call("POST", "/v1/flip", &flip.to_string()).await;
    assert_eq!((status, answer["error"]["code"].as_str()), (410, Some("lease_lost")), "its flip came too late");
}

#[tokio::test]
async fn calls_that_are_not_understood_say_so() {
    let world = World::start().await;
    let lease = world.lease(&["app"]).await.expect("a free lease");
    let code = async |method, path, body: &str| {
        let (status, answer) = world.call(method, path, body).await;
        (status, answer["error"]["code"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(code("GET", "/v2/state", "").await, (404, "unknown_call".to_owned()));
    assert_eq!(code("POST", "/v1/flip", "{").await, (400, "bad_json".to_owned()));
    assert_eq!(code("POST", "/v1/flip", "[]").await, (400, "bad_json".to_owned()));
    assert_eq!(code("POST", "/v1/lease/heartbeat", "{}").await, (410, "lease_lost".to_owned()));

    let mut record = serde_json::to_value(world.record("app", vec![world.peer("r1", 80)])).expect("JSON");
    let mut refused = async |field: &str, value: serde_json::Value| {
        let kept = std::mem::replace(record.pointer_mut(field).expect("a field"), value);
        let flip = json!({ "lease": "x", "changes": [{ "app": "t/app", "expect": 0, "record": record }] });
        let (status, answer) = world.call("POST", "/v1/flip", &flip.to_string()).await;
        *record.pointer_mut(field).expect("a field") = kept;
        assert_eq!((status, answer["error"]["code"].as_str()), (422, Some("invalid_record")), "{field}: {answer}");
        answer["error"]["field"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(refused("/peers/0/address", json!("example.com")).await, "peers[0].address");
    assert_eq!(refused("/peers/0/port", json!(70_000)).await, "peers[0].port");
    assert_eq!(refused("/routes/0/path", json!("/a/../b")).await, "routes[0].path");
    assert_eq!(refused("/routes/0/host", json!("two words")).await, "routes[0].host");
    assert_eq!(refused("/balance", json!("random")).await, "balance");
    assert_eq!(world.control.state().await.expect("the state").generation, Generation(0));
    drop(lease);
}

#[tokio::test]
async fn a_probe_goes_the_way_of_the_traffic_and_says_what_it_met() {
    let world = World::start().await;
    let backend = world.backend("r1").await;
    let probe = async |port: u16, path: &str, timeout_ms| {
        let (host, timeout) = ("app.test".to_owned(), Duration::from_millis(timeout_ms));
        let probe = Probe { address: world.gateway, port, path: path.to_owned(), host, timeout };
        world.control.probe(&probe).await.expect("an answer of the proxy")
    };
    let healthy = probe(backend.port, "/healthz", 1000).await;
    assert!(healthy.healthy && healthy.status == Some(200), "{healthy:?}");
    let said: serde_json::Value = serde_json::from_str(&healthy.body.expect("a body")).expect("JSON");
    assert_eq!((&said["target"], &said["headers"]["host"]), (&json!("/healthz"), &json!("app.test")));

    let late = probe(backend.port, "/hold", 100).await;
    assert!(!late.healthy && late.error.as_deref().is_some_and(|error| error.contains("100 ms")), "{late:?}");
    let refused = probe(closed_port(&world), "/", 1000).await;
    assert_eq!(refused.error.as_deref(), Some("connection refused"));
}

/// A port on which nobody listens any more.
pub fn closed_port(world: &World) -> u16 {
    let listener = std::net::TcpListener::bind((world.gateway, 0)).expect("a free port");
    listener.local_addr().expect("an address").port()
}
