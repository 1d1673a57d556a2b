//! The repository's own sample system, as its README tells the story.

use std::fs;
use std::time::Duration;

use deploy_apps::load::{Expect, Traffic};
use serde_json::Value;

use crate::harness::{Host, none_lost, sample};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sample_apps_are_deployed_edited_and_redeployed_without_a_lost_request() {
    let host = sample("sample").await;
    host.deploy(&["go-app", "node-app"]).await.succeeded().says("✔ http://go-app.localhost:");
    for app in ["go-app", "node-app"] {
        let greeting = host.get(app, "/").await.body;
        assert!(greeting.starts_with(&format!("Hi from {app} ")), "{greeting}");
        // The second route of each: a path on any host, which the app does not see.
        let path = format!("/{app}/version");
        assert_eq!(version(&host, "localhost", &path).await["release"], "r1");
    }

    let mut loads = Vec::new();
    for app in ["go-app", "node-app"] {
        let config = host
            .steady(app)
            .send(2, Traffic::get("/slow"))
            .send(2, Traffic::upload("/upload", 1 << 20, Duration::from_secs(2)))
            .send(2, Traffic::sleeper("/sleep?for=3s"))
            .send(2, Traffic::sse("/events"))
            .send(2, Traffic::websocket("/ws"))
            .send(1, Traffic::post("/upload", Expect::ByteCount))
            .keep_streams_for(Duration::from_secs(2));
        loads.push(host.start(config).await);
    }
    host.deploy(&["go-app", "node-app", "--force"]).await.succeeded();

    // An edit of one app is a deploy of that one only.
    fs::write(host.folder().join("apps/go-app/VERSION"), "9.8.7\n").expect("a writable folder");
    let output = host.deploy(&["go-app", "node-app"]).await.succeeded();
    let line = |app: &str| output.stdout.lines().find(|line| line.starts_with(app)).unwrap_or_default().to_owned();
    assert!(line("go-app").contains("r2 → r3") && line("go-app").contains("9.8.7+3"), "{output}");
    assert!(line("node-app").contains("up to date (routes confirmed)"), "{output}");
    assert_eq!(version(&host, "go-app", "/version").await["version"], "9.8.7+3");
    assert!(host.get("go-app", "/").await.body.contains("9.8.7+3"));

    for load in loads {
        none_lost(&load.stop().await);
    }
    host.runs(&["go-app-r3-1", "go-app-r3-2", "node-app-r2-1", "node-app-r2-2"]).await;
}

async fn version(host: &Host, app: &str, path: &str) -> Value {
    let answer = host.get(app, path).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    serde_json::from_str(&answer.body).expect("JSON")
}
