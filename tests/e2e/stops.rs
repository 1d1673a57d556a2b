//! How old replicas end: in which order, after which grace, and what is said of it.

use deploy_apps::load::{Kind, Traffic};
use std::time::Duration;

use crate::harness::{App, Scenario, none_lost, sum};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_first_app_holds_requests_at_the_proxy_and_never_runs_twice() {
    let host = Scenario::new("stop-first").app(App::new("web").stop_first()).start().await;
    host.deploy(&["web"]).await.succeeded();
    let load = host.start(host.steady("web")).await;
    for _ in 0..2 {
        let output = host.deploy(&["web", "--force", "--format", "json"]).await.succeeded();
        let at = |name: &str| output.events(name)[0]["elapsed_ms"].as_u64().expect("a time");
        assert!(at("replica_stopped") <= at("replica_started"), "one writer at a time\n{output}");
        assert_eq!(output.events("flipped").len(), 2, "one flip to hold requests, one to let them go\n{output}");
    }
    none_lost(&load.stop().await);
    host.runs(&["web-r3-1"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_that_ignores_its_stop_signal_is_killed_after_its_grace_period_and_named() {
    let stubborn = App::new("web").fault("ignore-term").set("/stop_grace_period", "1s".into());
    let host = Scenario::new("stubborn").app(stubborn).start().await;
    host.deploy(&["web"]).await.succeeded();
    let load = host.start(host.steady("web")).await;

    let output = host.deploy(&["web", "--force"]).await.succeeded();
    none_lost(&load.stop().await);
    output.says(&format!("`{}-web-r1-1` ignored its stop signal and was killed after", host.name()));
    host.runs(&["web-r2-1"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_that_outstays_the_drain_limit_is_cut_counted_and_reported() {
    let impatient = App::new("web").drain("1s", "1s").set("/stop_grace_period", "1s".into());
    let host = Scenario::new("cut").app(impatient).start().await;
    host.deploy(&["web"]).await.succeeded();
    let uploads = Traffic::upload("/upload", 1 << 20, Duration::from_secs(8));
    let load = host.start(host.steady("web").send(3, uploads)).await;
    host.in_flight("web", |open| open.requests >= 3).await;

    let output = host.deploy(&["web", "--force", "--format", "json"]).await.succeeded();
    let report = load.stop().await;
    // The body is not kept anywhere, so nobody can send it again; all other requests go on.
    assert_eq!(sum(&output.events("drained"), "/cut/requests"), 3, "{output}");
    assert_eq!(report.kind(Kind::Upload).expect("uploads").failures(), 3, "{}", report.table());
    assert_eq!(report.failures(), 3, "{}", report.table());
    host.runs(&["web-r2-1"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_get_that_is_cut_at_the_drain_limit_is_asked_again_of_the_new_version() {
    let impatient = App::new("web").drain("1s", "1s").set("/stop_grace_period", "1s".into());
    let host = Scenario::new("asked-again").app(impatient).start().await;
    host.deploy(&["web"]).await.succeeded();
    let answer = async { host.get("web", "/sleep?for=8s").await };
    let deploy = async {
        host.in_flight("web", |open| open.requests == 1).await;
        host.deploy(&["web", "--force"]).await.succeeded().says("cut 1 request at the limit")
    };
    let (answer, output) = tokio::join!(answer, deploy);
    assert_eq!(answer.status, 200, "{answer:?}\n{output}");
    assert!(answer.body.contains("(r2,"), "{answer:?}\n{output}");
}
