//! The body of a notification (version 1), and its short text form for chats.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::event::{Event, Fact, Outcome};
use crate::model::{AppKey, ReleaseNumber};
use crate::ports::{Ending, RunInfo};

/// Collects events from any thread.
#[derive(Debug, Default)]
pub struct Gathered {
    apps: Mutex<BTreeMap<AppKey, App>>,
}

#[derive(Debug, Clone, Default)]
struct App {
    from: Option<ReleaseNumber>,
    to: ReleaseNumber,
    version: String,
    outcome: Option<Outcome>,
    took: Duration,
    urls: Vec<String>,
    error: Option<String>,
}

/// The body. Fields are added, never renamed or removed; `docs/schema/notify.json` describes it.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    v: u8,
    command: &'static str,
    project: String,
    status: &'static str,
    exit_code: u8,
    error: Option<String>,
    apps: Vec<AppSummary>,
    owner: String,
    host: String,
    commit: Option<String>,
    branch: Option<String>,
    run_url: Option<String>,
    started_at: String,
    finished_at: String,
    took_ms: u64,
}

#[derive(Debug, Clone, Serialize)]
struct AppSummary {
    app: String,
    from: Option<ReleaseNumber>,
    to: ReleaseNumber,
    version: String,
    /// `None` when the run ended before the app did.
    outcome: Option<Outcome>,
    took_ms: u64,
    urls: Vec<String>,
    error: Option<String>,
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn rfc3339(time: SystemTime) -> String {
    let time = jiff::Timestamp::try_from(time).unwrap_or_default();
    time.round(jiff::Unit::Millisecond).unwrap_or(time).to_string()
}

impl Gathered {
    pub fn event(&self, event: &Event) {
        let Some(key) = &event.app else { return };
        let mut apps = self.apps.lock().unwrap_or_else(PoisonError::into_inner);
        match &event.fact {
            Fact::AppPlanned { from, to, version, .. } => {
                let app = App { from: *from, to: *to, version: version.clone(), ..App::default() };
                apps.insert(key.clone(), app);
            }
            Fact::RemovalPlanned { release, version, .. } => {
                let app = App { from: Some(*release), to: *release, version: version.clone(), ..App::default() };
                apps.insert(key.clone(), app);
            }
            Fact::StepFailed { error, .. } => {
                if let Some(app) = apps.get_mut(key) {
                    app.error.get_or_insert_with(|| error.clone());
                }
            }
            Fact::AppFinished { outcome, urls, took } => {
                // Accessories have no releases and are left out.
                if let Some(app) = apps.get_mut(key) {
                    (app.outcome, app.urls, app.took) = (Some(*outcome), urls.clone(), *took);
                }
            }
            _ => {}
        }
    }

    /// `None` when there is nothing to report: the run succeeded and changed nothing.
    #[must_use]
    pub fn summary(&self, run: &RunInfo, ending: &Ending) -> Option<Summary> {
        let apps = self.apps.lock().unwrap_or_else(PoisonError::into_inner);
        let unchanged = apps.values().all(|app| app.outcome == Some(Outcome::UpToDate));
        if !ending.failed && unchanged {
            return None;
        }
        let app = |(key, app): (&AppKey, &App)| AppSummary {
            app: key.to_string(),
            from: app.from,
            to: app.to,
            version: app.version.clone(),
            outcome: app.outcome,
            took_ms: millis(app.took),
            urls: app.urls.clone(),
            error: app.error.clone(),
        };
        Some(Summary {
            v: 1,
            command: run.command,
            project: run.project.clone(),
            status: if ending.failed { "failure" } else { "success" },
            exit_code: ending.exit_code,
            error: ending.error.clone(),
            apps: apps.iter().map(app).collect(),
            owner: run.owner.clone(),
            host: run.host.clone(),
            commit: ending.origin.commit.clone(),
            branch: ending.origin.branch.clone(),
            run_url: ending.origin.url.clone(),
            started_at: rfc3339(run.started),
            finished_at: rfc3339(ending.finished),
            took_ms: millis(ending.finished.duration_since(run.started).unwrap_or_default()),
        })
    }
}

impl Summary {
    pub(super) fn failed(&self) -> bool {
        self.status == "failure"
    }

    /// Text for a chat: a headline, and a line for each app.
    pub(super) fn chat(&self) -> String {
        let (mark, ended) = if self.failed() { ("✘", "failed") } else { ("✔", "done") };
        let mut text =
            format!("{mark} {} of {} {ended}, by {} on {}", self.command, self.project, self.owner, self.host);
        if let Some(error) = &self.error {
            let _ = write!(text, "\n{error}");
        }
        for app in &self.apps {
            let name = app.app.split_once('/').map_or(app.app.as_str(), |(_, name)| name);
            let from = app.from.filter(|from| *from != app.to).map(|from| format!("{from} → ")).unwrap_or_default();
            let _ = write!(text, "\n• {name} {from}{} {}: {}", app.to, app.version, words(app.outcome));
            if let Some(error) = &app.error {
                let _ = write!(text, " ({error})");
            }
            if let Some(url) = app.urls.first() {
                let _ = write!(text, " {url}");
            }
        }
        if let Some(url) = &self.run_url {
            let _ = write!(text, "\n{url}");
        }
        // Characters that chats read as markup.
        text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
    }
}

fn words(outcome: Option<Outcome>) -> &'static str {
    match outcome {
        Some(Outcome::UpToDate) => "up to date",
        Some(Outcome::Completed) => "completed",
        Some(Outcome::CompletedWithLeftovers) => "completed, with leftovers",
        Some(Outcome::Unstable) => "deployed, and restarts again and again",
        Some(Outcome::RolledBack) => "rolled back",
        Some(Outcome::Aborted) => "canary aborted, the old version serves",
        Some(Outcome::Cancelled) => "cancelled",
        Some(Outcome::Disconnected) => "connection lost, the old version serves",
        Some(Outcome::Stuck) => "stuck, check by hand",
        None => "not finished",
    }
}
