//! A new release gets a share of the requests first, and is aborted when it is worse than what serves.

use std::time::{Duration, Instant};

use deploy_apps::load::Cause;
use rustix::process::Signal;
use serde_json::json;

use crate::harness::{App, DEADLINE, Host, Scenario, eventually, none_lost};

/// A step of 5 % for so long, and one of half of the requests.
fn with_canary(seconds: u32) -> App {
    let step = |weight: &str| json!({ "weight": weight, "for": format!("{seconds}s") });
    let gate = json!({ "min_requests": 20, "max_wait": "60s" });
    let canary = json!({ "steps": [step("20%"), step("50%")], "gate": gate, "sticky": "none" });
    App::new("web").replicas(2).set("/x-deploy-apps/canary", canary)
}

async fn started(test: &str, app: App) -> Host {
    let host = Scenario::new(test).app(app).start().await;
    host.deploy(&["web"]).await.succeeded();
    host
}

/// All requests go to the first release, and nothing of a second one is left.
async fn is_as_before(host: &Host) {
    let record = host.record("web").await.expect("a record");
    assert_eq!((record.release.0, record.peers.len(), record.canary.is_none()), (1, 2, true));
    host.is_clean(&["web-r1-1", "web-r1-2"]).await;
    let tags = host.image_tags("web").await;
    assert!(!tags.contains("r2"), "{tags:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_release_is_promoted_step_by_step_without_a_lost_request() {
    let mut host = started("canary-good", with_canary(4)).await;
    let load = host.steady_load("web").await;
    host.change("web", |app| app.env("RELEASE_MARK", "two"));
    let plan = host.deploy(&["plan", "web"]).await;
    plan.says("watch r2 at 20 % for 4s").says("watch r2 at 50 % for 4s");
    let output = host.cli(&["web", "--format", "json"]).run().await.succeeded().streamed();
    let passed = output.events("canary_compared").iter().filter(|event| event["standing"] == "passed").count();
    assert_eq!(passed, 2, "{output}");
    none_lost(&load.stop().await);
    let record = host.record("web").await.expect("a record");
    assert_eq!((record.release.0, record.peers.len(), record.canary.is_none()), (2, 2, true));
    host.is_clean(&["web-r2-1", "web-r2-2"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_release_is_aborted_and_only_its_own_errors_are_seen() {
    let mut host = started("canary-bad", with_canary(60)).await;
    let load = host.steady_load("web").await;
    host.change("web", |app| app.fault("errors"));
    let begun = Instant::now();
    let output = host.cli(&["web", "--format", "json"]).run().await.exited(14).streamed();
    assert!(begun.elapsed() < Duration::from_secs(45), "it took {:?}\n{output}", begun.elapsed());
    let aborted = output.events("canary_compared");
    let aborted = aborted.iter().find(|event| event["standing"] == "aborted").expect("a verdict");
    assert!(aborted["summary"].as_str().expect("words").starts_with("r2 aborted at 20 %: "), "{aborted}");
    let history = host.deploy(&["history", "web"]).await.succeeded();
    history.says("aborted");
    is_as_before(&host).await;
    let report = load.stop().await;
    let is_own = |cause: &Cause| *cause == Cause::Status(500);
    let others: u64 = report.failed.iter().filter(|(cause, _)| !is_own(cause)).map(|(_, count)| count).sum();
    assert_eq!(others, 0, "a request was lost that reached no bad replica\n{}", report.table());
    assert!(report.failures() > 0 && report.failures() < report.ok / 5, "few have seen it\n{}", report.table());

    host.change("web", |app| app.fault("none"));
    host.deploy(&["web", "--no-canary"]).await.succeeded();
    assert_eq!(host.record("web").await.expect("a record").release.0, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_ends_with_its_killed_watcher_and_the_next_run_removes_the_rest() {
    let mut host = started("canary-killed", with_canary(120)).await;
    let load = host.steady_load("web").await;
    host.change("web", |app| app.env("RELEASE_MARK", "two"));
    let mut running = host.cli(&["web", "--format", "json"]).spawn();
    running.event("canary_compared").await;
    let record = host.record("web").await.expect("a record");
    assert_eq!((record.peers.len(), record.canary.map(|canary| canary.release.0)), (4, Some(2)));
    host.deploy(&["status", "web"]).await.succeeded().says("canary r2 at 20 %");
    let status = host.deploy(&["status", "web", "--format", "json"]).await.succeeded().document("status");
    assert_eq!(status["apps"][0]["canary"], json!({ "release": 2, "weight": 20.0 }));
    running.signal(Signal::KILL);
    let killed = Instant::now();
    eventually("what served has everything again", DEADLINE, async || {
        host.record("web")
            .await
            .filter(|record| record.canary.is_none())
            .map(|record| assert_eq!(record.peers.len(), 2))
    })
    .await;
    assert!(killed.elapsed() < Duration::from_secs(15), "it took {:?}", killed.elapsed());
    running.finish().await;
    host.deploy(&["web", "--no-canary"]).await.succeeded();
    none_lost(&load.stop().await);
    let record = host.record("web").await.expect("a record");
    host.is_clean(&[&format!("web-{}-1", record.release), &format!("web-{}-2", record.release)]).await;
    assert_eq!(host.get("web", "/mark").await.body, "two");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_terminal_promotes_or_aborts_it() {
    let mut host = started("canary-orders", with_canary(120)).await;
    let load = host.steady_load("web").await;
    host.deploy(&["abort", "web"]).await.exited(6).says("no deploy watches a canary of `web`");
    host.change("web", |app| app.env("RELEASE_MARK", "two"));
    for (order, code) in [("abort", 14), ("promote", 0)] {
        let mut running = host.cli(&["web", "--format", "json"]).spawn();
        running.event("canary_compared").await;
        host.deploy(&[order, "web"]).await.succeeded().says(&format!("is asked to {order} it"));
        let output = running.finish().await.exited(code);
        if order == "abort" {
            output.says("aborted by ");
            is_as_before(&host).await;
        } else {
            output.says("promoted by ");
        }
    }
    none_lost(&load.stop().await);
    assert_eq!(host.get("web", "/mark").await.body, "two");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupt_gives_everything_back_to_what_served() {
    let mut host = started("canary-interrupt", with_canary(120)).await;
    let load = host.steady_load("web").await;
    host.change("web", |app| app.env("RELEASE_MARK", "two"));
    let mut running = host.cli(&["web", "--format", "json"]).spawn();
    running.event("canary_compared").await;
    running.signal(Signal::INT);
    running.finish().await.exited(130);
    is_as_before(&host).await;
    none_lost(&load.stop().await);
}
