//! The history of deploys, as text and as JSON.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::status::age;
use super::table::{Align, Table};
use super::text;
use crate::model::{InFlight, PastRun, ProjectName, RunEnd};

/// The input of the `history` command's output.
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    pub project: ProjectName,
    pub now: Timestamp,
    /// Newest first; the flag is true for the release that serves now.
    pub runs: Vec<(PastRun, bool)>,
    /// The requested apps; with several, the app is a column.
    pub apps: usize,
}

/// Columns that a narrow terminal omits, in this order. The time is shown in two ways, so one can go.
const SPARE: [&str; 9] = ["run", "commit", "flipped after", "when", "drained", "version", "took", "cut", "who"];

impl History {
    /// Text output with times in `zone`, at most `width` columns wide.
    #[must_use]
    pub fn lines(&self, zone: &TimeZone, width: Option<usize>) -> Vec<String> {
        if self.runs.is_empty() {
            return vec![format!("nothing has been deployed in project `{}` yet", self.project)];
        }
        let mut table = Table::new([
            ("when", Align::Left),
            ("", Align::Right),
            ("app", Align::Left),
            ("what", Align::Left),
            ("release", Align::Left),
            ("version", Align::Left),
            ("outcome", Align::Left),
            ("took", Align::Right),
            ("flipped after", Align::Right),
            ("drained", Align::Left),
            ("cut", Align::Left),
            ("who", Align::Left),
            ("commit", Align::Left),
            ("run", Align::Left),
        ]);
        for (run, serves) in &self.runs {
            let when = run.started_at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S %Z").to_string();
            let ago = Duration::try_from(self.now.duration_since(run.started_at)).unwrap_or_default();
            let app = if self.apps == 1 { String::new() } else { run.app.app.to_string() };
            let outcome = run.end.as_str().replace('_', " ");
            table.row([
                when,
                format!("{} ago", age(ago)),
                app,
                text::clean(&what(run)),
                releases(run),
                text::clean(run.version.as_deref().unwrap_or_default()),
                if *serves { format!("{outcome}, serves") } else { outcome },
                time(run.took_ms),
                time(run.flipped_after_ms),
                counts(run.drained),
                counts(run.cut.filter(|cut| !cut.is_zero())),
                text::clean(&who(run)),
                text::clean(&source(run)),
                text::clean(run.url.as_deref().unwrap_or_default()),
            ]);
            if let Some(reason) = &run.reason {
                table.note(format!("  {}", text::clean(reason)));
            }
        }
        table.lines_within(width, &SPARE)
    }

    /// The whole output as one JSON document.
    #[must_use]
    pub fn document(&self) -> Value {
        json!({
            "v": 1,
            "project": self.project,
            "at": self.now.to_string(),
            "runs": self.runs.iter().map(|(run, serves)| document(run, *serves)).collect::<Vec<_>>(),
        })
    }
}

fn document(run: &PastRun, serves: bool) -> Value {
    json!({
        "app": run.app.app,
        "release": run.release,
        "from": run.from,
        "version": run.version,
        "replicas": run.replicas,
        "replicas_before": run.replicas_before,
        "accessory": run.accessory,
        "reason": run.reason,
        "purpose": run.purpose,
        "outcome": run.end.as_str(),
        "serving": serves,
        "started_at": run.started_at.to_string(),
        "finished_at": run.finished_at.map(|at| at.to_string()),
        "took_ms": run.took_ms,
        "flipped_after_ms": run.flipped_after_ms,
        "drained": run.drained,
        "cut": run.cut,
        "owner": run.owner,
        "host": run.host,
        "commit": run.commit,
        "branch": run.branch,
        "url": run.url,
    })
}

/// Such as `deploy`, `scale 2 → 4`, or `replace` for an accessory.
fn what(run: &PastRun) -> String {
    match (&run.accessory, run.replicas_before, run.replicas) {
        (Some(change), ..) => change.replace('_', " "),
        (None, Some(before), Some(after)) if before != after => format!("{} {before} → {after}", run.purpose),
        _ => run.purpose.clone(),
    }
}

fn releases(run: &PastRun) -> String {
    match run.from {
        _ if run.accessory.is_some() => "–".to_owned(),
        Some(from) if from != run.release => format!("{from} → {}", run.release),
        _ => run.release.to_string(),
    }
}

fn time(ms: Option<u64>) -> String {
    ms.map_or_else(String::new, |ms| text::duration(Duration::from_millis(ms)))
}

fn counts(count: Option<InFlight>) -> String {
    count.filter(|count| !count.is_zero()).map_or_else(String::new, text::in_flight)
}

fn who(run: &PastRun) -> String {
    match (&run.owner, &run.host) {
        (Some(owner), Some(host)) => format!("{owner} on {host}"),
        (Some(one), None) | (None, Some(one)) => one.clone(),
        (None, None) => String::new(),
    }
}

/// Such as `1f2e3d4+dirty main`.
fn source(run: &PastRun) -> String {
    let commit = run.commit.as_deref().unwrap_or_default();
    let (hash, dirty) = match commit.strip_suffix("+dirty") {
        Some(hash) => (hash, "+dirty"),
        None => (commit, ""),
    };
    let short: String = hash.chars().take(8).collect();
    format!("{short}{dirty} {}", run.branch.as_deref().unwrap_or_default()).trim().to_owned()
}

/// Whether the run's release may be the one that serves. An undone release does not serve, whatever its number.
#[must_use]
pub fn brought_in(run: &PastRun) -> bool {
    match &run.end {
        RunEnd::Said(outcome) => matches!(outcome.as_str(), "completed" | "completed_with_leftovers" | "unstable"),
        // The run may have been killed after its flip.
        RunEnd::Interrupted => true,
        RunEnd::Running => false,
    }
}
