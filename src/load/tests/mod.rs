//! Causes each failure that a deploy could cause, with small servers on plain sockets, and checks that it is detected.

mod begin;
mod server;
mod short;
mod streams;

use std::net::SocketAddr;
use std::time::Duration;

use super::*;

/// A load that ends after `requests`. The time limit is reached only if something hangs.
fn config(target: SocketAddr, requests: u64, traffic: Traffic) -> LoadConfig {
    LoadConfig {
        timeout: Duration::from_millis(250),
        long_timeout: Duration::from_millis(400),
        ..LoadConfig::new(target, "app.localhost").send(1, traffic).bounded(Duration::from_secs(20), requests)
    }
}

/// Runs until the request limit is reached.
async fn run(config: LoadConfig) -> Report {
    let load = Load::start(config).await.expect("load that can be sent");
    load.bound_reached().await;
    load.stop().await
}

/// Waits for a state of the run with a timeout, so that a missing detection fails the test and does not hang it.
async fn reached(load: &Load, state: impl Fn(Progress) -> bool) {
    let polling = async {
        while !state(load.progress()) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), polling).await.expect("the state within 10 s");
}

/// Sends `requests` of one kind and returns the number of failures and their only cause, if any.
async fn only_cause(target: SocketAddr, requests: u64, traffic: Traffic) -> (u64, Option<Cause>) {
    let report = run(config(target, requests, traffic)).await;
    assert!(report.failed.len() <= 1, "more than one cause:\n{report}");
    assert_eq!(report.ok + report.failures(), requests, "a request without a result:\n{report}");
    (report.failures(), report.failed.keys().next().copied())
}
