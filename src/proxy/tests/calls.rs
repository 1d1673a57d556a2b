//! Each call's request and answer, as the contract writes them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, json};

use super::*;
use crate::model::{AppKey, InFlight, ObservedApp, StoredRelease};
use crate::plan::Serving;
use crate::ports::{Probe, ProxyVersion};

#[tokio::test]
async fn the_version_tells_api_and_build() {
    let proxy = ProxyInMemory::new(|_| Reply::Close);
    let expected = ProxyVersion { api: 1, build: "b1".to_owned(), serving: Serving::default(), now_ms: 0 };
    assert_eq!(proxy.client().version().await, Ok(expected));
}

#[tokio::test]
async fn the_state_lists_apps_with_and_without_a_record() {
    let record_as_text = serde_json::to_value(record()).expect("a plain struct");
    let proxy = ProxyInMemory::new(move |_| {
        Reply::Json(
            200,
            json!({
                "api": 1, "build": "b1", "generation": 42, "unknown": {"to": "us"},
                "apps": {
                    "sample/go-app": {"generation": 42, "last_release": 8, "served": [7, 8], "record": record_as_text},
                    "sample/old-app": {"generation": 0, "last_release": 3, "record": null},
                },
                "in_flight": {"sample-go-app-r7-1": {"requests": 3, "websockets": 1}},
                "leases": [{"app": "sample/go-app", "owner": "ann", "host": "laptop", "since": 1_763_640_000_000_u64}],
            }),
        )
    });
    let state = proxy.client().state().await.expect("a state");
    assert_eq!(state.generation, Generation(42));
    let routed = ObservedApp {
        generation: Generation(42),
        last_release: ReleaseNumber(8),
        served: vec![ReleaseNumber(7), ReleaseNumber(8)],
        record: Some(record()),
    };
    let gone =
        ObservedApp { generation: Generation(0), last_release: ReleaseNumber(3), served: Vec::new(), record: None };
    assert_eq!(state.apps[&key("sample/go-app")], routed);
    assert_eq!(state.apps[&key("sample/old-app")], gone);
    assert_eq!(state.in_flight["sample-go-app-r7-1"], InFlight { requests: 3, websockets: 1 });
}

#[tokio::test]
async fn a_release_is_stored_read_and_forgotten_as_the_contract_writes_it() {
    let proxy = ProxyInMemory::new(|seen| match seen.call.as_str() {
        "POST /v1/release" => Reply::Json(200, json!({"at": 1})),
        "POST /v1/releases/forget" => Reply::Json(200, json!({"forgotten": 1})),
        _ => Reply::Json(
            200,
            json!({"releases": [
                {"at": 5, "app": "sample/go-app", "release": 9, "of": "a version to come"},
                {"at": 4, "app": "sample/go-app", "release": 8, "version": "1.4.0+8", "identity": "1f", "image": "d",
                 "port": 8080, "health": {"path": "/healthz"}, "container": {"command": []}, "owner": "ann", "new": 1},
            ]}),
        ),
    });
    let (client, app) = (proxy.client(), key("sample/go-app"));
    let kept = client.releases(std::slice::from_ref(&app)).await.expect("releases");
    let [kept] = &kept[&app][..] else { panic!("what is not understood is left out: {kept:?}") };
    assert_eq!((kept.number, kept.at, kept.owner.as_str()), (ReleaseNumber(8), 4, "ann"));
    assert_eq!((kept.health.path.as_str(), kept.health.successes), ("/healthz", 2), "what is missing has its default");

    let document = serde_json::to_value(kept).expect("a plain struct");
    client.store_release(&app, ReleaseNumber(8), document).await.expect("stored");
    client.forget_releases(&app, &[ReleaseNumber(3), ReleaseNumber(4)]).await.expect("forgotten");
    let seen = proxy.seen();
    assert_eq!(proxy.calls(), ["GET /v1/releases?app=sample/go-app", "POST /v1/release", "POST /v1/releases/forget"]);
    assert_eq!((&seen[1].body["app"], &seen[1].body["release"]), (&json!("sample/go-app"), &json!(8)));
    assert_eq!(seen[1].body["container"]["command"], json!([]));
    assert_eq!(seen[1].body.get("at"), None, "the proxy says when");
    assert_eq!(seen[2].body, json!({"app": "sample/go-app", "releases": [3, 4]}));
}

#[tokio::test]
async fn releases_of_several_apps_are_one_call_or_one_each_of_a_proxy_from_before() {
    let of = |number: u64| {
        json!([{"at": 4, "release": number, "version": "1", "identity": "1f", "image": "d",
        "health": {}, "container": {}, "owner": "ann"}])
    };
    let proxy = ProxyInMemory::new(move |_| Reply::Json(200, json!({"apps": {"sample/a": of(1), "sample/b": of(2)}})));
    let keys = [key("sample/a"), key("sample/b")];
    let numbers = |kept: BTreeMap<AppKey, Vec<StoredRelease>>| -> Vec<Vec<u32>> {
        keys.iter().map(|app| kept[app].iter().map(|stored| stored.number.0).collect()).collect()
    };
    assert_eq!(numbers(proxy.client().releases(&keys).await.expect("releases")), [[1], [2]]);
    assert_eq!(proxy.calls(), ["GET /v1/releases?app=sample/a&app=sample/b"]);

    let proxy = ProxyInMemory::new(move |seen| match seen.call.matches("app=").count() {
        1 => Reply::Json(200, json!({"releases": of(if seen.call.ends_with('a') { 1 } else { 2 })})),
        _ => error(422, "invalid_release", json!({"field": "app"})),
    });
    assert_eq!(numbers(proxy.client().releases(&keys).await.expect("releases")), [[1], [2]]);
    assert_eq!(proxy.calls().len(), 3);
}

#[tokio::test]
async fn a_proxy_from_before_a_call_is_told_from_one_of_another_api() {
    let proxy = ProxyInMemory::new(|_| error(404, "unknown_call", json!({"api": 1})));
    let refused = proxy.client().releases(&[key("sample/go-app")]).await.expect_err("an old proxy");
    let call = "GET /v1/releases?app=sample/go-app".to_owned();
    assert_eq!(refused, crate::ports::ProxyError::TooOld { proxy: "deploy-apps".to_owned(), call });
}

#[tokio::test]
async fn a_flip_carries_the_lease_the_expected_generations_and_the_whole_records() {
    let proxy = granting(|_| Reply::Json(200, json!({"generation": 43})));
    assert_eq!(flip(&proxy).await, Ok(Generation(43)));
    let sent = proxy.seen().pop().expect("a call");
    assert_eq!(sent.call, "POST /v1/flip");
    let change = json!({
        "app": "sample/go-app",
        "expect": 41,
        "record": {
            "project": "sample", "app": "go-app", "release": 8, "version": "1.4.0+8",
            "routes": [
                {"host": "go-app.localhost", "path": "/", "strip": false},
                {"host": null, "path": "/go-app", "strip": true},
            ],
            "balance": "least_connections",
            "hold_ms": 0,
            "peers": [{
                "id": "sample-go-app-r8-1", "address": "10.201.4.7", "port": 8080,
                "release": 8, "replica": 1, "version": "1.4.0+8",
            }],
        },
    });
    assert_eq!(sent.body, json!({"lease": "t1", "changes": [change]}));
}

#[tokio::test]
async fn a_probe_tells_the_status_or_why_there_was_none() {
    let mut answers = vec![
        json!({"ok": false, "status": null, "error": "connection refused", "body": null, "duration_ms": 0}),
        json!({"ok": true, "status": 200, "error": null, "body": "ready", "duration_ms": 3}),
    ];
    let proxy = ProxyInMemory::new(move |_| Reply::Json(200, answers.pop().expect("two calls")));
    let client = proxy.client();
    let probe = Probe {
        address: Ipv4Addr::new(10, 201, 4, 7),
        port: 8080,
        path: "/healthz".to_owned(),
        host: "go-app.localhost".to_owned(),
        timeout: Duration::from_millis(1000),
    };
    let good = client.probe(&probe).await.expect("an answer");
    assert!(good.healthy && good.status == Some(200) && good.body.as_deref() == Some("ready"));
    let bad = client.probe(&probe).await.expect("an answer");
    assert!(!bad.healthy);
    assert_eq!(bad.to_string(), "connection refused");
    let expected = json!({
        "address": "10.201.4.7", "port": 8080, "path": "/healthz", "host": "go-app.localhost", "timeout_ms": 1000,
    });
    assert_eq!(proxy.seen()[0].body, expected);
}

#[tokio::test]
async fn a_drain_leaves_out_what_is_not_known_yet() {
    let proxy = ProxyInMemory::new(|_| Reply::Json(200, json!({"requests": 3, "websockets": 1, "peers": {}})));
    let client = proxy.client();
    let peers = ["sample-go-app-r7-1".to_owned()];
    let first = client.in_flight(&peers, None, Duration::from_secs(2)).await.expect("a count");
    assert_eq!(first, InFlight { requests: 3, websockets: 1 });
    client.in_flight(&peers, Some(first), Duration::from_micros(1500)).await.expect("a count");
    let bodies: Vec<_> = proxy.seen().into_iter().map(|seen| seen.body).collect();
    assert_eq!(bodies[0], json!({"peers": peers, "wait_ms": 2000}));
    assert_eq!(bodies[1], json!({"peers": peers, "wait_ms": 2, "known": {"requests": 3, "websockets": 1}}));
}

#[tokio::test]
async fn history_is_written_with_its_details_and_read_newest_first() {
    let proxy = ProxyInMemory::new(|seen| match seen.call.as_str() {
        "POST /v1/history" => Reply::Json(200, json!({"at": 1})),
        _ => Reply::Json(200, json!({"records": [{"at": 2}, {"at": 1}]})),
    });
    let client = proxy.client();
    let app = key("sample/go-app");
    let mut details = Map::new();
    details.insert("version".to_owned(), json!("1.4.0+8"));
    client.record(&app, ReleaseNumber(8), "started", details).await.expect("recorded");
    let records = client.history(&app, 50).await.expect("records");
    assert_eq!(records, [json!({"at": 2}), json!({"at": 1})]);
    assert_eq!(proxy.calls(), ["POST /v1/history", "GET /v1/history?app=sample/go-app&limit=50"]);
    let written = json!({"app": "sample/go-app", "release": 8, "event": "started", "version": "1.4.0+8"});
    assert_eq!(proxy.seen()[0].body, written);
}
