//! `maintenance`, `pause` and `resume`.

use std::time::Duration;

use serde_json::Value;

use crate::harness::{App, Connection, DEADLINE, Host, Scenario, docker, eventually, none_lost};
use crate::input_file::is;
use crate::schema::validates;

async fn status(host: &Host) -> Value {
    let output = host.cli(&["status", "--format", "json"]).run().await;
    let document: Value = serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}\n{output}"));
    validates("status", &document);
    document["apps"][0].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn maintenance_stays_on_through_a_deploy_a_rollback_and_the_proxys_restart() {
    let app = App::new("web").env("RELEASE_MARK", "one");
    let mut host = Scenario::new("maintenance").app(app).app(App::new("other")).start().await;
    host.deploy(&["web", "other"]).await.succeeded();
    let load = host.start(host.steady("other")).await;
    let mut open = Connection::open(&host, "web").await;
    open.send("GET", "/sleep?for=2s", b"").await;
    let page = host.folder().join("sorry.html");
    std::fs::write(&page, "<h1>Back at noon</h1>").expect("a page");
    let page = page.to_str().expect("text");

    let on = ["maintenance", "on", "web", "--page", page, "--retry-after", "5m"];
    let output = host.deploy(&[&on[..], &["--format", "json"]].concat()).await.succeeded();
    let document = output.document("maintenance-on");
    assert_eq!(document["apps"][0]["maintenance"]["retry_after_s"], 300, "{document}");
    host.deploy(&on).await.succeeded().says("web: in maintenance already");
    assert_eq!(open.answer().await.status, 200, "what is open finishes");
    let answer = host.get("web", "/mark").await;
    assert_eq!((answer.status, answer.body.as_str()), (503, "<h1>Back at noon</h1>"));
    assert_eq!(status(&host).await["maintenance"]["own_page"], true);
    host.deploy(&["status"]).await.succeeded().says("in maintenance since").says("requests get 503");

    host.change("web", |app| app.env("RELEASE_MARK", "two"));
    let warns = "it is in maintenance: requests get 503 until `deploy-apps maintenance off web`";
    host.deploy(&["web"]).await.succeeded().says(warns);
    assert_eq!(host.get("web", "/mark").await.status, 503);
    host.deploy(&["rollback", "web"]).await.succeeded().says(warns);
    none_lost(&load.stop().await);
    docker(&["restart", &format!("{}-proxy", host.name())]);
    eventually("the proxy is back, and still answers for the app", DEADLINE, async || {
        host.try_get("web", "/mark").await.filter(|answer| answer.body.contains("noon"))
    })
    .await;

    host.deploy(&["maintenance", "off", "web"]).await.succeeded().says("web: no longer in maintenance");
    host.deploy(&["maintenance", "off", "web"]).await.succeeded().says("web: not in maintenance");
    assert_eq!(
        (host.get("web", "/mark").await.body.as_str(), status(&host).await["maintenance"].clone()),
        ("one", Value::Null)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_loses_nothing_while_the_app_is_replaced_and_ends_by_itself() {
    let mut host = Scenario::new("pause").app(App::new("web").env("RELEASE_MARK", "one")).start().await;
    host.deploy(&["web"]).await.succeeded();
    let load = host.patient_load("web", Duration::from_secs(60)).await;
    let output = host.deploy(&["pause", "web", "--for", "5m", "--format", "json"]).await.succeeded();
    assert_eq!(output.document("pause")["apps"][0]["pause"]["for_ms"], 300_000, "{output}");
    host.in_flight("web", |open| open.requests == 0).await;
    assert_eq!(status(&host).await["pause"]["for_ms"], 300_000);
    host.deploy(&["status"]).await.succeeded().says("new requests wait");
    host.change("web", |app| app.env("RELEASE_MARK", "two"));
    host.deploy(&["web"]).await.succeeded();
    let output = host.deploy(&["resume", "web", "--format", "json"]).await.succeeded();
    assert_eq!(output.document("resume")["apps"][0]["changed"], true, "{output}");
    assert_eq!(host.get("web", "/mark").await.body, "two");
    host.deploy(&["resume", "web"]).await.succeeded().says("web: not paused");
    host.deploy(&["pause", "web", "--for", "1500ms"]).await.succeeded().says("web: paused, new requests wait for 1.5s");
    assert_eq!(host.get("web", "/mark").await.body, "two", "nobody has resumed it");
    none_lost(&load.stop().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_input_is_told_what_is_right() {
    let host = Scenario::new("pause-input").app(App::new("web")).start().await;
    let web = async |args: &[&str], code, says| is(&host, host.deploy(args).await, code, says);
    host.deploy(&["web"]).await.succeeded();
    web(&["pause", "wbe"], 2, "error: unknown app `wbe`\n\nhint: did you mean `web`?").await;
    web(&["maintenance", "on", "wbe"], 2, "error: unknown app `wbe`\n\nhint: did you mean `web`?").await;
    for (args, says) in [
        (&["pause", "web", "--for", "11m"][..], "from `1ms` to `10m`"),
        (&["maintenance", "on", "web", "--allow", "10.1.0.0/8"], "an address, a network in CIDR form"),
        (&["maintenance", "on", "web", "--retry-after", "0s"], "from `1s` to `24h`"),
        (&["maintenance", "on", "web", "--page", "/nowhere/a.html"], "the page `/nowhere/a.html`"),
        (&["maintenance", "on", "web", "--page", "/etc/hostname"], "is neither .html, .json nor .txt"),
    ] {
        host.deploy(args).await.exited(2).says(says);
    }
    assert_eq!(host.get("web", "/").await.status, 200);
}
