//! `kill -9` after every single step: requests go on, and the next run finishes or undoes what the dead one began.

use std::time::Duration;

use serde_json::json;

use crate::harness::{App, DEADLINE, Host, Scenario, docker, eventually, none_lost};

/// Far more than any plan here has; reached only if a run never comes to its end.
const MOST_STEPS: u32 = 60;
/// The lease of a dead owner is free when its connection has closed, not after the 15 s of a half-open one.
const LOCK_WAIT: &str = "5s";
/// In which a request is answered that nobody holds, on a machine that is busy with many tests.
const AT_ONCE: Duration = Duration::from_secs(10);

/// Makes a change, kills the deploy of it after its first step, deploys again; then after its second step, and so on.
/// `fault` is what the killed deploys have and the next ones have not. Returns how many steps there were.
async fn kill_after_every_step(host: &mut Host, fault: &str, code_at_the_end: i32) -> u32 {
    let replicas = host.record("web").await.expect("a record").peers.len();
    for step in 1..=MOST_STEPS {
        let mark = format!("after {step}");
        host.change("web", |app| app.env("RELEASE_MARK", &mark).fault(fault));
        let killed = host.cli(&["web", "--no-prune"]).env("DEPLOY_APPS_CRASH_AFTER", &step.to_string()).run().await;
        if killed.code.is_some() {
            killed.exited(code_at_the_end);
            return step - 1;
        }
        host.change("web", |app| app.fault("none"));
        let next = host.deploy(&["web", "--no-prune", "--lock-wait", LOCK_WAIT]).await;
        assert_eq!(next.code, Some(0), "the run after a kill after step {step}\n{killed}\n{next}");
        converged(host).await;
        assert_eq!(host.get("web", "/mark").await.body, mark, "after step {step}\n{killed}\n{next}");
        assert_eq!(host.record("web").await.expect("a record").peers.len(), replicas, "{killed}\n{next}");
    }
    panic!("more than {MOST_STEPS} steps");
}

/// The proxy routes to replicas of one release, and nothing else is there. A number that was taken when a replica was
/// made leaves a hole in theirs.
async fn converged(host: &Host) {
    let record = host.record("web").await.expect("a record");
    assert!(record.peers.iter().all(|peer| peer.release == record.release), "one release: {:?}", record.peers);
    let prefix = format!("{}-", host.name());
    let names: Vec<&str> = record.peers.iter().filter_map(|peer| peer.id.strip_prefix(&prefix)).collect();
    host.is_clean(&names).await;
}

/// Kills under load that must not notice, and asserts that nothing is counted as open when the load has ended.
async fn unnoticed(test: &str, app: App, fault: &str, code_at_the_end: i32, patience: Duration) -> u32 {
    let mut host = Scenario::new(test).app(app.fault("none")).start().await;
    host.deploy(&["web"]).await.succeeded();
    let load = host.patient_load("web", patience).await;
    let steps = kill_after_every_step(&mut host, fault, code_at_the_end).await;
    none_lost(&load.stop().await);
    let nothing_open = async || host.proxy_state().await.in_flight.is_empty().then_some(());
    eventually("nothing is counted as open", DEADLINE, nothing_open).await;
    steps
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redeploy_may_be_killed_after_any_step() {
    let app = App::new("web").replicas(2).set("/x-deploy-apps/release", json!(["/fault-app", "migrate"]));
    let steps = unnoticed("crash", app, "none", 0, AT_ONCE).await;
    // Reserve, tag, keep, 4 for the command, 3 for each new replica, look, flip, confirm, 3 for each old one.
    assert_eq!(steps, 3 + 4 + 6 + 3 + 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redeploy_in_batches_may_be_killed_after_any_step() {
    let app = App::new("web").replicas(2).set("/deploy/update_config/parallelism", json!(1));
    let steps = unnoticed("crash-batches", app, "none", 0, AT_ONCE).await;
    assert_eq!(steps, 3 + 7 + 3 + 7, "one more flip than all at once, and a look before each");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_first_redeploy_may_be_killed_after_any_step() {
    // A run that is killed while requests are held leaves them so until the next run is through.
    let steps = unnoticed("crash-stop-first", App::new("web").stop_first(), "none", 0, DEADLINE).await;
    assert_eq!(steps, 3 + 3 + 4 + 3, "the first flip only holds requests back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_undo_may_be_killed_after_any_step() {
    // One good replica is undone together with the bad one.
    let app = App::new("web").replicas(2).env("FAULT_REPLICA", "2");
    let steps = unnoticed("crash-undo", app, "exit", 1, AT_ONCE).await;
    assert!(steps >= 3 + 4 + 5, "{steps} steps are fewer than those forward and those back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_deploy_on_a_host_may_be_killed_after_any_step() {
    let mut host = Scenario::new("crash-first").app(App::new("web").replicas(2)).start().await;
    for step in 1..=MOST_STEPS {
        let mark = format!("after {step}");
        host.change("web", |app| app.env("RELEASE_MARK", &mark));
        let killed = host.cli(&["web", "--no-prune"]).env("DEPLOY_APPS_CRASH_AFTER", &step.to_string()).run().await;
        if killed.code.is_some() {
            killed.succeeded();
            // Network, volume and 5 for the proxy, which has two containers; then a deploy without anything old.
            assert_eq!(step - 1, 7 + 3 + 6 + 3);
            return;
        }
        let next = host.deploy(&["web", "--no-prune", "--lock-wait", LOCK_WAIT]).await;
        assert_eq!(next.code, Some(0), "the run after a kill after step {step}\n{killed}\n{next}");
        converged(&host).await;
        assert_eq!(host.get("web", "/mark").await.body, mark);
        wipe(&host);
    }
}

/// Makes it a host that has never had a deploy.
fn wipe(host: &Host) {
    let name = host.name();
    let containers = docker(&["ps", "-aq", "--filter", &format!("name=^{name}-")]);
    docker(&[&["rm", "-f"], &*containers.lines().collect::<Vec<_>>()].concat());
    docker(&["network", "rm", name]);
    docker(&["volume", "rm", &format!("{name}-state")]);
}
