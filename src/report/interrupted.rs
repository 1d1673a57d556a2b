//! What `maintenance`, `pause` and `resume` say: how each app is afterwards.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::text;
use crate::model::{Interrupted, Interruption, Maintenance, Pause, ProjectName};

/// The input of the commands' output.
#[derive(Debug, Clone, PartialEq)]
pub struct Interruptions {
    pub project: ProjectName,
    pub what: Interruption,
    pub apps: Vec<Interrupted>,
}

impl Interruptions {
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.apps.iter().map(|app| format!("{}: {}", app.app.app, self.words(app))).collect()
    }

    fn words(&self, app: &Interrupted) -> String {
        let open = match app.in_flight {
            open if open.is_zero() => String::new(),
            open => format!("; {} open, which finish", text::in_flight(open)),
        };
        match (&self.what, app.changed) {
            (Interruption::MaintenanceOn { .. }, true) => {
                format!("in maintenance, requests get 503 until `deploy-apps maintenance off {}`{open}", app.app.app)
            }
            (Interruption::MaintenanceOn { .. }, false) => "in maintenance already".to_owned(),
            (Interruption::MaintenanceOff, true) => "no longer in maintenance".to_owned(),
            (Interruption::MaintenanceOff, false) => "not in maintenance".to_owned(),
            (Interruption::Pause(time), _) => {
                let time = text::duration(*time);
                format!("paused, new requests wait for {time} or until `deploy-apps resume {}`{open}", app.app.app)
            }
            (Interruption::Resume, true) => "resumed".to_owned(),
            (Interruption::Resume, false) => "not paused".to_owned(),
        }
    }

    #[must_use]
    pub fn document(&self) -> Value {
        let app = |app: &Interrupted| {
            json!({
                "app": app.app.app,
                "changed": app.changed,
                "maintenance": app.maintenance.as_ref().map(maintenance_document),
                "pause": app.pause.as_ref().map(pause_document),
                "in_flight": app.in_flight,
            })
        };
        json!({ "v": 1, "project": self.project, "apps": self.apps.iter().map(app).collect::<Vec<_>>() })
    }
}

pub(super) fn maintenance_document(maintenance: &Maintenance) -> Value {
    json!({
        "since_at": instant(maintenance.since_ms),
        "by": maintenance.by,
        "retry_after_s": maintenance.retry_after_s,
        "allow": maintenance.allow,
        "own_page": maintenance.page.is_some(),
    })
}

pub(super) fn pause_document(pause: &Pause) -> Value {
    json!({ "until_at": instant(pause.until_ms), "for_ms": pause.for_ms, "by": pause.by })
}

fn instant(ms: u64) -> Option<String> {
    let at = i64::try_from(ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    at.map(|at| at.to_string())
}

/// How long ago that was by our clock, which may differ from the proxy's.
pub(super) fn since(ms: u64, now: Timestamp) -> Duration {
    let now = u64::try_from(now.as_millisecond()).unwrap_or_default();
    Duration::from_millis(now.saturating_sub(ms))
}

/// As `status` notes it.
pub(super) fn maintenance_note(maintenance: &Maintenance, now: Timestamp) -> String {
    let age = text::seconds(since(maintenance.since_ms, now));
    let allowed = match maintenance.allow.len() {
        0 => String::new(),
        count => format!("; {} allowed", text::count(count as u64, "network")),
    };
    text::clean(&format!("in maintenance since {age} by {}: requests get 503{allowed}", maintenance.by))
}

/// `None` when it is over.
pub(super) fn pause_note(pause: &Pause, now: Timestamp) -> Option<String> {
    let now = u64::try_from(now.as_millisecond()).unwrap_or_default();
    let left = Duration::from_millis(pause.until_ms.checked_sub(now).filter(|left| *left > 0)?);
    Some(text::clean(&format!("paused by {}: new requests wait, {} left", pause.by, text::seconds(left))))
}
