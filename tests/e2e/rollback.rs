//! `rollback`: an earlier release comes back, from what the proxy and the engine have kept.

use std::pin::Pin;

use serde_json::json;
use tokio::task::JoinSet;

use crate::harness::{App, Connection, Host, Output, Scenario, docker, none_lost, sum};
use crate::input_file::is;

/// `web` has served as r1 with the mark `one` and as r2 with `two`, which serves.
///
/// On the heap: the state of a scenario's start is too large for the stack of a test that awaits it two calls deep.
fn replaced(test: &'static str, app: App) -> Pin<Box<dyn Future<Output = Host>>> {
    Box::pin(async move {
        let mut host = Scenario::new(test).app(app.env("RELEASE_MARK", "one")).start().await;
        host.deploy(&["web"]).await.succeeded();
        host.change("web", |app| app.env("RELEASE_MARK", "two"));
        host.deploy(&["web"]).await.succeeded();
        host
    })
}

async fn mark(host: &Host) -> String {
    host.get("web", "/mark").await.body
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_with_25_second_requests_nothing_is_lost_and_it_works_twice() {
    let host = replaced("rollback", App::new("web").replicas(2)).await;
    let load = host.start(host.steady("web")).await;
    let mut back = host.cli(&["rollback", "web", "--format", "json"]).spawn();
    back.event("replica_started").await;
    let mut sleepers = JoinSet::new();
    for _ in 0..6 {
        let mut connection = Connection::open(&host, "web").await;
        connection.send("GET", "/sleep?for=25s", b"").await;
        sleepers.spawn(async move { connection.answer().await });
    }
    let output = back.finish().await.succeeded();
    assert_eq!(sum(&output.events("drained"), "/cut/requests"), 0, "{output}");
    for answer in sleepers.join_all().await {
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    assert_eq!((mark(&host).await.as_str(), host.record("web").await.expect("a record").release.0), ("one", 1));
    host.runs(&["web-r1-1", "web-r1-2"]).await;

    // There is nothing before r1; r2 is named, and comes back too.
    host.deploy(&["rollback", "web"]).await.exited(6).says("no release before r1 is kept that has served");
    host.deploy(&["rollback", "web", "r2"]).await.succeeded();
    assert_eq!(mark(&host).await, "two");
    host.deploy(&["rollback", "web"]).await.succeeded();
    assert_eq!(mark(&host).await, "one");
    none_lost(&load.stop().await);
    // What the file says is a new release, from the image that is there.
    let output = host.deploy(&["web", "--format", "json"]).await.succeeded();
    assert_eq!((mark(&host).await.as_str(), host.record("web").await.expect("a record").release.0), ("two", 3));
    assert_eq!(output.events("build_progressed").len(), 0, "{output}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neither_the_build_context_nor_a_registry_is_needed_and_the_routes_are_those_of_the_file() {
    let mut host = replaced("rollback-bare", App::new("web")).await;
    host.change("web", |app| {
        app.set("/build/context", json!("/nowhere"))
            .set("/x-deploy-apps/routes", json!([{ "host": "web.localhost" }, { "host": "new.localhost" }]))
    });
    host.deploy(&["web"]).await.exited(1);
    host.deploy(&["rollback", "web=r1"]).await.succeeded();
    assert_eq!(host.get("new", "/mark").await.body, "one");
    // An image that can be had nowhere is no matter either, as long as the engine has the release's.
    host.change("web", |app| {
        app.set("/build", json!(null))
            .set("/image", json!("e2e-nowhere.invalid/web:1"))
            .set("/pull_policy", json!("always"))
    });
    host.deploy(&["rollback", "web", "2"]).await.succeeded();
    assert_eq!(host.get("new", "/mark").await.body, "two");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollback_may_be_killed_after_any_step_and_is_finished_when_it_is_asked_for_again() {
    let host = replaced("rollback-crash", App::new("web").replicas(2)).await;
    let load = host.steady_load("web").await;
    // 3 for each replica that comes, look, flip, confirm, 3 for each that goes.
    for step in 1..=(6 + 3 + 6) {
        let killed = host.cli(&["rollback", "web"]).env("DEPLOY_APPS_CRASH_AFTER", &step.to_string()).run().await;
        assert_eq!(killed.code, None, "fewer than {step} steps\n{killed}");
        let next = host.deploy(&["rollback", "web", "--lock-wait", "5s"]).await;
        assert!(finished(&next), "after step {step}\n{killed}\n{next}");
        assert_eq!(mark(&host).await, "one", "after step {step}\n{killed}\n{next}");
        assert_eq!(host.containers().await.len(), 2, "after step {step}\n{killed}\n{next}");
        host.deploy(&["rollback", "web", "r2"]).await.succeeded();
    }
    none_lost(&load.stop().await);
}

/// Done now, or done already before it was killed.
fn finished(output: &Output) -> bool {
    output.code == Some(0) || (output.code == Some(6) && output.stderr.contains("no release before r1"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_apps_go_back_in_one_call_or_not_at_all() {
    let mut host = Scenario::new("rollback-two").app(App::new("web")).app(App::new("other")).start().await;
    host.deploy(&["web", "other"]).await.succeeded();
    host.deploy(&["web", "other", "--force"]).await.succeeded();
    let output = host.deploy(&["rollback", "web", "other", "r1", "--atomic", "--format", "json"]).await.succeeded();
    let flips = output.events("flipped");
    assert_eq!(flips.len(), 2, "{output}");
    assert_eq!(flips[0]["generation"], flips[1]["generation"], "{output}");
    host.runs(&["web-r1-1", "other-r1-1"]).await;
    // One of them alone cannot go back, so neither does.
    host.forget("other");
    host.deploy(&["rollback", "web=r2", "other=r2"]).await.exited(2).says("unknown app `other`");
    host.runs(&["web-r1-1", "other-r1-1"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_input_is_told_what_is_right_and_which_releases_there_are() {
    let host = replaced("rollback-input", App::new("web").env("PASSWORD", "hunter2")).await;
    let refused = async |words: &[&str], why: &str| {
        let output = host.deploy(&[&["rollback"], words].concat()).await;
        let said = redact(&output.stderr);
        let wanted = format!(
            "error: app `{}/web` cannot be rolled back: {why}\n  releases that can be rolled back to:\n    \
             r1  0+1  TIME by OWNER\n\nhint: `deploy-apps rollback web r1` goes back to the newest of them",
            host.name()
        );
        assert_eq!(said.trim_end(), wanted, "{output}");
        assert_eq!(output.code, Some(6), "{output}");
        assert!(!output.stderr.contains("hunter2") && output.stdout.is_empty(), "{output}");
    };
    refused(&["web", "r9"], "there is no r9").await;
    refused(&["web=2"], "r2 serves already").await;
    refused(&["web", "--to", "r77"], "there is no r77").await;
    let wrong =
        async |words: &[&str], says: &str| is(&host, host.deploy(&[&["rollback"], words].concat()).await, 2, says);
    wrong(&["r7"], "error: release `r7` stands before any app\n\nhint: `deploy-apps rollback APP r7`").await;
    wrong(&["web", "r1", "r2"], "error: app `web` has two releases behind it\n\nhint: name one").await;
    wrong(&["web", "web"], "error: app `web` is named twice\n\nhint: name each app once").await;
    wrong(&["web=first"], "error: `first` is not a release of `web`\n\nhint: give its number, such as `r7`").await;
    wrong(&["wbe"], "error: unknown app `wbe`\nhint: did you mean `web`?").await;
    let one = "error: `--to` is for one app without another release\n\n\
               hint: name the release behind each app: `deploy-apps rollback go-app r7 node-app r3`";
    wrong(&["web", "r1", "--to", "r1"], one).await;
    host.runs(&["web-r2-1"]).await;

    // Its image is gone from the engine: said before anything is touched.
    docker(&["rmi", "-f", &format!("deploy-apps/{}-web:r1", host.name())]);
    docker(&["tag", &format!("deploy-apps/{}-web:r2", host.name()), &format!("deploy-apps/{}-web:r1", host.name())]);
    // The same source made both, so any image of it will do.
    host.deploy(&["rollback", "web"]).await.succeeded();
    assert_eq!(mark(&host).await, "one");
}

/// The time and the user differ from run to run.
fn redact(text: &str) -> String {
    let time = regex::Regex::new(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC by \S+( \d+)?").expect("a pattern");
    time.replace_all(text, "TIME by OWNER").into_owned()
}
