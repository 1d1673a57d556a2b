//! The one writer of how a run of an app has ended, in the history on the host.

use std::time::Duration;

use serde_json::{Map, Value};

use super::result::AppResult;
use super::run::Run;
use crate::event::Outcome;
use crate::model::{AccessoryChange, AppKey, ReleaseNumber};
use crate::ports::{Engine, Proxy};

/// Records the end of an app's run, with what is the same in every such record. All else is done by then, so a history
/// that cannot be written is a warning.
pub(super) async fn record_end<E: Engine, P: Proxy>(
    run: &Run<E, P>,
    result: &AppResult,
    event: &str,
    mut details: Map<String, Value>,
) {
    let json = |value: serde_json::Result<Value>| value.unwrap_or(Value::Null);
    details.insert("outcome".to_owned(), json(serde_json::to_value(result.outcome)));
    details.insert("took_ms".to_owned(), milliseconds(result.took).into());
    if let Some(reason) = &result.reason {
        details.insert("reason".to_owned(), brief(reason).into());
    }
    for (name, count) in [("drained", result.tally.drained), ("cut", result.tally.cut)] {
        details.insert(name.to_owned(), json(serde_json::to_value(count)));
    }
    if let Err(error) = run.proxy().record(&result.app, result.release.number, event, details).await {
        run.events().warn(Some(&result.app), format!("the history was not written: {error}"));
    }
}

/// Records what became of an accessory that was no part of its own in a run.
pub(super) async fn record_accessory_end<E: Engine, P: Proxy>(
    run: &Run<E, P>,
    app: &AppKey,
    change: AccessoryChange,
    outcome: Outcome,
    took: Duration,
    mut details: Map<String, Value>,
) {
    let json = |value: serde_json::Result<Value>| value.unwrap_or(Value::Null);
    details.insert("accessory".to_owned(), json(serde_json::to_value(change)));
    details.insert("outcome".to_owned(), json(serde_json::to_value(outcome)));
    details.insert("took_ms".to_owned(), milliseconds(took).into());
    // An accessory has no releases.
    if let Err(error) = run.proxy().record(app, ReleaseNumber(0), "removed", details).await {
        run.events().warn(Some(app), format!("the history was not written: {error}"));
    }
}

pub(super) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A history keeps thousands of records, so each says its reason on one line of bounded length.
fn brief(reason: &str) -> String {
    const MOST: usize = 300;
    let line = reason.lines().next().unwrap_or_default();
    match line.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}
