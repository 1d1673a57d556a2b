//! New versions that are no good: the old one goes on as if nothing had happened, and the user learns why.

use serde_json::json;

use crate::harness::{App, Host, Output, Scenario, none_lost};

/// A version that is never healthy is waited for this long, and longer than its probes may take.
const PATIENCE: &str = "4s";

/// For a version whose own end comes first, however busy the machine is.
fn patient(app: App) -> App {
    app.set("/x-deploy-apps/health/timeout", json!("60s"))
}

/// Deploys a good version, then one with `fault` under load, then a good one again. Returns what the bad one said.
async fn deploy_one_that_fails(fault: &str, change: impl FnOnce(App) -> App) -> (Host, Output) {
    let app = App::new("web").replicas(2);
    let mut host = Scenario::new(fault).app(app.clone()).start().await;
    host.deploy(&["web"]).await.succeeded();
    let load = host.steady_load("web").await;

    host.change("web", |app| change(app.fault(fault).set("/x-deploy-apps/health/timeout", json!(PATIENCE))));
    let output = host.deploy(&["web"]).await.exited(1).says("✘ rolled back, r1 serves as before");
    host.is_clean(&["web-r1-1", "web-r1-2"]).await;
    assert!(!host.image_tags("web").await.contains("r2"), "its image is untagged too");

    host.change("web", |_| app.env("RELEASE_MARK", "repaired"));
    host.deploy(&["web"]).await.succeeded();
    host.is_clean(&["web-r3-1", "web-r3-2"]).await;
    none_lost(&load.stop().await);
    assert_eq!(host.get("web", "/mark").await.body, "repaired");
    (host, output)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_never_becomes_healthy_is_undone_with_its_last_answer_and_log() {
    let (host, output) = deploy_one_that_fails("unhealthy", |app| app).await;
    // Whichever replica was started first comes to its deadline first, and takes the other one with it.
    let first = format!("{}-web-r2-1", host.name());
    let replica = if output.stderr.contains(&format!("error: `{first}`")) { 1 } else { 2 };
    let name = format!("{}-web-r2-{replica}", host.name());
    output
        .says(&format!("error: `{name}` did not become healthy within 4s"))
        .says("last probe:")
        .says("status 500")
        .says("database is on fire")
        .says(&format!("last log lines of `{name}`:"))
        .says(&format!("replica {replica}) runs with FAULT=unhealthy on port 8080"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_exits_at_once_is_undone_with_its_exit_code_and_log() {
    let (_host, output) = deploy_one_that_fails("exit", patient).await;
    output.says("exited with code 3").says("boom: cannot read config");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_is_healthy_once_and_dies_gets_no_traffic() {
    let (_host, output) = deploy_one_that_fails("exit-later", |app| patient(app.env("FAULT_AFTER", "1"))).await;
    // The last probe is the good one or the refused one after it: the news of the exit races with that.
    output.says("exited with code 3").says("last probe:").says("boom: lost the database after 1 health checks");
}

/// Nobody waits for another replica here, and the engine learns of the end only after the flip would be over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_single_replica_that_dies_with_the_last_answer_it_was_asked_for_gets_no_traffic() {
    let app = App::new("web");
    let mut host = Scenario::new("last-answer").app(app.clone()).start().await;
    host.deploy(&["web"]).await.succeeded();
    let load = host.steady_load("web").await;
    host.change("web", |app| patient(app.fault("exit-later").env("FAULT_AFTER", "2")));
    let output = host.deploy(&["web"]).await.exited(1).says("✘ rolled back, r1 serves as before");
    // By its exit, by its second start or by its silence: that depends on when the engine and the look come to it.
    let ways = ["exited with code 3", "has exited since it was started", "did not become healthy within"];
    assert!(ways.iter().any(|way| output.stderr.contains(way)), "{output}");
    output.says("boom: lost the database after 2 health checks");
    host.is_clean(&["web-r1-1"]).await;
    none_lost(&load.stop().await);
}

/// A restart policy hides the end of the first process: at the last look its successor answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_died_while_it_waited_is_not_taken_for_well_because_the_engine_started_it_again() {
    let mut host = Scenario::new("came-back").app(App::new("web")).app(App::new("slow")).start().await;
    host.deploy(&["web", "slow"]).await.succeeded();
    let load = host.steady_load("web").await;
    // Later than its last answer, so that it has passed its gate for certain.
    let dies = |app: App| app.fault("exit-later").env("FAULT_AFTER", "2").env("FAULT_DELAY", "500ms");
    host.change("web", |app| patient(dies(app)));
    host.change("slow", |app| patient(app.fault("slow-start").env("FAULT_AFTER", "3")));
    let output = host.deploy(&["web", "slow", "--atomic"]).await.exited(1);
    let why = "has exited since it was started, and the engine has started it again";
    output.says(&format!("`{}-web-r2-1` {why}", host.name())).says("boom: lost the database after 2 health checks");
    host.is_clean(&["web-r1-1", "slow-r1-1"]).await;
    none_lost(&load.stop().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_listens_on_another_port_is_undone_with_the_refused_probe() {
    let (_host, output) = deploy_one_that_fails("wrong-port", |app| app).await;
    output
        .says("did not become healthy within 4s: it listens on port 9999, not 8080")
        .says("connection refused")
        .says("on port 9999")
        .says("hint: write `port: 9999`, or let the app listen on 8080");
}

/// The image of the app has no shell and no tools: what is said of its sockets was found without them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_that_only_its_own_container_reaches_is_told_where_it_listens() {
    let impatient = |app: App| app.set("/x-deploy-apps/health/timeout", json!(PATIENCE));
    for (address, shown) in [("127.0.0.1", "127.0.0.1:8080"), ("[::1]", "[::1]:8080")] {
        let app = impatient(App::new("web").env("FAULT_ADDRESS", address));
        let host = Scenario::new("loopback").app(app).start().await;
        let output = host.deploy(&["web"]).await.exited(1);
        output.says(&format!("it listens on {shown} only")).says("hint: let it listen on `0.0.0.0`");
    }
    let host = Scenario::new("tls").app(impatient(App::new("web").fault("tls"))).start().await;
    host.deploy(&["web"]).await.exited(1).says("it speaks TLS on port 8080");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_accepts_and_never_answers_is_undone_with_the_timed_out_probe() {
    // The gate's time is over before the first probe's own.
    let (_host, output) =
        deploy_one_that_fails("hang", |app| app.set("/x-deploy-apps/health/probe_timeout", json!("10s"))).await;
    output.says("did not become healthy within 4s").says("last probe:").says("no answer yet");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_bad_replica_of_three_takes_the_good_ones_back_with_it() {
    let app = App::new("web").replicas(3);
    let mut host = Scenario::new("one-of-three").app(app.clone()).start().await;
    host.deploy(&["web"]).await.succeeded();
    let load = host.steady_load("web").await;
    host.change("web", |app| app.fault("exit-later").env("FAULT_REPLICA", "2"));
    let output = host.deploy(&["web"]).await.exited(1);
    output.says(&format!("`{}-web-r2-2` exited with code 3", host.name()));
    host.is_clean(&["web-r1-1", "web-r1-2", "web-r1-3"]).await;
    host.change("web", |_| app.env("RELEASE_MARK", "repaired"));
    host.deploy(&["web"]).await.succeeded();
    host.is_clean(&["web-r3-1", "web-r3-2", "web-r3-3"]).await;
    none_lost(&load.stop().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_start_within_the_timeout_succeeds() {
    let mut host = Scenario::new("slow-start").app(App::new("web").replicas(2)).start().await;
    host.deploy(&["web"]).await.succeeded();
    let load = host.steady_load("web").await;
    host.change("web", |app| app.fault("slow-start").env("FAULT_AFTER", "3"));
    host.deploy(&["web"]).await.succeeded();
    host.is_clean(&["web-r2-1", "web-r2-2"]).await;
    none_lost(&load.stop().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_version_that_is_not_healthy_is_not_exposed() {
    let bad = App::new("web").fault("unhealthy").set("/x-deploy-apps/health/timeout", json!(PATIENCE));
    let mut host = Scenario::new("bad-first").app(bad).start().await;
    let output = host.deploy(&["web"]).await.exited(1);
    output.says("status 500").says("✘ failed, everything undone");
    host.is_clean(&[]).await;
    assert_eq!(host.record("web").await, None);
    assert_eq!(host.get("web", "/").await.status, 404);

    host.change("web", |_| App::new("web"));
    host.deploy(&["web"]).await.succeeded();
    host.is_clean(&["web-r2-1"]).await;
    assert_eq!(host.get("web", "/").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_without_times_passes_the_gate_and_is_told_when_it_fails() {
    let check = |words: &[&str]| json!([&["CMD", "/fault-app", "migrate"], words].concat());
    let app = App::new("web").set("/healthcheck", json!({ "test": check(&[]) }));
    let mut host = Scenario::new("plain-check").app(app.clone()).start().await;
    host.deploy(&["web"]).await.succeeded();

    host.change("web", |_| app.set("/healthcheck/test", check(&["fail"])));
    let output = host.deploy(&["web"]).await.exited(1).says("✘ rolled back, r1 serves as before");
    output.says("did not become healthy within 60s: its HEALTHCHECK fails").says("last HEALTHCHECK:").says("exit code");
    host.is_clean(&["web-r1-1"]).await;
}
