//! Each failure that a deploy could cause is caused here on purpose, by small servers on plain sockets: a detection that
//! no longer detects fails these tests.

mod begin;
mod server;
mod short;
mod streams;

use std::net::SocketAddr;
use std::time::Duration;

use super::*;

/// Load that sends `requests` and then is done; slow only if something hangs.
fn config(target: SocketAddr, requests: u64, traffic: Traffic) -> LoadConfig {
    LoadConfig {
        timeout: Duration::from_millis(250),
        long_timeout: Duration::from_millis(400),
        ..LoadConfig::new(target, "app.localhost").send(1, traffic).bounded(Duration::from_secs(20), requests)
    }
}

/// Runs to the bound of requests.
async fn run(config: LoadConfig) -> Report {
    let load = Load::start(config).await.expect("load that can be sent");
    load.bound_reached().await;
    load.stop().await
}

/// Waits for a state of the run, but not for ever: a detection that fails must show as a failed test, not as a hang.
async fn reached(load: &Load, state: impl Fn(Progress) -> bool) {
    let polling = async {
        while !state(load.progress()) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), polling).await.expect("the state within 10 s");
}

/// Sends `requests` of one kind and gives the count of the only cause they failed by, if any.
async fn only_cause(target: SocketAddr, requests: u64, traffic: Traffic) -> (u64, Option<Cause>) {
    let report = run(config(target, requests, traffic)).await;
    assert!(report.failed.len() <= 1, "more than one cause:\n{report}");
    assert_eq!(report.ok + report.failures(), requests, "a request without a result:\n{report}");
    (report.failures(), report.failed.keys().next().copied())
}
