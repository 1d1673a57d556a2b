//! How things stand, as `status` tells it: in every state that a deploy day has.

use deploy_apps::model::ContainerState;
use regex::Regex;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{App, DEADLINE, Host, Scenario, docker, eventually};

/// The document, checked against its schema.
async fn status(host: &Host, args: &[&str]) -> Value {
    host.cli(&[&["status", "--format", "json"], args].concat()).run().await.succeeded().document("status")
}

/// The text with everything that differs from run to run put out of sight, also how wide it made its column.
async fn text(host: &Host, args: &[&str]) -> String {
    let output = host.cli(&[&["status"], args].concat()).run().await;
    let text = host.redact(&output.stdout);
    Regex::new(r"(?m) {2,}| +$").expect("a pattern").replace_all(&text, "  ").into_owned()
}

fn kinds(app: &Value) -> Vec<&str> {
    app["drift"].as_array().expect("compared").iter().filter_map(|drift| drift["kind"].as_str()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drift_is_told_in_each_kind_and_gone_after_a_deploy() {
    let app = App::new("web").replicas(2).env("SECRET", "hunter2");
    let mut host = Scenario::new("drift").app(app).app(App::new("later")).start().await;

    let before = status(&host, &[]).await;
    assert_eq!(before["apps"][0]["state"], "not_deployed", "a host without a proxy");
    host.deploy(&["web"]).await.succeeded();
    host.snapshot("status-steady.txt", &text(&host, &[]).await);
    let steady = status(&host, &["web"]).await;
    assert_eq!(steady["apps"].as_array().expect("apps").len(), 1, "only what was asked for");
    let web = &steady["apps"][0];
    assert_eq!(web["replicas"], json!({ "wanted": 2, "source": "compose_file", "serving": 2 }));
    assert_eq!(kinds(web), [""; 0]);

    host.change("web", |app| {
        app.env("SECRET", "hunter3")
            .replicas(3)
            .set("/x-deploy-apps/routes", json!([{ "host": "web.localhost" }, { "path": "/new" }]))
            .set("/x-deploy-apps/balance", json!("round-robin"))
    });
    let drifted = status(&host, &[]).await;
    assert_eq!(kinds(&drifted["apps"][0]), ["configuration", "routes", "balance", "replicas"]);
    let shown = text(&host, &[]).await;
    assert!(!shown.contains("hunter"), "no value of a variable is told: {shown}");
    host.snapshot("status-drift.txt", &shown);
    assert_eq!(status(&host, &["--no-drift"]).await["apps"][0]["drift"], Value::Null);

    host.deploy(&["web"]).await.succeeded();
    assert_eq!(kinds(&status(&host, &[]).await["apps"][0]), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deploy_under_way_shows_both_releases_and_who_it_is() {
    let mut host = Scenario::new("under-way").app(App::new("web")).start().await;
    host.deploy(&["web"]).await.succeeded();
    host.change("web", |app| app.fault("unhealthy"));
    let mut run = host.cli(&["web", "--format", "json"]).env("GITHUB_ACTOR", "ann").spawn();
    run.event("replica_started").await;

    let during = status(&host, &[]).await;
    let web = &during["apps"][0];
    assert_eq!((&web["lease"]["owner"], &web["lease"]["purpose"]), (&json!("ann"), &json!("deploy")), "{web:#}");
    let parts: Vec<(&Value, &Value)> =
        web["containers"].as_array().expect("containers").iter().map(|one| (&one["release"], &one["part"])).collect();
    assert_eq!(parts, [(&json!(1), &json!("serving")), (&json!(2), &json!("starting"))]);
    assert!(text(&host, &[]).await.contains("deploy by ann on"), "{}", text(&host, &[]).await);
    run.signal(Signal::INT);
    run.finish().await.exited(130);
    assert_eq!(status(&host, &[]).await["apps"][0]["lease"], Value::Null);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_dead_gone_or_left_over_is_told() {
    let host = Scenario::new("unhealthy").app(App::new("web").replicas(3).set("/restart", json!("no"))).start().await;
    host.deploy(&["web"]).await.succeeded();
    let replica = |number: u32| format!("{}-web-r1-{number}", host.name());
    docker(&["kill", &replica(2)]);
    docker(&["rm", "-f", &replica(3)]);
    eventually("it has exited", DEADLINE, async || {
        let exited = |state| matches!(state, ContainerState::Exited { .. });
        host.containers().await.iter().any(|container| exited(container.state)).then_some(())
    })
    .await;
    let web = &status(&host, &[]).await["apps"][0];
    assert_eq!((&web["state"], &web["replicas"]["serving"]), (&json!("degraded"), &json!(1)), "{web:#}");
    let states: Vec<&Value> =
        web["containers"].as_array().expect("containers").iter().map(|one| &one["state"]).collect();
    assert_eq!(states, [&json!("running"), &json!("exited"), &Value::Null], "{web:#}");
    host.snapshot("status-unhealthy.txt", &text(&host, &[]).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_lost_its_network_is_told_and_replaced_by_the_next_deploy() {
    let host = Scenario::new("cut-off").app(App::new("web").replicas(2)).start().await;
    host.deploy(&["web"]).await.succeeded();
    let (network, replica) = (host.name().to_owned(), format!("{}-web-r1-1", host.name()));
    docker(&["network", "disconnect", &network, &replica]);
    let web = &status(&host, &[]).await["apps"][0];
    assert_eq!((&web["state"], &web["replicas"]["serving"]), (&json!("degraded"), &json!(1)), "{web:#}");
    assert!(text(&host, &[]).await.contains("running, not on the proxy's network"));
    host.deploy(&["web"]).await.succeeded();
    host.is_clean(&["web-r1-2", "web-r1-3"]).await;
    assert_eq!(status(&host, &[]).await["apps"][0]["state"], "serving");

    // Another address than the one that its requests are sent to is no better.
    let replica = format!("{}-web-r1-2", host.name());
    docker(&["network", "disconnect", &network, &replica]);
    docker(&["network", "connect", &network, &replica]);
    host.deploy(&["web"]).await.succeeded();
    host.is_clean(&["web-r1-3", "web-r1-4"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_that_the_file_has_lost_is_still_told_of() {
    let mut host = Scenario::new("lost").app(App::new("web")).app(App::new("old")).start().await;
    host.deploy(&["--all"]).await.succeeded();
    host.forget("old");
    let all = status(&host, &[]).await;
    let told: Vec<(&Value, &Value)> =
        all["apps"].as_array().expect("apps").iter().map(|app| (&app["app"], &app["in_compose_file"])).collect();
    assert_eq!(told, [(&json!("web"), &json!(true)), (&json!("old"), &json!(false))]);
    assert!(text(&host, &["old"]).await.contains("not in the compose file"));

    let unknown = host.cli(&["status", "odl"]).run().await.exited(2);
    assert_eq!(unknown.stderr, "error: unknown app `odl`\n\nhint: did you mean `old`?\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_proxy_it_says_so_and_what_the_engine_knows() {
    let host = Scenario::new("no-proxy").app(App::new("web")).start().await;
    host.deploy(&["web"]).await.succeeded();
    docker(&["stop", &format!("{}-proxy", host.name())]);
    let output = host.cli(&["status", "--format", "json"]).run().await.exited(8);
    let document = output.document("status");
    assert_eq!(document["proxy"]["state"], "exited");
    let web = &document["apps"][0];
    assert_eq!((&web["state"], &web["containers"][0]["state"]), (&json!("unknown"), &json!("running")), "{web:#}");
    host.snapshot("status-no-proxy.txt", &text(&host, &[]).await);
    host.cli(&["history"]).run().await.exited(8).says("does not answer");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_goes_on_until_it_is_told_to_end() {
    let host = Scenario::new("watch").app(App::new("web")).start().await;
    host.deploy(&["web"]).await.succeeded();
    let mut watch = host.cli(&["status", "--watch", "--format", "json"]).spawn();
    for _ in 0..2 {
        crate::schema::validates("status", &serde_json::from_str(&watch.line().await).expect("a document a line"));
    }
    watch.signal(Signal::INT);
    watch.finish().await.succeeded();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_apps_are_one_table() {
    let apps = (1..=20).map(|number| App::new(&format!("app-{number:02}")));
    let host = apps.fold(Scenario::new("twenty"), Scenario::app).start().await;
    host.deploy(&["--all"]).await.succeeded();
    let document = status(&host, &[]).await;
    let apps = document["apps"].as_array().expect("apps");
    assert_eq!(apps.len(), 20);
    assert!(apps.iter().all(|app| app["state"] == "serving"), "{document:#}");
    let text = text(&host, &[]).await;
    assert_eq!(text.lines().filter(|line| line.starts_with("app-")).count(), 20, "{text}");
}
