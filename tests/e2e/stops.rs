//! How old replicas end: in which order, after which grace, and what is said of it.

use crate::harness::{App, Connection, DEADLINE, Scenario, eventually, none_lost, sum};

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
    output.says(&format!("`{}-web-r1-1` was still at work", host.name()));
    host.runs(&["web-r2-1"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_that_outstays_the_drain_limit_is_cut_counted_and_reported() {
    let host = Scenario::new("cut").app(impatient()).start().await;
    host.deploy(&["web"]).await.succeeded();
    let mut uploads = Vec::new();
    for _ in 0..3 {
        let mut upload = Connection::open(&host, "web").await;
        upload.begin("POST", "/upload", 2).await;
        upload.write(b"1").await;
        uploads.push(upload);
    }
    host.in_flight("web", |open| open.requests == 3).await;
    let load = host.start(host.steady("web")).await;

    let output = host.deploy(&["web", "--force", "--format", "json"]).await.succeeded();
    none_lost(&load.stop().await);
    assert_eq!(sum(&output.events("drained"), "/cut/requests"), 3, "{output}");
    for mut upload in uploads {
        // Its body is not kept anywhere, so nobody can send it again.
        assert_eq!(upload.answer().await.status, 502);
    }
    host.runs(&["web-r2-1"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_get_that_is_cut_at_the_drain_limit_is_asked_again_of_the_new_version() {
    let host = Scenario::new("asked-again").app(impatient()).start().await;
    host.deploy(&["web"]).await.succeeded();
    let mut request = Connection::open(&host, "web").await;
    request.send("GET", "/sleep?for=10m", b"").await;
    host.in_flight("web", |open| open.requests == 1).await;

    host.deploy(&["web", "--force"]).await.succeeded().says("cut 1 request at the limit");
    let new = format!("{}-web-r2-1", host.name());
    eventually("the request is open on the new replica", DEADLINE, async || {
        let open = host.proxy_state().await.in_flight;
        (open.len() == 1 && open.get(&new).is_some_and(|open| open.requests == 1)).then_some(())
    })
    .await;
}

/// Drained for a second, and killed a second after its stop signal.
fn impatient() -> App {
    App::new("web").drain("1s", "1s").set("/stop_grace_period", "1s".into())
}
