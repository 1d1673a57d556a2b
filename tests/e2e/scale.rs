//! `scale`: more and fewer replicas of what serves, by hand.

use serde_json::json;

use crate::harness::{App, Host, Scenario, none_lost, sum};
use crate::input_file::is;

async fn peers(host: &Host) -> usize {
    host.record("web").await.expect("a record").peers.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_2_to_5_to_1_to_0_and_back_without_a_lost_request() {
    let host = Scenario::new("scale-hand").app(App::new("web").replicas(2)).start().await;
    host.deploy(&["web"]).await.succeeded();
    let load = host.start(host.steady("web")).await;
    host.deploy(&["scale", "web=5"]).await.succeeded();
    assert_eq!(peers(&host).await, 5);
    let output = host.deploy(&["scale", "web=1", "--format", "json"]).await.succeeded();
    assert_eq!(output.events("drained").len(), 4, "each one that goes is drained as in a deploy\n{output}");
    assert_eq!(sum(&output.events("drained"), "/cut/requests"), 0, "{output}");
    host.deploy(&["scale", "web=1"]).await.succeeded().says("up to date");
    none_lost(&load.stop().await);
    assert_eq!(host.containers().await.len(), 1);

    host.deploy(&["scale", "web=0"]).await.succeeded();
    assert_eq!(host.get("web", "/").await.status, 503);
    assert_eq!(host.containers().await.len(), 0);
    host.deploy(&["scale", "web=2"]).await.succeeded();
    let load = host.start(host.steady("web")).await;
    host.deploy(&["web"]).await.succeeded().says("up to date");
    none_lost(&load.stop().await);
    assert_eq!(host.record("web").await.expect("a record").release.0, 1, "all of it was one release");
    host.runs(&["web-r1-1", "web-r1-2"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_number_is_kept_by_deploys_until_the_file_says_another_and_what_serves_does_not_change() {
    let mut host = Scenario::new("scale-kept").app(App::new("web").env("RELEASE_MARK", "one")).start().await;
    host.deploy(&["web"]).await.succeeded();
    // A file that has moved on comes with the next deploy, not with a change of scale; nor is anything built.
    host.change("web", |app| app.env("RELEASE_MARK", "two").set("/build/context", json!("/nowhere")));
    let load = host.steady_load("web").await;
    host.deploy(&["scale", "web=3"]).await.succeeded();
    assert_eq!((peers(&host).await, host.get("web", "/mark").await.body.as_str()), (3, "one"));

    let context = format!("{}/tests/e2e/apps/fault-app", env!("CARGO_MANIFEST_DIR"));
    host.change("web", |app| app.set("/build/context", json!(context)));
    host.deploy(&["web"]).await.succeeded();
    assert_eq!((peers(&host).await, host.get("web", "/mark").await.body.as_str()), (3, "two"));
    host.change("web", |app| app.replicas(2));
    let output = host.deploy(&["web"]).await.succeeded();
    output.says("it was scaled to 3 while the compose file said 1; that says 2 now, which counts again");
    assert_eq!(peers(&host).await, 2);
    host.deploy(&["web", "--replicas", "4"]).await.succeeded();
    host.deploy(&["web", "--force"]).await.succeeded();
    assert_eq!(peers(&host).await, 4, "--replicas is remembered too");
    none_lost(&load.stop().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_scale_may_be_killed_after_any_step() {
    let host = Scenario::new("scale-crash").app(App::new("web")).start().await;
    host.deploy(&["web"]).await.succeeded();
    let load = host.steady_load("web").await;
    for (count, steps) in [(3, 2 * 3 + 3), (1, 2 + 2 * 3)] {
        let (desired, before) = (format!("web={count}"), if count == 3 { "web=1" } else { "web=3" });
        for step in 1..=steps {
            host.deploy(&["scale", before, "--lock-wait", "5s"]).await.succeeded();
            let killed = host.cli(&["scale", &desired]).env("DEPLOY_APPS_CRASH_AFTER", &step.to_string()).run().await;
            assert_eq!(killed.code, None, "{desired} has fewer steps than {step}\n{killed}");
            host.deploy(&["scale", &desired, "--lock-wait", "5s"]).await.succeeded();
            let record = host.record("web").await.expect("a record");
            assert_eq!((record.peers.len(), record.release.0), (count, 1), "after step {step}\n{killed}");
            assert_eq!(host.containers().await.len(), count, "after step {step}\n{killed}");
        }
    }
    none_lost(&load.stop().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_input_is_told_what_is_right() {
    let writer = App::new("writer").stop_first().set("/volumes", json!(["data:/data"]));
    let scenario = Scenario::new("scale-input").app(App::new("web")).app(App::new("other")).app(writer);
    let host = scenario.section("volumes", json!({ "data": {} })).start().await;
    let scale = async |words: &[&str], code, says| {
        is(&host, host.deploy(&[&["scale"], words].concat()).await, code, says);
    };
    scale(&["web=2"], 6, "error: app `PROJECT/web` is not deployed yet\n\nhint: `deploy-apps web` deploys it; with `--replicas N` with another number of replicas").await;
    host.deploy(&["web", "writer"]).await.succeeded();
    let number = "\n\nhint: give a whole number from 0 to 100";
    for text in ["-1", "two", "1.5", "101", "4294967297"] {
        let says = format!("error: `{text}` is not a number of replicas for `web`{number}");
        is(&host, host.deploy(&["scale", &format!("web={text}")]).await, 2, &says);
    }
    scale(&["web"], 2, "error: `web` does not say how many replicas\n\nhint: `deploy-apps scale web=2` gives it two")
        .await;
    scale(&["web="], 2, "error: `web=` does not say how many replicas\n\nhint: `deploy-apps scale web=2` gives it two")
        .await;
    scale(&["=2"], 2, "error: `=2` names no app\n\nhint: say `APP=N`, such as `go-app=2`").await;
    scale(&["web=2", "web=3"], 2, "error: app `web` is named twice\n\nhint: name each app once").await;
    scale(&["wbe=2"], 2, "error: unknown app `wbe`\nhint: did you mean `web`?").await;
    scale(&["other=2", "web=2"], 6, "error: app `PROJECT/other` is not deployed yet\n\nhint: `deploy-apps other` deploys it; with `--replicas N` with another number of replicas").await;
    scale(
        &["writer=2"],
        6,
        "error: app `PROJECT/writer` cannot have 2 replicas: with `order: stop-first` only one may write to `PROJECT_data`\n\n\
         hint: use `order: start-first` if several may write at once, or mount it read-only; else one replica is all it can have",
    )
    .await;
    host.runs(&["web-r1-1", "writer-r1-1"]).await;
}
