//! Events in, finished spans out; no network.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use opentelemetry::trace::Status;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

use super::Trace;
use super::export::{Export, Reason};
use super::settings::Settings;
use super::spans::Spans;
use crate::event::{Event, Fact, Outcome};
use crate::model::{AppKey, Generation, InFlight, ReleaseNumber, StepId, StepKind};
use crate::ports::{Ending, Origin, RunInfo};

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[derive(Debug, Clone, Default)]
struct Kept(Arc<Mutex<Vec<SpanData>>>);

impl SpanExporter for Kept {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.lock().expect("not poisoned").extend(batch);
        Ok(())
    }
}

#[derive(Debug)]
struct Broken;

impl SpanExporter for Broken {
    async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
        Err(OTelSdkError::InternalFailure("connection refused".to_owned()))
    }
}

fn settings(extra: &[(&str, &str)]) -> Settings {
    let variables: Vec<_> = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://me:secret@localhost:4318/")]
        .iter()
        .chain(extra)
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let env = move |name: &str| variables.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    Settings::from_env(env).expect("valid").expect("an endpoint")
}

fn run_info() -> RunInfo {
    let text = str::to_owned;
    RunInfo {
        command: "deploy",
        project: text("sample"),
        owner: text("ann"),
        host: text("laptop"),
        started: SystemTime::now(),
    }
}

fn app() -> AppKey {
    "sample/web".parse().expect("a key")
}

fn at(app: Option<AppKey>, millis: u64, fact: Fact) -> Event {
    Event { app, elapsed: Duration::from_millis(millis), fact }
}

fn planned() -> Fact {
    let version = "1.4.0+8".to_owned();
    Fact::AppPlanned { from: Some(ReleaseNumber(7)), to: ReleaseNumber(8), version, replicas: 1, up_to_date: false }
}

fn started(id: u32, step: &str, kind: StepKind, subject: Option<&str>) -> Fact {
    let (id, step, subject) = (StepId(id), step.to_owned(), subject.map(str::to_owned));
    Fact::StepStarted { id, step, kind, subject, because: "so".to_owned() }
}

fn finished(id: u32, step: &str) -> Fact {
    Fact::StepFinished { id: StepId(id), step: step.to_owned(), took: Duration::ZERO }
}

fn over(settings: &Settings, exporter: impl SpanExporter + 'static) -> Trace {
    let export = Export::new(exporter, settings, Reason::default());
    let spans = Spans::begin(export.tracer(), settings.parent(), &run_info());
    Trace { export, spans: Mutex::new(Some(spans)) }
}

/// The spans of these events, in the order of their ends.
fn spans(settings: &Settings, events: &[Event], exit_code: u8) -> Vec<SpanData> {
    let kept = Kept::default();
    let trace = over(settings, kept.clone());
    for event in events {
        trace.event(event);
    }
    let origin = Origin { commit: Some("abc123".to_owned()), ..Origin::default() };
    trace
        .end(&Ending { exit_code, failed: exit_code != 0, error: None, origin, finished: SystemTime::now() })
        .expect("nothing was lost");
    kept.0.lock().expect("not poisoned").clone()
}

#[track_caller]
fn named<'s>(spans: &'s [SpanData], name: &str) -> &'s SpanData {
    let names: Vec<_> = spans.iter().map(|span| &span.name).collect();
    spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no span `{name}` in {names:?}"))
}

#[track_caller]
fn attribute(span: &SpanData, name: &str) -> String {
    let found = span.attributes.iter().rev().find(|attribute| attribute.key.as_str() == name);
    found.unwrap_or_else(|| panic!("no `{name}` in {:?}", span.attributes)).value.as_str().into_owned()
}

fn length(span: &SpanData) -> Duration {
    span.end_time.duration_since(span.start_time).expect("an end after its start")
}

#[test]
fn a_deploy_is_a_tree_of_run_app_and_steps() {
    let web = || Some(app());
    let drained = Fact::Drained {
        waited: InFlight { requests: 14, websockets: 1 },
        cut: InFlight { requests: 0, websockets: 1 },
        took: Duration::from_millis(50),
    };
    let events = [
        at(None, 100, Fact::PlanMade { took: Duration::from_millis(60) }),
        at(web(), 101, planned()),
        at(web(), 110, started(5, "start `sample-web-r8-1`", StepKind::Start, Some("sample-web-r8-1"))),
        at(web(), 150, finished(5, "start `sample-web-r8-1`")),
        at(web(), 160, started(8, "flip", StepKind::Flip, None)),
        at(web(), 161, Fact::Flipped { generation: Generation(5), took: Duration::from_millis(1) }),
        at(web(), 162, finished(8, "flip")),
        at(web(), 163, started(10, "drain", StepKind::Drain, None)),
        at(web(), 213, drained),
        at(web(), 213, finished(10, "drain")),
        at(web(), 300, Fact::AppFinished { outcome: Outcome::Completed, urls: vec![], took: Duration::ZERO }),
    ];
    let spans = spans(&settings(&[("TRACEPARENT", PARENT)]), &events, 0);
    assert_eq!(spans.len(), 6, "{spans:#?}");

    let root = named(&spans, "deploy");
    assert_eq!(root.span_context.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(root.parent_span_id.to_string(), "b7ad6b7169203331");
    assert!(root.parent_span_is_remote);
    assert_eq!(
        (attribute(root, "deploy_apps.project"), attribute(root, "deploy_apps.owner")),
        ("sample".into(), "ann".into())
    );
    assert_eq!(
        (attribute(root, "deploy_apps.exit_code"), attribute(root, "deploy_apps.outcome")),
        ("0".into(), "completed".into())
    );
    assert_eq!(attribute(root, "vcs.ref.head.revision"), "abc123");
    assert_eq!(root.status, Status::Ok);

    let web = named(&spans, "app web");
    assert_eq!(web.parent_span_id, root.span_context.span_id());
    assert!(!web.parent_span_is_remote);
    assert_eq!(
        (attribute(web, "deploy_apps.app"), attribute(web, "deploy_apps.release")),
        ("sample/web".into(), "r8".into())
    );
    assert_eq!(
        (attribute(web, "deploy_apps.from"), attribute(web, "deploy_apps.version")),
        ("r7".into(), "1.4.0+8".into())
    );
    assert_eq!(
        (attribute(web, "deploy_apps.drained.requests"), attribute(web, "deploy_apps.cut.websockets")),
        ("14".into(), "1".into())
    );
    assert_eq!(attribute(web, "deploy_apps.drained.websockets"), "0", "what was cut was not drained");
    assert_eq!(length(web), Duration::from_millis(199));

    let plan = named(&spans, "plan");
    assert_eq!((plan.parent_span_id, length(plan)), (root.span_context.span_id(), Duration::from_millis(60)));
    let start = named(&spans, "start");
    assert_eq!((start.parent_span_id, length(start)), (web.span_context.span_id(), Duration::from_millis(40)));
    assert_eq!(
        (attribute(start, "deploy_apps.replica"), attribute(start, "deploy_apps.outcome")),
        ("sample-web-r8-1".into(), "ok".into())
    );
    assert_eq!(attribute(named(&spans, "drain"), "deploy_apps.drained.requests"), "14");
    assert!(spans.iter().all(|span| span.span_context.trace_id() == root.span_context.trace_id()));
}

#[test]
fn a_failure_marks_its_step_its_app_and_the_run() {
    let web = || Some(app());
    let gate = "await `sample-web-r8-1`";
    let failed = Fact::StepFailed {
        id: StepId(6),
        step: gate.to_owned(),
        error: "not healthy".to_owned(),
        hint: Some("see its output".to_owned()),
        details: vec![],
    };
    let events = [
        at(web(), 1, planned()),
        at(web(), 2, started(6, gate, StepKind::Gate, Some("sample-web-r8-1"))),
        at(web(), 2, started(7, "create the other", StepKind::Create, None)),
        at(web(), 3, Fact::Warned { message: "slow".to_owned() }),
        at(web(), 4, failed),
        at(web(), 5, Fact::Undone { id: StepId(4), step: "create".to_owned() }),
        at(web(), 6, Fact::AppFinished { outcome: Outcome::RolledBack, urls: vec![], took: Duration::ZERO }),
    ];
    let spans = spans(&settings(&[]), &events, 1);
    assert_eq!(named(&spans, "gate").status, Status::error("not healthy"));
    assert_eq!(attribute(named(&spans, "create"), "deploy_apps.outcome"), "cancelled");
    let web = named(&spans, "app web");
    assert_eq!(web.status, Status::error("rolled_back"));
    let events: Vec<_> = web.events.iter().map(|event| event.name.as_ref()).collect();
    assert_eq!(events, ["warning", "failure", "undone"]);
    let root = named(&spans, "deploy");
    assert_eq!(
        (&root.status, attribute(root, "deploy_apps.exit_code")),
        (&Status::error("rolled_back"), "1".to_owned())
    );
    assert!(!root.parent_span_id.to_string().contains(|c| c != '0'), "a root without a pipeline has no parent");
}

#[test]
fn what_is_open_at_the_end_is_closed() {
    let events = [at(Some(app()), 1, planned()), at(Some(app()), 2, started(8, "flip", StepKind::Flip, None))];
    let spans = spans(&settings(&[]), &events, 130);
    assert_eq!(named(&spans, "app web").status, Status::error("the run ended before"));
    assert_eq!(attribute(named(&spans, "flip"), "deploy_apps.outcome"), "cancelled");
    assert!(named(&spans, "deploy").end_time <= SystemTime::now());
}

#[test]
fn an_export_that_fails_is_told_without_the_password() {
    let trace = over(&settings(&[]), Broken);
    let ending =
        Ending { exit_code: 0, failed: false, error: None, origin: Origin::default(), finished: SystemTime::now() };
    let said = trace.end(&ending).expect_err("it was lost");
    assert!(said.starts_with("the trace was not exported to `localhost:4318`: "), "{said}");
    assert!(said.contains("connection refused") && !said.contains("secret"), "{said}");
}

#[test]
fn the_environment_switches_it_on_and_off() {
    let from = |pairs: &'static [(&str, &str)]| {
        Settings::from_env(|name| pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
    };
    assert_eq!(from(&[]), Ok(None));
    assert_eq!(from(&[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")]), Ok(None));
    for off in [("OTEL_SDK_DISABLED", "TRUE"), ("OTEL_TRACES_EXPORTER", "none")] {
        let pairs = Vec::leak(vec![off, ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318")]);
        assert_eq!(from(pairs), Ok(None));
    }
    let settings = from(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318/base/")]).expect("valid").expect("on");
    assert_eq!((settings.endpoint.as_str(), settings.default_name), ("http://c:4318/base/v1/traces", true));
    // The traces' own variable is taken as it is.
    let own: &[_] = &[("OTEL_EXPORTER_OTLP_ENDPOINT", "x"), ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://c/t")];
    assert_eq!(from(own).expect("valid").expect("on").endpoint, "https://c/t");
    assert_eq!(
        from(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318")]).expect_err("no URL"),
        "no trace is exported: `OTEL_EXPORTER_OTLP_ENDPOINT` is not a URL such as `http://localhost:4318`"
    );
    let grpc: &[_] = &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4317"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")];
    assert_eq!(from(grpc).expect("valid").expect("on").warnings.len(), 1);
    for (text, milliseconds, warnings) in [("250", 250, 0), ("2s", 10_000, 1), ("0", 10_000, 1)] {
        let pairs = Vec::leak(vec![("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c"), ("OTEL_EXPORTER_OTLP_TIMEOUT", text)]);
        let settings = from(pairs).expect("valid").expect("on");
        assert_eq!((settings.timeout.as_millis(), settings.warnings.len()), (milliseconds, warnings), "{text}");
    }
    let named: &[_] =
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c"), ("OTEL_RESOURCE_ATTRIBUTES", "a=b,service.name=x")];
    assert!(!from(named).expect("valid").expect("on").default_name);
}

#[test]
fn two_equal_steps_are_two_spans() {
    let web = || Some(app());
    let pause = |id| started(id, "pause 5s", StepKind::Pause, None);
    let events = [
        at(web(), 0, planned()),
        at(web(), 10, pause(3)),
        at(web(), 20, pause(4)),
        at(web(), 30, finished(4, "pause 5s")),
        at(web(), 70, finished(3, "pause 5s")),
    ];
    let spans = spans(&settings(&[]), &events, 0);
    let took = |id: &str| {
        let span = spans.iter().find(|span| span.name == "pause" && attribute(span, "deploy_apps.step_id") == id);
        length(span.unwrap_or_else(|| panic!("no span of step {id}")))
    };
    assert_eq!(took("4"), Duration::from_millis(10));
    assert_eq!(took("3"), Duration::from_millis(60));
}
