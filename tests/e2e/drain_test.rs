//! `deploy-apps drain-test`: the proof that users run on their own apps.

use serde_json::Value;

use crate::harness::{App, Output, Scenario};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drain_test_sends_every_kind_of_load_and_finds_nothing_lost() {
    let host = Scenario::new("proof").app(App::new("front").replicas(2)).app(App::new("back")).start().await;
    let load = ["--clients", "20", "--gap", "5ms", "--post-path", "/upload", "--sleep-path", "/sleep?for=2s"];
    let streams = ["--websocket-path", "/ws", "--events-path", "/events?every=100ms", "--upload-path", "/upload"];
    let bounds = ["--long-clients", "2", "--stream-for", "1s", "--deploys", "2", "--steady", "1s", "--format", "json"];
    let args = [&["drain-test", "front", "back"][..], &load, &streams, &bounds].concat();
    // Nothing is deployed yet: the command does that first.
    let output = host.deploy(&args).await.succeeded();

    let report = report(&output);
    assert_eq!((&report["v"], &report["deploys"]), (&1.into(), &2.into()), "{output}");
    let apps = report["apps"].as_array().expect("a report for each app");
    assert_eq!(apps.iter().map(|app| &app["app"]).collect::<Vec<_>>(), ["front", "back"], "{output}");
    for app in apps {
        let report = &app["report"];
        assert_eq!(report["failed"], Value::Object(serde_json::Map::new()), "{output}");
        let mut kinds = Vec::new();
        for kind in report["kinds"].as_array().expect("kinds") {
            assert!(kind["ok"].as_u64() > Some(0), "none of `{}` were answered\n{output}", kind["kind"]);
            kinds.push(kind["kind"].as_str().expect("a name"));
        }
        assert_eq!(kinds, ["get", "post", "pooled", "sleeper", "upload", "sse", "websocket"], "{output}");
        for phase in ["steady", "deploying"] {
            assert!(report["latency"][phase]["p99_us"].as_u64() > Some(0), "no latency of `{phase}`\n{output}");
        }
    }
    host.runs(&["back-r3-1", "front-r3-1", "front-r3-2"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drain_test_of_an_app_that_cuts_its_streams_ends_with_code_10_and_names_the_cause() {
    // Not drained, and deaf to its stop signal: its streams end with its kill, which no proxy can hide.
    let brutal = App::new("web").fault("ignore-term").drain("0s", "0s").set("/stop_grace_period", "1s".into());
    let host = Scenario::new("disproof").app(brutal).start().await;
    let args = ["drain-test", "web", "--events-path", "/events?every=100ms", "--websocket-path", "/ws"];
    let bounds = ["--long-clients", "3", "--stream-for", "5m", "--deploys", "1", "--steady", "3s"];
    let short = ["--clients", "4", "--gap", "5ms", "--post-path", "/upload"];
    let output = host.deploy(&[&args[..], &bounds, &short].concat()).await.exited(10);

    let line = |kind: &str| output.stdout.lines().find(|line| line.starts_with(kind)).unwrap_or_default();
    for kind in ["sse", "websocket"] {
        assert!(line(kind).ends_with("cut stream: 3"), "`{kind}`: all three clients lost theirs\n{output}");
    }
    for kind in ["get", "post"] {
        assert_eq!(line(kind).split_whitespace().nth(2), Some("0"), "`{kind}` was not the price\n{output}");
    }
    assert!(output.stdout.contains("first 6 of 6 failures"), "{output}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drain_test_asks_for_a_path_that_the_app_serves_before_it_counts() {
    let host = Scenario::new("wrong-path").app(App::new("web")).start().await;
    let output = host.deploy(&["drain-test", "web", "--get-path", "/no-such-path", "--deploys", "1"]).await;
    output.exited(2).says("app `web` does not answer GET `/no-such-path` with success: status 404").says("hint: ");
}

/// The result is the last line of standard output, whatever was told before.
fn report(output: &Output) -> Value {
    let line = output.stdout.lines().last().unwrap_or_default();
    let report = serde_json::from_str(line);
    let report = report.unwrap_or_else(|error| panic!("the last line is no report: {error}\n{output}"));
    crate::schema::validates("drain-test", &report);
    report
}
