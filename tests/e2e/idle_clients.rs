//! Pools of clients: connections that nothing was sent on for a long time, used again in the worst moment.

use std::time::Duration;

use futures_util::future::join_all;

use crate::harness::{App, Connection, Scenario};

const CONNECTIONS: u32 = 110;
/// Between one connection's only request and that of the next.
const APART: Duration = Duration::from_millis(500);
/// How long the last one has been idle; the first one for a minute then.
const SHORTEST: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_idle_for_5_to_60_seconds_post_at_the_moment_of_the_flip() {
    let host = Scenario::new("idle").app(App::new("web").replicas(2)).start().await;
    host.deploy(&["web"]).await.succeeded();
    let mut pool = Vec::new();
    for _ in 0..CONNECTIONS {
        pool.push(Connection::pooled(&host, "web").await);
        // Not a wait for anything: the idle time itself is what is tested.
        tokio::time::sleep(APART).await;
    }
    tokio::time::sleep(SHORTEST).await;

    let mut deploy = host.cli(&["web", "--force", "--format", "json"]).spawn();
    let mut by_turns: [Vec<Connection>; 3] = Default::default();
    pool.into_iter().enumerate().for_each(|(at, connection)| by_turns[at % 3].push(connection));
    let [before, during, after] = by_turns;
    // Each third has connections of every idle time. The first is sent while the replicas are looked at a last time.
    deploy
        .event_where("step_started", |event| event["step"].as_str().is_some_and(|step| step.starts_with("recheck")))
        .await;
    let before = tokio::spawn(post_all(before));
    deploy
        .event_where("step_started", |event| event["step"].as_str().is_some_and(|step| step.starts_with("flip")))
        .await;
    let during = tokio::spawn(post_all(during));
    deploy.event("flipped").await;
    for release in post_all(after).await {
        assert_eq!(release, "r2", "the flip was acknowledged before this was sent");
    }
    for release in [before.await, during.await].map(|answers| answers.expect("all answered")).concat() {
        assert!(["r1", "r2"].contains(&&*release), "`{release}` serves neither before nor after");
    }
    deploy.finish().await.succeeded();
    host.is_clean(&["web-r2-1", "web-r2-2"]).await;
}

/// One POST on each, all at once; returns which releases have answered.
async fn post_all(pool: Vec<Connection>) -> Vec<String> {
    join_all(pool.into_iter().map(async |mut connection| {
        connection.send("POST", "/upload", b"again").await;
        let answer = connection.answer().await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let body: serde_json::Value = serde_json::from_str(&answer.body).expect("JSON");
        assert_eq!(body["bytes"], 5, "{answer:?}");
        body["release"].as_str().expect("a release").to_owned()
    }))
    .await
}
