//! Several apps in one command, and apps that call each other.

use deploy_apps::load::{Expect, Traffic};

use crate::harness::{App, Scenario, none_lost};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_atomic_deploy_flips_both_apps_in_one_generation() {
    let host = Scenario::new("atomic").app(App::new("front")).app(App::new("back").replicas(2)).start().await;
    host.deploy(&["front", "back", "--atomic"]).await.succeeded();
    let loads = [host.start(host.steady("front")).await, host.start(host.steady("back")).await];

    let output = host.deploy(&["front", "back", "--atomic", "--force", "--format", "json"]).await.succeeded();
    for load in loads {
        none_lost(&load.stop().await);
    }
    let flips = output.events("flipped");
    let apps: Vec<_> = flips.iter().map(|flip| flip["app"].as_str().expect("an app")).collect();
    assert_eq!(apps, [format!("{}/front", host.name()), format!("{}/back", host.name())], "{output}");
    assert_eq!(flips[0]["generation"], flips[1]["generation"], "one call of the proxy for both\n{output}");
    host.runs(&["front-r2-1", "back-r2-1", "back-r2-2"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_that_calls_another_by_its_name_does_not_notice_that_app_s_redeploys() {
    let host = Scenario::new("calls").app(App::new("front")).app(App::new("back").replicas(2)).start().await;
    host.deploy(&["front", "back"]).await.succeeded();
    let path = "/call?url=http://back/upload";
    let load = host.start(host.load("front").send(8, Traffic::post(path, Expect::ByteCount))).await;
    for _ in 0..5 {
        host.deploy(&["back", "--force"]).await.succeeded();
    }
    none_lost(&load.stop().await);
    host.runs(&["front-r1-1", "back-r6-1", "back-r6-2"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deploy_of_one_app_leaves_its_neighbour_alone() {
    let host = Scenario::new("neighbour").app(App::new("front")).app(App::new("back")).start().await;
    host.deploy(&["front", "back"]).await.succeeded();
    let before = host.record("front").await;
    let load =
        host.start(host.steady("front").send(2, Traffic::websocket("/ws")).send(2, Traffic::sse("/events"))).await;
    for _ in 0..3 {
        host.deploy(&["back", "--force"]).await.succeeded();
    }
    let report = load.stop().await;
    none_lost(&report);
    let ended: u64 = report.kinds.iter().map(|kind| kind.ended_kindly).sum();
    assert_eq!(ended, 0, "no stream of the neighbour was ended\n{}", report.table());
    assert_eq!(host.record("front").await, before);
    host.runs(&["front-r1-1", "back-r4-1"]).await;
}
