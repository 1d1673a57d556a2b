//! Traces as a collector gets them, and what a run does when there is none.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use serde_json::json;

use crate::harness::{App, Receiver, Reply, Scenario, nobody};

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn text(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::BoolValue(truth)) => truth.to_string(),
        other => format!("{other:?}"),
    }
}

fn find(attributes: &[KeyValue], name: &str) -> Option<String> {
    attributes.iter().find(|attribute| attribute.key == name).map(|attribute| text(attribute.value.as_ref()))
}

#[track_caller]
fn attribute(span: &Span, name: &str) -> String {
    find(&span.attributes, name).unwrap_or_else(|| panic!("no `{name}` in {span:#?}"))
}

fn requests(receiver: &Receiver) -> Vec<ExportTraceServiceRequest> {
    let decode = |body| ExportTraceServiceRequest::decode(body).expect("protobuf");
    receiver.received().into_iter().map(|received| decode(received.body)).collect()
}

fn spans(receiver: &Receiver) -> Vec<Span> {
    let scopes = requests(receiver).into_iter().flat_map(|request| request.resource_spans);
    scopes.flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans).collect()
}

#[track_caller]
fn named<'s>(spans: &'s [Span], name: &str) -> &'s Span {
    let names: Vec<_> = spans.iter().map(|span| span.name.as_str()).collect();
    spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no span `{name}` in {names:?}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_deploy_is_a_trace() {
    let collector = Receiver::start(&[Reply::Status(200)]).await;
    let mut host = Scenario::new("trace").app(App::new("web").replicas(2)).app(App::new("api")).start().await;
    host.deploy(&["--all"]).await.succeeded();
    let run = host
        .cli(&["--all", "--force"])
        .env(ENDPOINT, &collector.url(""))
        .env("OTEL_EXPORTER_OTLP_HEADERS", "x-team=red")
        .env("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=staging")
        .env("TRACEPARENT", PARENT);
    let output = run.run().await.succeeded();
    assert!(!output.stderr.contains("warning:"), "{output}");

    let received = &collector.received()[0];
    assert_eq!(received.path, "/v1/traces");
    assert_eq!(received.headers["x-team"], "red");
    assert_eq!(received.headers["content-type"], "application/x-protobuf");
    let resource = requests(&collector)[0].resource_spans[0].resource.clone().expect("a resource");
    assert_eq!(find(&resource.attributes, "service.name").as_deref(), Some("deploy-apps"));
    assert_eq!(find(&resource.attributes, "deployment.environment.name").as_deref(), Some("staging"));

    let spans = spans(&collector);
    let root = named(&spans, "deploy");
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!((hex(&root.trace_id), hex(&root.parent_span_id)), (PARENT[3..35].into(), PARENT[36..52].into()));
    assert_eq!(attribute(root, "deploy_apps.project"), host.name());
    assert_eq!(
        (attribute(root, "deploy_apps.outcome"), attribute(root, "deploy_apps.exit_code")),
        ("completed".into(), "0".into())
    );
    assert_eq!(named(&spans, "plan").parent_span_id, root.span_id);
    for (app, replicas) in [("web", 2), ("api", 1)] {
        let span = named(&spans, &format!("app {app}"));
        assert_eq!(span.parent_span_id, root.span_id);
        assert_eq!(
            (attribute(span, "deploy_apps.release"), attribute(span, "deploy_apps.from")),
            ("r2".into(), "r1".into())
        );
        assert_eq!(attribute(span, "deploy_apps.outcome"), "completed");
        let below: Vec<&Span> = spans.iter().filter(|below| below.parent_span_id == span.span_id).collect();
        let count = |kind: &str| below.iter().filter(|span| span.name == kind).count();
        for kind in ["start", "stop"] {
            assert_eq!(count(kind), replicas, "{kind} of {app}");
        }
        // Several replicas are asked once more, together, right before the flip.
        assert!(count("gate") >= replicas, "{app}");
        assert_eq!((count("build"), count("flip")), (1, 1), "{app}");
        assert!(count("drain") > 0, "{app}");
        for step in below {
            assert_eq!(
                (attribute(step, "deploy_apps.release"), attribute(step, "deploy_apps.outcome")),
                ("r2".into(), "ok".into())
            );
            let inside = span.start_time_unix_nano <= step.start_time_unix_nano
                && step.end_time_unix_nano <= span.end_time_unix_nano;
            assert!(inside && step.start_time_unix_nano <= step.end_time_unix_nano, "{step:#?}");
        }
        let starts = spans.iter().filter(|step| step.name == "start" && step.parent_span_id == span.span_id);
        let mut names: Vec<String> = starts.map(|start| attribute(start, "deploy_apps.replica")).collect();
        names.sort();
        let wanted: Vec<String> = (1..=replicas).map(|replica| format!("{}-{app}-r2-{replica}", host.name())).collect();
        assert_eq!(names, wanted);
    }

    // A failure is found by its status, not by reading.
    host.change("web", |app| app.fault("unhealthy").set("/x-deploy-apps/health/timeout", json!("2s")));
    let failing = Receiver::start(&[Reply::Status(200)]).await;
    let output = host.cli(&["web"]).env(ENDPOINT, &failing.url("")).run().await.exited(1);
    assert!(!output.stderr.contains("the trace was not exported"), "{output}");
    let spans = self::spans(&failing);
    let root = named(&spans, "deploy");
    let status = |span: &Span| span.status.clone().map(|status| (status.code, status.message)).unwrap_or_default();
    assert_eq!(status(root), (2, "rolled_back".to_owned()));
    assert_eq!((attribute(root, "deploy_apps.exit_code"), hex(&root.parent_span_id)), ("1".into(), String::new()));
    let web = named(&spans, "app web");
    assert_eq!(status(web).0, 2);
    assert!(web.events.iter().any(|event| event.name == "failure"), "{web:#?}");
    assert!(web.events.iter().any(|event| event.name == "undone"), "{web:#?}");
    let gate = spans.iter().find(|span| span.name == "gate" && status(span).0 == 2).expect("a failed gate");
    assert_eq!(attribute(gate, "deploy_apps.outcome"), "failed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_collector_fails_or_delays_a_deploy() {
    let host = Scenario::new("untraced").app(App::new("web")).start().await;
    let refused = nobody();
    let run = host.cli(&["web"]).env(ENDPOINT, &format!("http://me:secret@{refused}"));
    let output = run.run().await.succeeded().says(&format!("warning: the trace was not exported to `{refused}`: "));
    assert!(!output.stderr.contains("secret"), "{output}");

    // One that takes the spans and never answers is waited for once, not longer than it is said here.
    let silent = Receiver::start(&[Reply::Silence]).await;
    let output = host.cli(&["web", "--force"]).env(ENDPOINT, &silent.url("")).run().await.succeeded();
    let output =
        output.says(&format!("warning: the trace was not exported to `{}`: no answer within 1s", silent.place()));
    assert!(output.stdout.contains("r2"), "{output}");

    let wrong = host.cli(&["web", "--force"]).env(ENDPOINT, "collector:4318").run().await.succeeded();
    let told =
        "warning: no trace is exported: `OTEL_EXPORTER_OTLP_ENDPOINT` is not a URL such as `http://localhost:4318`\n";
    assert!(wrong.stderr.ends_with(told), "{wrong}");

    // A collector that is only busy gets its spans a little later.
    let busy = Receiver::start(&[Reply::Status(503), Reply::Status(200)]).await;
    let output = host.cli(&["web", "--force"]).env(ENDPOINT, &busy.url("")).run().await.succeeded();
    assert!(!output.stderr.contains("warning:"), "{output}");
    assert!(busy.received().len() >= 2);

    let off = Receiver::start(&[Reply::Status(200)]).await;
    let run = host.cli(&["web", "--force"]).env(ENDPOINT, &off.url("")).env("OTEL_SDK_DISABLED", "true");
    run.run().await.succeeded();
    assert_eq!(off.received().len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_is_killed_is_seen_up_to_there() {
    let collector = Receiver::start(&[Reply::Status(200)]).await;
    let host = Scenario::new("killed-trace").app(App::new("web")).start().await;
    let run = host.cli(&["web", "--format", "json"]).env(ENDPOINT, &collector.url(""));
    let slow = run.env("DEPLOY_APPS_CRASH_AFTER", "flip").spawn();
    let output = slow.finish().await;
    assert_ne!(output.code, Some(0), "{output}");
    // Nothing of it hinders the next run.
    host.cli(&["web"]).env(ENDPOINT, &collector.url("")).run().await.succeeded();
    crate::harness::eventually("the next run is seen", Duration::from_secs(20), async || {
        spans(&collector).iter().any(|span| span.name == "deploy").then_some(())
    })
    .await;
}
