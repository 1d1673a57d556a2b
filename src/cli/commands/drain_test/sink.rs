//! Where the events of a run under load go.

use std::sync::Arc;

use super::recorder::Recorder;
use crate::cli::context::Context;
use crate::event::{Event, Fact, Outcome};
use crate::rollout::Sink;

/// Shows failures alone, and records all.
pub(super) fn failures_only(context: &Context, recorder: Option<Arc<Recorder>>) -> Sink {
    let (reporter, signals) = (Arc::clone(&context.reporter), context.signals.clone());
    Arc::new(move |event: Event| {
        signals.follow(&event);
        if let Some(recorder) = &recorder {
            recorder.event(&event);
        }
        let matters = match &event.fact {
            Fact::StepFailed { .. } | Fact::UndoFailed { .. } | Fact::LeftBehind { .. } | Fact::Warned { .. } => true,
            Fact::AppFinished { outcome, .. } => !matches!(outcome, Outcome::Completed | Outcome::UpToDate),
            _ => false,
        };
        if matters {
            reporter.event(&event);
        }
    })
}
