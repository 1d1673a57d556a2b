//! Each run as an OpenTelemetry trace, exported over OTLP when the environment names a collector.
//!
//! [`spans`] makes spans of events, [`export`] sends them from a thread of their own. Nothing here can fail a run or hold
//! it up: what goes wrong is a warning at its end, and the last flush has a bound.

mod export;
mod settings;
mod spans;
#[cfg(test)]
mod tests;

use std::sync::{Mutex, PoisonError};

use export::Export;
use spans::Spans;

pub use settings::Settings;

use crate::event::Event;
use crate::ports::{Ending, RunInfo};

/// One run's trace, from its first event to its end.
pub struct Trace {
    export: Export,
    /// `None` after the end.
    spans: Mutex<Option<Spans>>,
}

impl Trace {
    /// Begins the trace now; nothing is sent yet.
    ///
    /// # Errors
    /// With what the user should read when the settings make no exporter.
    pub fn begin(settings: &Settings, run: &RunInfo) -> Result<Self, String> {
        let export = Export::over_http(settings)?;
        let spans = Spans::begin(export.tracer(), settings.parent(), run);
        Ok(Self { export, spans: Mutex::new(Some(spans)) })
    }

    /// Takes in what happened. Only memory is touched.
    pub fn event(&self, event: &Event) {
        if let Some(spans) = &mut *self.spans.lock().unwrap_or_else(PoisonError::into_inner) {
            spans.event(event);
        }
    }

    /// Ends all spans and waits for the last export, at most [`export::FLUSH_LIMIT`]. Blocks the thread.
    ///
    /// # Errors
    /// With what the user should read when spans were lost.
    pub fn end(&self, ending: &Ending) -> Result<(), String> {
        let spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(spans) = spans {
            spans.end(ending);
        }
        self.export.flush()
    }
}
