//! Converts events to spans: one for the run, one per app, and one per step below its app.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{Span as _, SpanContext, SpanKind, Status, TraceContextExt as _, Tracer as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SdkTracer, Span};

use crate::event::{CanaryStanding, Event, Fact, Outcome};
use crate::model::{AppKey, InFlight, ReleaseNumber, StepId, StepKind};
use crate::ports::{Ending, Origin, RunInfo};

pub(super) struct Spans {
    tracer: SdkTracer,
    /// Events carry the time since this moment.
    began: SystemTime,
    root: Span,
    apps: BTreeMap<AppKey, AppSpan>,
    steps: Vec<StepSpan>,
    worst: Option<Outcome>,
}

struct AppSpan {
    span: Span,
    release: ReleaseNumber,
    version: String,
    drained: InFlight,
    cut: InFlight,
}

struct StepSpan {
    app: Option<AppKey>,
    /// Its number in the plan, unique among the steps of the app.
    id: StepId,
    kind: StepKind,
    span: Span,
}

fn text(name: &'static str, value: impl Into<String>) -> KeyValue {
    KeyValue::new(name, value.into())
}

fn count(name: &'static str, value: u64) -> KeyValue {
    KeyValue::new(name, i64::try_from(value).unwrap_or(i64::MAX))
}

fn outcome_text(outcome: Outcome) -> String {
    // The words of the event stream, so that both can be searched for with the same terms.
    serde_json::to_value(outcome).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn below(parent: &SpanContext) -> Context {
    Context::new().with_remote_span_context(parent.clone())
}

impl Spans {
    pub(super) fn begin(tracer: SdkTracer, parent: Context, run: &RunInfo) -> Self {
        let attributes = [
            text("deploy_apps.project", &run.project),
            text("deploy_apps.owner", &run.owner),
            text("deploy_apps.host", &run.host),
        ];
        let root = tracer
            .span_builder(run.command)
            .with_kind(SpanKind::Internal)
            .with_start_time(run.started)
            .with_attributes(attributes);
        let root = tracer.build_with_context(root, &parent);
        Self { tracer, began: run.started, root, apps: BTreeMap::new(), steps: Vec::new(), worst: None }
    }

    pub(super) fn event(&mut self, event: &Event) {
        let at = self.began + event.elapsed;
        let app = event.app.as_ref();
        match &event.fact {
            Fact::PlanMade { took } => self.past("plan", at, *took, Vec::new()),
            Fact::ImagePulled { reference, took } => {
                self.past("pull", at, *took, vec![text("deploy_apps.image", reference)]);
            }
            Fact::AppPlanned { from, to, version, replicas, up_to_date } => {
                if let Some(app) = app {
                    self.planned(app, at, *to, version);
                    let span = self.span_of(Some(app));
                    if let Some(from) = from {
                        span.set_attribute(text("deploy_apps.from", from.to_string()));
                    }
                    span.set_attribute(count("deploy_apps.replicas", (*replicas).into()));
                    span.set_attribute(KeyValue::new("deploy_apps.up_to_date", *up_to_date));
                }
            }
            Fact::StepStarted { id, step, kind, subject, because } => {
                let attributes = vec![
                    count("deploy_apps.step_id", id.0.into()),
                    text("deploy_apps.step", step),
                    text("deploy_apps.because", because),
                ];
                self.step_started(app, at, *id, *kind, subject.as_deref(), attributes);
            }
            Fact::StepFinished { id, .. } => self.step_ended(app, at, *id, "ok", None),
            Fact::StepFailed { id, step, error, hint, .. } => {
                self.step_ended(app, at, *id, "failed", Some(error));
                let mut attributes = vec![text("step", step), text("error", error)];
                attributes.extend(hint.as_ref().map(|hint| text("hint", hint)));
                self.note(app, at, "failure", attributes);
            }
            Fact::ImageBuilt { reused, .. } => {
                if let Some(span) = self.only_open(app, StepKind::Build) {
                    span.set_attribute(KeyValue::new("deploy_apps.reused", *reused));
                }
            }
            Fact::Drained { waited, cut, .. } => self.drained(app, *waited, *cut),
            Fact::ReplicaStopped { name, killed: true, .. } => {
                self.note(app, at, "killed", vec![text("replica", name)])
            }
            Fact::ReplicaUnstable { name, restarts, .. } => {
                self.note(app, at, "unstable", vec![text("replica", name), count("restarts", *restarts)]);
            }
            Fact::Warned { message } => self.note(app, at, "warning", vec![text("message", message)]),
            Fact::LeaseAwaited { owner, host, .. } => {
                self.note(app, at, "lease awaited", vec![text("owner", owner), text("host", host)]);
            }
            Fact::CanaryCompared { standing: CanaryStanding::Watched, .. } => {}
            Fact::CanaryCompared { summary, .. } => self.note(app, at, "canary", vec![text("summary", summary)]),
            Fact::CancelRequested => self.note(app, at, "cancel requested", Vec::new()),
            Fact::Undone { step, .. } => self.note(app, at, "undone", vec![text("step", step)]),
            Fact::UndoFailed { step, error, .. } => {
                self.note(app, at, "undo failed", vec![text("step", step), text("error", error)]);
            }
            Fact::LeftBehind { what, error, .. } => {
                self.note(app, at, "left behind", vec![text("what", what), text("error", error)]);
            }
            Fact::AppFinished { outcome, urls, .. } => {
                if let Some(app) = app {
                    self.app_finished(app, at, *outcome, urls);
                }
            }
            // Covered by the span of its step, or progress only.
            _ => {}
        }
    }

    pub(super) fn end(mut self, ending: &Ending) {
        let at = SystemTime::now();
        let open: Vec<AppKey> = self.apps.keys().cloned().collect();
        for app in open {
            self.close_steps(Some(&app), at);
            if let Some(mut app) = self.apps.remove(&app) {
                app.span.set_status(Status::error("the run ended before"));
                app.span.end_with_timestamp(at);
            }
        }
        self.close_steps(None, at);
        let Origin { commit, branch, url } = &ending.origin;
        let known =
            [("vcs.ref.head.revision", commit), ("vcs.ref.head.name", branch), ("cicd.pipeline.run.url.full", url)];
        self.root.set_attributes(known.into_iter().filter_map(|(name, value)| Some(text(name, value.as_ref()?))));
        self.root.set_attribute(KeyValue::new("deploy_apps.exit_code", i64::from(ending.exit_code)));
        let outcome = self.worst.map_or_else(|| if ending.failed { "failed" } else { "ok" }.to_owned(), outcome_text);
        self.root.set_attribute(text("deploy_apps.outcome", &outcome));
        if ending.failed {
            self.root.set_status(Status::error(ending.error.clone().unwrap_or(outcome)));
        } else {
            self.root.set_status(Status::Ok);
        }
        self.root.end_with_timestamp(at);
    }

    /// The app's span, else the run's.
    fn span_of(&mut self, app: Option<&AppKey>) -> &mut Span {
        match app.and_then(|app| self.apps.get_mut(app)) {
            Some(app) => &mut app.span,
            None => &mut self.root,
        }
    }

    fn note(&mut self, app: Option<&AppKey>, at: SystemTime, name: &'static str, attributes: Vec<KeyValue>) {
        self.span_of(app).add_event_with_timestamp(name, at, attributes);
    }

    /// A span of which only the end is known.
    fn past(&mut self, name: &'static str, at: SystemTime, took: Duration, attributes: Vec<KeyValue>) {
        let start = at.checked_sub(took).unwrap_or(self.began).max(self.began);
        let builder = self.tracer.span_builder(name).with_start_time(start).with_attributes(attributes);
        let mut span = self.tracer.build_with_context(builder, &below(self.root.span_context()));
        span.end_with_timestamp(at);
    }

    fn planned(&mut self, app: &AppKey, at: SystemTime, release: ReleaseNumber, version: &str) {
        if !self.apps.contains_key(app) {
            let builder = self
                .tracer
                .span_builder(format!("app {}", app.app))
                .with_start_time(at)
                .with_attributes([text("deploy_apps.app", app.to_string())]);
            let span = self.tracer.build_with_context(builder, &below(self.root.span_context()));
            let (drained, cut) = (InFlight::default(), InFlight::default());
            self.apps.insert(app.clone(), AppSpan { span, release, version: version.to_owned(), drained, cut });
        } else {
            // An earlier attempt was discarded because the state changed.
            self.close_steps(Some(app), at);
            self.note(Some(app), at, "planned again", Vec::new());
        }
        if let Some(known) = self.apps.get_mut(app) {
            (known.release, known.version) = (release, version.to_owned());
            known.span.set_attribute(text("deploy_apps.release", release.to_string()));
            known.span.set_attribute(text("deploy_apps.version", version));
        }
    }

    fn step_started(
        &mut self,
        app: Option<&AppKey>,
        at: SystemTime,
        id: StepId,
        kind: StepKind,
        subject: Option<&str>,
        mut attributes: Vec<KeyValue>,
    ) {
        let parent = match app.and_then(|app| self.apps.get(app)) {
            Some(app) => {
                attributes.push(text("deploy_apps.release", app.release.to_string()));
                attributes.push(text("deploy_apps.version", &app.version));
                app.span.span_context().clone()
            }
            None => self.root.span_context().clone(),
        };
        attributes.extend(app.map(|app| text("deploy_apps.app", app.to_string())));
        let about = match kind {
            StepKind::Create | StepKind::Start | StepKind::Gate | StepKind::Stop | StepKind::Remove => {
                "deploy_apps.replica"
            }
            _ => "deploy_apps.subject",
        };
        attributes.extend(subject.map(|subject| text(about, subject)));
        let builder = self.tracer.span_builder(kind.as_str()).with_start_time(at).with_attributes(attributes);
        let span = self.tracer.build_with_context(builder, &below(&parent));
        self.steps.push(StepSpan { app: app.cloned(), id, kind, span });
    }

    fn step_ended(
        &mut self,
        app: Option<&AppKey>,
        at: SystemTime,
        id: StepId,
        outcome: &'static str,
        error: Option<&str>,
    ) {
        let Some(index) = self.steps.iter().position(|open| open.app.as_ref() == app && open.id == id) else {
            return;
        };
        let mut span = self.steps.swap_remove(index).span;
        span.set_attribute(KeyValue::new("deploy_apps.outcome", outcome));
        if let Some(error) = error {
            span.set_status(Status::error(error.to_owned()));
        }
        span.end_with_timestamp(at);
    }

    /// Steps that were cancelled, not failed, have no status.
    fn close_steps(&mut self, app: Option<&AppKey>, at: SystemTime) {
        let (closing, open) = std::mem::take(&mut self.steps).into_iter().partition(|step| step.app.as_ref() == app);
        self.steps = open;
        for StepSpan { mut span, .. } in closing as Vec<StepSpan> {
            span.set_attribute(KeyValue::new("deploy_apps.outcome", "cancelled"));
            span.end_with_timestamp(at);
        }
    }

    /// The open step of this kind, when there is exactly one.
    fn only_open(&mut self, app: Option<&AppKey>, kind: StepKind) -> Option<&mut Span> {
        let mut open = self.steps.iter_mut().filter(|step| step.app.as_ref() == app && step.kind == kind);
        let first = open.next()?;
        if open.next().is_some() { None } else { Some(&mut first.span) }
    }

    fn drained(&mut self, app: Option<&AppKey>, waited: InFlight, cut: InFlight) {
        fn numbers(drained: InFlight, cut: InFlight) -> [KeyValue; 4] {
            [
                count("deploy_apps.drained.requests", drained.requests),
                count("deploy_apps.drained.websockets", drained.websockets),
                count("deploy_apps.cut.requests", cut.requests),
                count("deploy_apps.cut.websockets", cut.websockets),
            ]
        }
        let drained = waited.finished(cut);
        if let Some(span) = self.only_open(app, StepKind::Drain) {
            span.set_attributes(numbers(drained, cut));
        }
        if let Some(known) = app.and_then(|app| self.apps.get_mut(app)) {
            known.drained = [known.drained, drained].into_iter().sum();
            known.cut = [known.cut, cut].into_iter().sum();
            known.span.set_attributes(numbers(known.drained, known.cut));
        }
    }

    fn app_finished(&mut self, app: &AppKey, at: SystemTime, outcome: Outcome, urls: &[String]) {
        self.worst = self.worst.max(Some(outcome));
        self.close_steps(Some(app), at);
        let Some(mut known) = self.apps.remove(app) else { return };
        known.span.set_attribute(text("deploy_apps.outcome", outcome_text(outcome)));
        if let Some(url) = urls.first() {
            known.span.set_attribute(text("url.full", url));
        }
        known.span.set_status(match outcome {
            Outcome::UpToDate | Outcome::Completed | Outcome::CompletedWithLeftovers => Status::Ok,
            Outcome::Unstable
            | Outcome::RolledBack
            | Outcome::Aborted
            | Outcome::Cancelled
            | Outcome::Disconnected
            | Outcome::Stuck => Status::error(outcome_text(outcome)),
        });
        known.span.end_with_timestamp(at);
    }
}
