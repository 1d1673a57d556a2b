//! What is broken stays alone with it: an app beside others, a replica beside another.

use std::time::Duration;

use deploy_apps::load::Traffic;
use serde_json::json;

use crate::harness::{App, DEADLINE, Scenario, docker, eventually, none_lost};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_atomic_deploy_with_one_bad_app_flips_none() {
    let mut host = Scenario::new("atomic-bad").app(App::new("front")).app(App::new("back")).start().await;
    host.deploy(&["front", "back"]).await.succeeded();
    let loads = [host.steady_load("front").await, host.steady_load("back").await];
    host.change("front", |app| app.env("RELEASE_MARK", "new"));
    host.change("back", |app| app.fault("exit"));
    let output = host.deploy(&["front", "back", "--atomic"]).await.exited(1);
    output.says("boom: cannot read config").says("✘ rolled back, r1 serves as before");
    host.is_clean(&["front-r1-1", "back-r1-1"]).await;
    assert_eq!(host.get("front", "/mark").await.body, "", "the good app is not flipped either");
    for load in loads {
        none_lost(&load.stop().await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_atomic_the_good_app_goes_on_and_the_exit_code_tells_of_the_bad_one() {
    let mut host = Scenario::new("one-bad").app(App::new("front")).app(App::new("back")).start().await;
    host.deploy(&["front", "back"]).await.succeeded();
    let loads = [host.steady_load("front").await, host.steady_load("back").await];
    host.change("front", |app| app.env("RELEASE_MARK", "new"));
    host.change("back", |app| app.fault("exit"));
    host.deploy(&["front", "back"]).await.exited(1).says("✘ rolled back, r1 serves as before");
    host.is_clean(&["front-r2-1", "back-r1-1"]).await;
    for load in loads {
        none_lost(&load.stop().await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_that_crashes_all_the_time_disturbs_no_deploy_of_another() {
    // Healthy until it serves; then every third look at its health is its last.
    let broken = App::new("broken").fault("exit-later").env("FAULT_AFTER", "4");
    let host = Scenario::new("broken").app(App::new("web").replicas(2)).app(broken).start().await;
    host.deploy(&["web", "broken"]).await.succeeded();
    let crashing =
        host.start(host.load("broken").send_every(4, Duration::from_millis(50), Traffic::get("/healthz"))).await;
    let lost = async || (crashing.progress().failures > 0).then_some(());
    eventually("the broken app fails", DEADLINE, lost).await;
    let load = host.steady_load("web").await;
    for _ in 0..3 {
        host.deploy(&["web", "--force"]).await.succeeded();
    }
    none_lost(&load.stop().await);
    drop(crashing);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_is_killed_costs_no_get_and_the_next_deploy_replaces_it() {
    // Without a restart by the engine, so that the deploy has to do it.
    let app = App::new("web").replicas(2).set("/restart", json!("no"));
    let host = Scenario::new("replica-killed").app(app).start().await;
    host.deploy(&["web"]).await.succeeded();
    let config = host.load("web").send_every(8, Duration::from_millis(5), Traffic::get("/"));
    let load = host.start(config).await;
    eventually("the load flows", DEADLINE, async || (load.progress().requests > 50).then_some(())).await;
    docker(&["kill", &format!("{}-web-r1-1", host.name())]);
    let many = load.progress().requests + 500;
    eventually("many requests later", DEADLINE, async || (load.progress().requests > many).then_some(())).await;
    host.deploy(&["web"]).await.succeeded();
    none_lost(&load.stop().await);
    let record = host.record("web").await.expect("a record");
    assert_eq!((record.release.0, record.peers.len()), (1, 2), "the same release with two replicas again");
    assert_eq!(host.containers().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn containers_that_were_removed_by_hand_are_made_again() {
    let host = Scenario::new("removed").app(App::new("web").replicas(2)).start().await;
    host.deploy(&["web"]).await.succeeded();
    docker(&["rm", "-f", &format!("{}-web-r1-1", host.name()), &format!("{}-web-r1-2", host.name())]);
    assert!(matches!(host.get("web", "/").await.status, 502 | 503));
    host.deploy(&["web"]).await.succeeded();
    assert_eq!(host.get("web", "/").await.status, 200);
    assert_eq!(host.record("web").await.expect("a record").peers.len(), 2);
    let load = host.steady_load("web").await;
    none_lost(&load.stop().await);
}
