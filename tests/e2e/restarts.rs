//! `restart`, `stop` and `start`: what serves, without its being deployed again.

use std::collections::BTreeSet;

use serde_json::json;

use crate::harness::{App, Host, Scenario, none_lost};

async fn names(host: &Host) -> BTreeSet<String> {
    host.containers().await.into_iter().map(|container| container.name).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_loses_nothing_start_first_and_stop_first() {
    let host = Scenario::new("restart").app(App::new("web").replicas(2)).app(App::new("db").stop_first()).start().await;
    host.deploy(&["web", "db"]).await.succeeded();
    let before = names(&host).await;
    let loads = [host.steady_load("web").await, host.steady_load("db").await];
    for _ in 0..2 {
        host.deploy(&["restart", "web", "db"]).await.succeeded();
    }
    for load in loads {
        none_lost(&load.stop().await);
    }
    let after = names(&host).await;
    assert_eq!(after.len(), 3, "{after:?}");
    assert!(after.is_disjoint(&before), "{before:?} {after:?}");
    let record = host.record("web").await.expect("a record");
    assert_eq!((record.release.0, record.peers.len()), (1, 2), "the same release");
    let runs = host.cli(&["history", "web", "--format", "json"]).run().await.document("history");
    assert_eq!(runs["runs"][0]["purpose"], json!("restart"), "{runs:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_app_answers_503_and_comes_back_with_its_replicas() {
    let host = Scenario::new("stop-start").app(App::new("web")).start().await;
    host.deploy(&["web"]).await.succeeded();
    host.deploy(&["scale", "web=3"]).await.succeeded();
    let load = host.steady_load("web").await;
    none_lost(&load.stop().await);
    host.deploy(&["stop", "web"]).await.succeeded();
    assert_eq!((host.get("web", "/").await.status, names(&host).await.len()), (503, 0));
    let status = host.cli(&["status", "--format", "json"]).run().await.succeeded().document("status");
    assert_eq!(status["apps"][0]["state"], json!("stopped"), "{status:#}");
    host.deploy(&["restart", "web"]).await.exited(6).says("app `");
    host.deploy(&["start", "web"]).await.succeeded();
    assert_eq!((host.get("web", "/").await.status, names(&host).await.len()), (200, 3));
}
