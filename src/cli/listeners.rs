//! Who else hears of a run that changes something: a trace, and webhooks. Both learn its end last, after the user has.

use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use tokio_util::sync::CancellationToken;

use super::exit::{Exit, Failure};
use crate::event::Event;
use crate::model::{Project, Webhook};
use crate::notify::{self, Gathered};
use crate::ports::Operator;
use crate::telemetry::{self, Settings, Trace};

/// Empty until a run begins.
#[derive(Default)]
pub struct Listeners {
    heard: OnceLock<Heard>,
}

struct Heard {
    command: &'static str,
    started: SystemTime,
    operator: Operator,
    webhooks: Vec<Webhook>,
    gathered: Gathered,
    trace: Option<Arc<Trace>>,
    cancel: CancellationToken,
    warnings: Vec<String>,
}

impl Listeners {
    /// Begins to listen; the first run of a command decides.
    pub fn begin(&self, command: &'static str, project: &Project, operator: &Operator, cancel: &CancellationToken) {
        self.heard.get_or_init(|| {
            let mut warnings = Vec::new();
            let trace = begin_trace(command, operator, &mut warnings);
            Heard {
                command,
                started: SystemTime::now(),
                operator: operator.clone(),
                webhooks: project.notify.clone(),
                gathered: Gathered::default(),
                trace,
                cancel: cancel.clone(),
                warnings,
            }
        });
    }

    pub fn event(&self, event: &Event) {
        let Some(heard) = self.heard.get() else { return };
        if let Some(trace) = &heard.trace {
            trace.event(event);
        }
        if !heard.webhooks.is_empty() {
            heard.gathered.event(event);
        }
    }

    /// Tells the end. What cannot be told is a warning on standard error, and never changes the exit code.
    pub async fn close(&self, result: &Result<Exit, Failure>) {
        let Some(heard) = self.heard.get() else { return };
        let ended = async {
            let (spans, told) = tokio::join!(heard.end_trace(result), heard.tell(result));
            spans.into_iter().chain(told).collect::<Vec<_>>()
        };
        let warnings = if heard.cancel.is_cancelled() {
            ended.await
        } else {
            // The work is done, so a wish to stop means this.
            tokio::select! {
                warnings = ended => warnings,
                () = heard.cancel.cancelled() => Vec::new(),
            }
        };
        for warning in heard.warnings.iter().chain(&warnings) {
            eprintln!("warning: {warning}");
        }
    }
}

fn begin_trace(command: &'static str, operator: &Operator, warnings: &mut Vec<String>) -> Option<Arc<Trace>> {
    let settings = match Settings::from_env(|name| std::env::var(name).ok()) {
        Ok(settings) => settings?,
        Err(warning) => {
            warnings.push(warning);
            return None;
        }
    };
    warnings.extend(settings.warnings.iter().cloned());
    let run = telemetry::RunInfo {
        command,
        project: operator.project.to_string(),
        owner: operator.owner.clone(),
        host: operator.host.clone(),
    };
    match Trace::begin(&settings, &run) {
        Ok(trace) => Some(Arc::new(trace)),
        Err(warning) => {
            warnings.push(warning);
            None
        }
    }
}

/// The exit code, whether it stands for something that was not done, and why.
fn ending(result: &Result<Exit, Failure>) -> (Exit, bool, Option<String>) {
    let (exit, error) = match result {
        Ok(exit) => (*exit, None),
        Err(failure) if failure.is_told() => (failure.exit, None),
        Err(failure) => (failure.exit, Some(failure.message.trim_end().to_owned())),
    };
    (exit, !matches!(exit, Exit::Done | Exit::Leftovers), error)
}

impl Heard {
    async fn end_trace(&self, result: &Result<Exit, Failure>) -> Option<String> {
        let trace = Arc::clone(self.trace.as_ref()?);
        let (exit, failed, error) = ending(result);
        let origin = self.operator.origin.get().cloned().unwrap_or_default();
        let ending = telemetry::Ending { exit_code: exit as u8, failed, error, origin };
        match tokio::task::spawn_blocking(move || trace.end(&ending)).await {
            Ok(result) => result.err(),
            Err(_) => Some("the trace was not exported: its thread died".to_owned()),
        }
    }

    async fn tell(&self, result: &Result<Exit, Failure>) -> Vec<String> {
        let (exit, failed, error) = ending(result);
        let origin = self.operator.origin.get().cloned().unwrap_or_default();
        let run = notify::RunInfo {
            command: self.command,
            project: self.operator.project.to_string(),
            owner: self.operator.owner.clone(),
            host: self.operator.host.clone(),
            origin,
            started: self.started,
        };
        let ending = notify::Ending { exit_code: exit as u8, failed, error, finished: SystemTime::now() };
        match self.gathered.summary(&run, &ending) {
            Some(summary) => notify::deliver(&self.webhooks, &summary).await,
            None => Vec::new(),
        }
    }
}
