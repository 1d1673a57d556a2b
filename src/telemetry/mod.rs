//! Each run as an OpenTelemetry trace, exported over OTLP when the environment names a collector.
//!
//! [`spans`] converts events to spans, [`export`] sends them from its own thread. Telemetry never fails or delays a
//! run: problems are reported as a warning at its end, and the last flush has a time limit.

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
    /// `None` after the end of the run.
    spans: Mutex<Option<Spans>>,
}

impl Trace {
    /// Starts the trace; nothing is sent yet.
    ///
    /// # Errors
    /// When the settings make no exporter; the text is for the user.
    pub fn begin(settings: &Settings, run: &RunInfo) -> Result<Self, String> {
        let export = Export::over_http(settings)?;
        let spans = Spans::begin(export.tracer(), settings.parent(), run);
        Ok(Self { export, spans: Mutex::new(Some(spans)) })
    }

    /// Records an event, in memory only.
    pub fn event(&self, event: &Event) {
        if let Some(spans) = &mut *self.spans.lock().unwrap_or_else(PoisonError::into_inner) {
            spans.event(event);
        }
    }

    /// Ends all spans and waits for the last export, at most [`export::FLUSH_LIMIT`]. Blocks the thread.
    ///
    /// # Errors
    /// When spans were lost; the text is for the user.
    pub fn end(&self, ending: &Ending) -> Result<(), String> {
        let spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(spans) = spans {
            spans.end(ending);
        }
        self.export.flush()
    }
}
