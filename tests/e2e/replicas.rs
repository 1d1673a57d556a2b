//! How many replicas run, and how many are replaced at a time.

use serde_json::json;

use crate::harness::{App, Host, Scenario, none_lost, sum};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_are_added_and_taken_away_under_load_without_a_new_release() {
    let mut host = Scenario::new("scale").app(App::new("web")).start().await;
    host.deploy(&["web"]).await.succeeded();
    let load = host.start(host.steady("web")).await;

    host.change("web", |app| app.replicas(4));
    host.deploy(&["web"]).await.succeeded();
    host.runs(&["web-r1-1", "web-r1-2", "web-r1-3", "web-r1-4"]).await;
    assert_eq!(peers(&host).await, 4);

    host.change("web", |app| app.replicas(2));
    let output = host.deploy(&["web", "--format", "json"]).await.succeeded();
    assert_eq!(output.events("drained").len(), 2, "each replica that goes is drained as in a deploy\n{output}");
    assert_eq!(sum(&output.events("drained"), "/cut/requests"), 0, "{output}");
    assert_eq!(peers(&host).await, 2);
    assert_eq!(host.containers().await.len(), 2);

    none_lost(&load.stop().await);
    host.deploy(&["web"]).await.succeeded().says("up to date");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_replicas_are_replaced_one_after_the_other_where_parallelism_is_1() {
    let one_by_one = App::new("web").replicas(3).set("/deploy/update_config/parallelism", json!(1));
    let host = Scenario::new("one-by-one").app(one_by_one).start().await;
    host.deploy(&["web"]).await.succeeded();
    let load = host.start(host.steady("web")).await;

    let output = host.deploy(&["web", "--force", "--format", "json"]).await.succeeded();
    none_lost(&load.stop().await);
    let facts: Vec<String> = output
        .stdout
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter_map(|event| event["event"].as_str().map(str::to_owned))
        .filter(|fact| matches!(fact.as_str(), "replica_started" | "flipped" | "replica_stopped"))
        .collect();
    let each = ["replica_started", "flipped", "replica_stopped"];
    assert_eq!(facts, each.repeat(3), "never more than one replica above the desired number\n{output}");
    host.runs(&["web-r2-1", "web-r2-2", "web-r2-3"]).await;
}

async fn peers(host: &Host) -> usize {
    host.record("web").await.expect("a record").peers.len()
}
