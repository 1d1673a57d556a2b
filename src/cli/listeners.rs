//! Observers of a run that changes something: a trace and webhooks. They are notified of its end after the user.

use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use tokio_util::sync::CancellationToken;

use super::exit::{Exit, Failure};
use crate::event::Event;
use crate::model::{Project, Webhook};
use crate::notify::{self, Gathered};
use crate::ports::{Ending, Operator, RunInfo};
use crate::telemetry::{Settings, Trace};

/// Empty until a run starts.
#[derive(Default)]
pub struct Listeners {
    heard: OnceLock<Heard>,
}

struct Heard {
    run: RunInfo,
    operator: Operator,
    webhooks: Vec<Webhook>,
    gathered: Gathered,
    trace: Option<Arc<Trace>>,
    cancel: CancellationToken,
    warnings: Vec<String>,
}

impl Listeners {
    /// Starts to observe. Only the first run of a command has an effect.
    pub fn begin(&self, command: &'static str, project: &Project, operator: &Operator, cancel: &CancellationToken) {
        self.heard.get_or_init(|| {
            let mut warnings = Vec::new();
            let run = RunInfo {
                command,
                project: operator.project.to_string(),
                owner: operator.owner.clone(),
                host: operator.host.clone(),
                started: SystemTime::now(),
            };
            let trace = begin_trace(&run, &mut warnings);
            Heard {
                run,
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

    /// Reports the end. A failed delivery is a warning on stderr and does not change the exit code.
    pub async fn close(&self, result: &Result<Exit, Failure>) {
        let Some(heard) = self.heard.get() else { return };
        let ending = heard.ending(result);
        let ended = async {
            let (spans, told) = tokio::join!(heard.end_trace(&ending), heard.tell(&ending));
            spans.into_iter().chain(told).collect::<Vec<_>>()
        };
        let warnings = if heard.cancel.is_cancelled() {
            ended.await
        } else {
            // The work is done, so a signal now cancels the delivery.
            tokio::select! {
                warnings = ended => warnings,
                () = heard.cancel.cancelled() => Vec::new(),
            }
        };
        for warning in heard.warnings.iter().chain(&warnings) {
            errln!("warning: {warning}");
        }
    }
}

fn begin_trace(run: &RunInfo, warnings: &mut Vec<String>) -> Option<Arc<Trace>> {
    let settings = match Settings::from_env(|name| std::env::var(name).ok()) {
        Ok(settings) => settings?,
        Err(warning) => {
            warnings.push(warning);
            return None;
        }
    };
    warnings.extend(settings.warnings.iter().cloned());
    match Trace::begin(&settings, run) {
        Ok(trace) => Some(Arc::new(trace)),
        Err(warning) => {
            warnings.push(warning);
            None
        }
    }
}

impl Heard {
    fn ending(&self, result: &Result<Exit, Failure>) -> Ending {
        let (exit, error) = match result {
            Ok(exit) => (*exit, None),
            Err(failure) if failure.is_told() => (failure.exit, None),
            Err(failure) => (failure.exit, Some(failure.message.trim_end().to_owned())),
        };
        Ending {
            exit_code: exit as u8,
            failed: !matches!(exit, Exit::Done | Exit::Leftovers),
            error,
            origin: self.operator.origin.get().cloned().unwrap_or_default(),
            finished: SystemTime::now(),
        }
    }

    async fn end_trace(&self, ending: &Ending) -> Option<String> {
        let (trace, ending) = (Arc::clone(self.trace.as_ref()?), ending.clone());
        match tokio::task::spawn_blocking(move || trace.end(&ending)).await {
            Ok(result) => result.err(),
            Err(_) => Some("the trace was not exported: its thread died".to_owned()),
        }
    }

    async fn tell(&self, ending: &Ending) -> Vec<String> {
        match self.gathered.summary(&self.run, ending) {
            Some(summary) => notify::deliver(&self.webhooks, &summary).await,
            None => Vec::new(),
        }
    }
}
