//! One request across services is one trace in Jaeger, and its identifier is in every log on the way.

use std::time::Duration;

use deploy_apps::load::{LoadConfig, Traffic};
use serde_json::Value;

use crate::harness::{DEADLINE, Host, Jaeger, docker, eventually, none_lost, sample};

/// Asks go-app to ask node-app, as a part of the trace with this identifier if there is one.
async fn ask_across(host: &Host, trace: Option<&str>) -> Value {
    ask(host, "node-app", trace).await
}

/// Asks go-app to ask the others.
async fn ask(host: &Host, others: &str, trace: Option<&str>) -> Value {
    let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).timeout(DEADLINE).build();
    let request = client.expect("a client").get(format!("http://{}/chain?to={others}", host.address()));
    let request = request.header("host", "go-app.localhost");
    let request = match trace {
        Some(id) => request.header("traceparent", format!("00-{id}-b7ad6b7169203331-01")),
        None => request,
    };
    let answer = request.send().await.expect("an answer");
    let (status, text) = (answer.status(), answer.text().await.expect("a text"));
    assert!(status.is_success(), "{status} {text}");
    serde_json::from_str(&text).expect("JSON")
}

/// At a rate that Jaeger's memory and the exporters' queues can hold.
fn across(host: &Host) -> LoadConfig {
    host.load("go-app").send_every(2, Duration::from_millis(20), Traffic::get("/chain?to=node-app"))
}

/// The lines that these apps and the proxy have written about a trace, each with the name of its source.
async fn lines_about(jaeger: &Jaeger<'_>, trace: &str, apps: &[&str]) -> Vec<(String, Value)> {
    let output = jaeger.cli(&[&["logs", "proxy"], apps].concat()).run().await.succeeded();
    let about = output.stdout.lines().filter(|line| line.contains(trace)).filter_map(|line| line.split_once(" | "));
    let parsed = about.map(|(source, line)| (source.to_owned(), serde_json::from_str(line).expect("a line of JSON")));
    parsed.collect()
}

/// Whatever language it is written in, a line of one app is found and read as that of any other.
async fn all_log_in_one_form(jaeger: &Jaeger<'_>, trace: &str) {
    let apps = ["go-app", "node-app", "counter-service", "visitors"];
    // Each with its proxy's; the proxy writes once a second.
    let lines = eventually("the lines of all on the way", DEADLINE, async || {
        let lines = lines_about(jaeger, trace, &apps).await;
        (lines.len() >= 2 * apps.len()).then_some(lines)
    })
    .await;
    for app in apps {
        let told = lines.iter().find(|(source, _)| source.starts_with(app));
        let (_, line) = told.unwrap_or_else(|| panic!("nothing of {app}: {lines:#?}"));
        let texts =
            ["time", "message", "app", "release", "replica", "method", "path", "route", "request_id", "span_id"];
        assert!(texts.iter().all(|field| line[field].is_string()), "{line:#}");
        let known = [&line["level"], &line["app"], &line["release"], &line["trace_id"]];
        assert_eq!(known, ["info", app, "r1", trace], "{line:#}");
        assert_eq!(line["status"], 200, "{line:#}");
        assert!(line["duration"].as_f64().is_some_and(|seconds| seconds < 60.0), "seconds: {line:#}");
        let by_proxy = |(source, other): &&(String, Value)| {
            source.starts_with("proxy") && other["request_id"] == line["request_id"]
        };
        assert_eq!(lines.iter().filter(by_proxy).count(), 1, "the proxy's of the same request: {lines:#?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_request_across_services_is_one_trace() {
    let host = sample("tracing").await;
    let jaeger = Jaeger::beside(&host);
    jaeger.cli(&["jaeger", "go-app", "node-app", "counter-service", "visitors"]).run().await.succeeded();

    // The client has begun no trace, so go-app does, and says so to whoever asks.
    let said = ask_across(&host, None).await;
    let id = said["trace_id"].as_str().expect("a trace");
    let trace = jaeger.trace(id, &["go-app", "node-app"]).await;
    let (root, call) = (trace.span("go-app", "server"), trace.span("go-app", "client"));
    let answer = trace.span("node-app", "server");
    assert_eq!((root.parent, call.parent, answer.parent), (None, Some(root.id), Some(call.id)), "{trace:#?}");
    assert_eq!((root.name, answer.name), ("GET /chain", "GET /chain"));
    assert_eq!((root.release, answer.release), (Some("r1"), Some("r1")));
    assert_eq!(root.tag("http.route"), Some("/chain"));

    // From the trace to the log: both apps and, for each of the two requests, the proxy. The proxy writes once a second.
    let lines = eventually("the lines of all on the way", DEADLINE, async || {
        let lines = lines_about(&jaeger, id, &["go-app", "node-app"]).await;
        (lines.len() >= 4).then_some(lines)
    })
    .await;
    let of = |source: &str| lines.iter().filter(|(from, _)| from.starts_with(source)).collect::<Vec<_>>();
    for app in ["go-app", "node-app"] {
        let [(_, line)] = of(app)[..] else { panic!("not one line of {app}: {lines:#?}") };
        assert_eq!((&line["app"], &line["release"], &line["trace_id"]), (&app.into(), &"r1".into(), &id.into()));
        assert_eq!((&line["level"], &line["route"], &line["status"]), (&"info".into(), &"/chain".into(), &200.into()));
        // The proxy's line of the same request has the same request id.
        let of_proxy =
            of("proxy").into_iter().filter(|(_, by_proxy)| by_proxy["request_id"] == line["request_id"]).count();
        assert_eq!(of_proxy, 1, "{lines:#?}");
    }

    // Through every language and down to the databases: what an app asks of one is a span below its own.
    let said = ask(&host, "node-app,counter-service/count,visitors/figures", None).await;
    let id = said["trace_id"].as_str().expect("a trace");
    for (service, system) in [("counter-service", "redis"), ("visitors", "postgresql")] {
        eventually(&format!("what {service} asks of {system}"), DEADLINE, async || {
            let trace = jaeger.trace(id, &["go-app", "node-app", "counter-service", "visitors"]).await;
            let own = trace.span(service, "server");
            let mut asked = trace.spans().filter(|span| span.tag("db.system") == Some(system));
            asked.any(|span| span.service == service && span.parent == Some(own.id)).then_some(())
        })
        .await;
    }
    all_log_in_one_form(&jaeger, id).await;

    // The context of the client's trace goes through proxies and apps while one of them is replaced.
    let load = host.start(across(&host)).await;
    let deploy = jaeger.cli(&["node-app", "--force"]).env("OTEL_EXPORTER_OTLP_ENDPOINT", &jaeger.endpoint()).spawn();
    let mut deploy = tokio::spawn(deploy.finish());
    let mut ids = Vec::new();
    let output = loop {
        let id = format!("abc{:029x}", ids.len());
        ask_across(&host, Some(&id)).await;
        ids.push(id);
        if let Ok(output) = tokio::time::timeout(Duration::from_millis(100), &mut deploy).await {
            break output.expect("no panic");
        }
    };
    assert!(!output.succeeded().stderr.contains("warning:"), "the deploy's own trace is not exported");
    ids.push(format!("def{:029x}", 0));
    ask_across(&host, ids.last().map(String::as_str)).await;
    none_lost(&load.stop().await);
    let mut releases = Vec::new();
    for id in &ids {
        let trace = jaeger.trace(id, &["go-app", "node-app"]).await;
        assert_eq!(trace.span("go-app", "server").parent, Some("b7ad6b7169203331"));
        releases.push(trace.span("node-app", "server").release.map(str::to_owned));
    }
    let [first, last] = [releases.first(), releases.last()].map(|release| release.cloned().flatten());
    assert_eq!((first.as_deref(), last.as_deref()), (Some("r1"), Some("r2")), "{releases:?}");

    // That deploy is a trace too.
    let deployed = jaeger.trace_of("deploy-apps", "deploy").await;
    for step in ["deploy", "plan", "app node-app", "gate", "flip", "drain", "stop"] {
        assert!(deployed.spans().any(|span| span.name == step), "no `{step}` in {deployed:#?}");
    }

    // A collector that dies takes its traces with it, and no request.
    let load = host.start(across(&host)).await;
    jaeger.kill();
    for _ in 0..50 {
        ask_across(&host, None).await;
    }
    none_lost(&load.stop().await);
}

#[test]
#[ignore = "compiles for minutes: `tests/run` has it done before other tests wait for anything"]
fn its_image_is_there() {
    assert!(!docker(&["images", "-q", &Jaeger::image()]).is_empty());
}
