//! `dice` of the sample system.

use std::collections::BTreeSet;
use std::time::Duration;

use deploy_apps::load::Traffic;

use crate::harness::{none_lost, sample};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dice_are_thrown_through_redeploy_scale_and_rollback_without_a_lost_request() {
    let host = sample("dice").await;
    host.deploy(&["dice"]).await.succeeded();
    let load = host.start(host.load("dice").send_every(4, Duration::from_millis(20), Traffic::get("/"))).await;
    for args in [&["dice", "--force"][..], &["scale", "dice=3"], &["scale", "dice=1"], &["rollback", "dice"]] {
        host.deploy(args).await.succeeded();
    }
    let mut sides = BTreeSet::new();
    for _ in 0..200 {
        sides.insert(host.get("localhost", "/dice/").await.body);
    }
    let wanted: BTreeSet<String> = (1..=6).map(|side| format!(r#"{{"roll":{side}}}"#)).collect();
    assert_eq!(sides, wanted);
    none_lost(&load.stop().await);
    // One replica, one process: its own count is the whole count.
    let told = host.get("dice", "/metrics").await.body;
    let counted =
        told.lines().find_map(|line| line.strip_prefix(r#"http_requests_total{method="GET",route="/",status="200"} "#));
    assert!(counted.and_then(|count| count.parse::<f64>().ok()).is_some_and(|count| count >= 200.0), "{told}");
}
