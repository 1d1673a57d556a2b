//! What a run tells: facts on their way to the reporters.

use std::sync::Arc;

use tokio::time::Instant;

use crate::event::{Event, Fact};
use crate::model::AppKey;
use crate::ports::Progress;

/// Takes the events of a run.
pub type Sink = Arc<dyn Fn(Event) + Send + Sync>;

/// Puts the time since the run began to each fact.
#[derive(Clone)]
pub(super) struct Events {
    sink: Sink,
    started: Instant,
}

impl Events {
    /// The run begins now.
    pub(super) fn new(sink: Sink) -> Self {
        Self { sink, started: Instant::now() }
    }

    pub(super) fn emit(&self, app: Option<&AppKey>, fact: Fact) {
        (self.sink)(Event { app: app.cloned(), elapsed: self.started.elapsed(), fact });
    }

    pub(super) fn warn(&self, app: Option<&AppKey>, message: impl Into<String>) {
        self.emit(app, Fact::Warned { message: message.into() });
    }

    /// For the output of long work.
    pub(super) fn progress(&self, app: Option<&AppKey>) -> Progress {
        let (events, app) = (self.clone(), app.cloned());
        Arc::new(move |line| events.emit(app.as_ref(), Fact::BuildProgressed { line }))
    }
}
