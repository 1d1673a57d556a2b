//! What is open at the flip ends on the version on which it began.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::harness::{App, Connection, Scenario, sum};

/// Longer than the ten seconds after which most deployers kill what is still open.
const SLEEP: &str = "/sleep?for=25s";
const SLEEPERS: u64 = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_of_25_seconds_begun_before_the_flip_finish_on_the_old_version() {
    let host = Scenario::new("sleepers").app(App::new("web").replicas(2)).start().await;
    host.deploy(&["web"]).await.succeeded();
    let mut deploy = host.cli(&["web", "--force", "--format", "json"]).spawn();
    // The new replicas are on their way: the flip is less than a second ahead.
    deploy.event("replica_started").await;
    let mut sleepers = JoinSet::new();
    for _ in 0..SLEEPERS {
        let mut connection = Connection::open(&host, "web").await;
        connection.send("GET", SLEEP, b"").await;
        sleepers.spawn(async move { connection.answer().await });
    }
    deploy.event("flipped").await;
    let now = host.get("web", "/").await.body;
    assert!(now.contains("(r2,"), "the new version serves while the old one drains: {now}");

    let output = deploy.finish().await.succeeded();
    let drained = output.events("drained");
    assert_eq!(sum(&drained, "/cut/requests"), 0, "{output}");
    let on_old = sum(&drained, "/waited/requests");
    let answers = sleepers.join_all().await;
    for answer in &answers {
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(answer.body.starts_with("slept 25s in web"), "{answer:?}");
    }
    let said_old = answers.iter().filter(|answer| answer.body.contains("(r1,")).count();
    assert_eq!(said_old as u64, on_old, "each one that the drain waited for ended on the old version");
    assert!(on_old > 0, "no request was open at the flip\n{output}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_in_progress_at_the_flip_arrives_whole_on_the_old_version() {
    const BYTES: usize = 16 << 20;
    let half = vec![b'x'; BYTES / 2];
    let host = Scenario::new("upload").app(App::new("web")).start().await;
    host.deploy(&["web"]).await.succeeded();
    let mut upload = Connection::open(&host, "web").await;
    upload.begin("POST", "/upload", BYTES).await;
    upload.write(&half).await;
    host.in_flight("web", |open| open.requests == 1).await;

    let mut deploy = host.cli(&["web", "--force", "--format", "json"]).spawn();
    deploy.event_where("drain_progressed", |event| event["left"]["requests"] == 1).await;
    upload.write(&half).await;
    let answer = upload.answer().await;
    let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    assert_eq!((answer.status, body), (200, json!({ "bytes": BYTES, "release": "r1" })));
    let output = deploy.finish().await.succeeded();
    assert_eq!(sum(&output.events("drained"), "/cut/requests"), 0, "{output}");

    // The same connection goes on, now to the new version.
    upload.send("POST", "/upload", b"more").await;
    assert_eq!(upload.answer().await.body, r#"{"bytes":4,"release":"r2"}"#);
    host.runs(&["web-r2-1"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooled_connection_may_post_at_any_moment_around_the_flip() {
    const CONNECTIONS: usize = 300;
    let host = Scenario::new("pooled").app(App::new("web").replicas(2)).start().await;
    host.deploy(&["web"]).await.succeeded();
    let mut pool = Vec::new();
    for _ in 0..CONNECTIONS {
        pool.push(Connection::pooled(&host, "web").await);
    }
    let after = pool.split_off(CONNECTIONS - 20);
    assert!(!wake(pool.pop().expect("a connection")).await, "the new version before any deploy");
    let mut deploy = host.cli(&["web", "--force", "--format", "json"]).spawn();
    deploy.event("replica_started").await;
    // One after the other wakes up for one POST, while the flip and the stop of the old replicas go on.
    let posts = tokio::spawn(async move {
        let mut by_new = Vec::new();
        for connection in pool {
            by_new.push(wake(connection).await);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        by_new
    });
    deploy.finish().await.succeeded();
    let by_new = posts.await.expect("every post answered");
    assert!(by_new.is_sorted(), "no way back to the old version: {by_new:?}");
    // These were idle through all of it.
    for connection in after {
        assert!(wake(connection).await, "the old version after the deploy");
    }
}

/// One POST on a connection that was idle; says whether the new version answered.
async fn wake(mut connection: Connection) -> bool {
    connection.send("POST", "/upload", b"again").await;
    let answer = connection.answer().await;
    match (answer.status, answer.body.as_str()) {
        (200, r#"{"bytes":5,"release":"r1"}"#) => false,
        (200, r#"{"bytes":5,"release":"r2"}"#) => true,
        _ => panic!("{answer:?}"),
    }
}
