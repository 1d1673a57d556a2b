//! The history of the apps, from the records that the proxy stores.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::names::{AppKey, ReleaseNumber};
use super::observed::InFlight;

/// One run for one app: a deploy, a change of scale, a rollback or a removal.
#[derive(Debug, Clone, PartialEq)]
pub struct PastRun {
    pub app: AppKey,
    pub release: ReleaseNumber,
    /// The release that served before.
    pub from: Option<ReleaseNumber>,
    pub version: Option<String>,
    /// Replicas at the end of the run, and before it if known.
    pub replicas: Option<u64>,
    pub replicas_before: Option<u64>,
    /// Set for an accessory, which has no releases: the change, such as `replace`.
    pub accessory: Option<String>,
    /// Why it did not complete.
    pub reason: Option<String>,
    /// Such as `deploy`, `scale`, `rollback`.
    pub purpose: String,
    pub end: RunEnd,
    pub started_at: Timestamp,
    /// `None` while it runs, and when its end was not recorded.
    pub finished_at: Option<Timestamp>,
    pub took_ms: Option<u64>,
    /// From the start of the run to its last flip; `None` when there was none.
    pub flipped_after_ms: Option<u64>,
    /// Requests open at the flip, and how many of them the drain limit ended.
    pub drained: Option<InFlight>,
    pub cut: Option<InFlight>,
    pub owner: Option<String>,
    pub host: Option<String>,
    pub commit: Option<String>,
    pub branch: Option<String>,
    pub url: Option<String>,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunEnd {
    /// The outcome that the run recorded, such as `completed`.
    Said(String),
    /// It still holds the app's lease.
    Running,
    /// It was killed, or lost the proxy, before it recorded an outcome.
    Interrupted,
}

impl RunEnd {
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Said(outcome) => outcome,
            Self::Running => "running",
            Self::Interrupted => "interrupted",
        }
    }
}

/// The runs in `records`, newest first, at most `limit` per app. `is_busy` says whether an app is being deployed.
#[must_use]
pub fn past_runs(records: &[Value], limit: usize, is_busy: impl Fn(&AppKey) -> bool) -> Vec<PastRun> {
    let mut by_app: BTreeMap<AppKey, Vec<Record<'_>>> = BTreeMap::new();
    for record in records.iter().filter_map(Record::of) {
        by_app.entry(record.app.clone()).or_default().push(record);
    }
    let mut runs: Vec<PastRun> = by_app
        .into_iter()
        .flat_map(|(app, mut records)| {
            records.sort_by_key(|record| record.at);
            let mut runs = runs_of(&records, is_busy(&app));
            count_before(&mut runs);
            runs.sort_by_key(|run| std::cmp::Reverse(run.started_at));
            runs.truncate(limit);
            runs
        })
        .collect();
    runs.sort_by_key(|run| std::cmp::Reverse(run.started_at));
    runs
}

/// Sets each run's previous number of replicas from the last successful run before it.
fn count_before(runs: &mut [PastRun]) {
    runs.sort_by_key(|run| run.started_at);
    let mut serving = None;
    for run in runs {
        run.replicas_before = serving;
        match &run.end {
            RunEnd::Said(outcome) if outcome.starts_with("completed") => serving = run.replicas,
            RunEnd::Said(_) | RunEnd::Running => {}
            // It may have stopped at any point.
            RunEnd::Interrupted => serving = None,
        }
    }
}

/// A stored record. Unknown content is ignored: a newer version may write more.
struct Record<'a> {
    app: AppKey,
    at: Timestamp,
    release: ReleaseNumber,
    event: &'a str,
    fields: &'a Map<String, Value>,
}

impl<'a> Record<'a> {
    fn of(value: &'a Value) -> Option<Self> {
        let fields = value.as_object()?;
        Some(Self {
            app: fields.get("app")?.as_str()?.parse().ok()?,
            at: Timestamp::from_millisecond(fields.get("at")?.as_i64()?).ok()?,
            release: ReleaseNumber(fields.get("release")?.as_u64()?.try_into().ok()?),
            event: fields.get("event")?.as_str()?,
            fields,
        })
    }

    fn text(&self, name: &str) -> Option<String> {
        Some(self.fields.get(name)?.as_str()?.to_owned())
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.fields.get(name)?.as_u64()
    }

    fn in_flight(&self, name: &str) -> Option<InFlight> {
        serde_json::from_value(self.fields.get(name)?.clone()).ok()
    }

    fn run(&self, end: RunEnd) -> PastRun {
        PastRun {
            app: self.app.clone(),
            release: self.release,
            from: self.number("from").and_then(|number| number.try_into().ok()).map(ReleaseNumber),
            version: self.text("version"),
            replicas: self.number("replicas"),
            replicas_before: None,
            accessory: self.text("accessory"),
            reason: self.text("reason"),
            purpose: self.text("purpose").unwrap_or_else(|| "deploy".to_owned()),
            end,
            started_at: self.at,
            finished_at: None,
            took_ms: self.number("took_ms"),
            flipped_after_ms: self.number("flipped_after_ms"),
            drained: self.in_flight("drained"),
            cut: self.in_flight("cut"),
            owner: self.text("owner"),
            host: self.text("host"),
            commit: self.text("commit"),
            branch: self.text("branch"),
            url: self.text("url"),
        }
    }
}

/// Builds the runs. A record for the start of a release begins a run; a record with an outcome ends it.
fn runs_of(records: &[Record<'_>], is_busy: bool) -> Vec<PastRun> {
    let mut begun: BTreeMap<ReleaseNumber, &Record<'_>> = BTreeMap::new();
    let mut runs = Vec::new();
    for record in records {
        if record.event == "started" {
            begun.insert(record.release, record);
            continue;
        }
        let outcome = record.text("outcome").unwrap_or_else(|| record.event.to_owned());
        let mut run = record.run(RunEnd::Said(outcome));
        let took = jiff::SignedDuration::from_millis(run.took_ms.and_then(|ms| ms.try_into().ok()).unwrap_or(0));
        let start = begun.remove(&record.release).map(|start| start.at);
        run.started_at = start.unwrap_or_else(|| record.at.checked_sub(took).unwrap_or(record.at));
        run.finished_at = Some(record.at);
        runs.push(run);
    }
    // Only the newest run can hold the lease, which excludes all others.
    let newest = begun.keys().next_back().copied();
    for (release, record) in begun {
        let runs_now = is_busy && Some(release) == newest;
        runs.push(record.run(if runs_now { RunEnd::Running } else { RunEnd::Interrupted }));
    }
    runs
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(records: &[Value], busy: bool) -> Vec<String> {
        let runs = past_runs(records, 10, |_| busy);
        let line = |run: &PastRun| format!("{} {} {} {:?}", run.app.app, run.release, run.end.as_str(), run.took_ms);
        runs.iter().map(line).collect()
    }

    fn at(at: u64, app: &str, release: u32, event: &str) -> Value {
        json!({ "at": at, "app": format!("t/{app}"), "release": release, "event": event })
    }

    fn finished(at: u64, app: &str, release: u32, outcome: &str) -> Value {
        json!({ "at": at, "app": format!("t/{app}"), "release": release, "event": "finished", "outcome": outcome, "took_ms": 500 })
    }

    #[test]
    fn a_start_and_its_end_are_one_run() {
        let records = [finished(1500, "web", 1, "completed"), at(1000, "web", 1, "started")];
        let runs = past_runs(&records, 10, |_| false);
        assert_eq!(runs.len(), 1);
        assert_eq!(runs[0].started_at.as_millisecond(), 1000);
        assert_eq!(runs[0].finished_at.unwrap().as_millisecond(), 1500);
    }

    #[test]
    fn a_run_without_an_end_was_interrupted_unless_it_runs() {
        let records =
            [at(9000, "web", 3, "started"), finished(8000, "web", 2, "rolled_back"), at(1000, "web", 1, "started")];
        assert_eq!(
            told(&records, false),
            ["web r3 interrupted None", "web r2 rolled_back Some(500)", "web r1 interrupted None"]
        );
        assert_eq!(
            told(&records, true),
            ["web r3 running None", "web r2 rolled_back Some(500)", "web r1 interrupted None"]
        );
    }

    #[test]
    fn a_run_without_a_release_starts_at_its_own_time() {
        let records = [
            finished(2500, "web", 1, "completed"),
            finished(1500, "web", 1, "completed"),
            at(1000, "web", 1, "started"),
        ];
        let starts: Vec<i64> =
            past_runs(&records, 10, |_| false).iter().map(|run| run.started_at.as_millisecond()).collect();
        assert_eq!(starts, [2000, 1000]);
    }

    #[test]
    fn a_change_of_scale_has_the_number_before() {
        let scaled = |at: u64, purpose: &str, replicas: u32, outcome: &str| {
            let mut record = finished(at, "web", 1, outcome);
            record["purpose"] = purpose.into();
            record["replicas"] = replicas.into();
            record
        };
        let records = [
            scaled(5000, "scale", 4, "completed"),
            scaled(4000, "scale", 9, "rolled_back"),
            scaled(3000, "deploy", 2, "completed"),
        ];
        let counts: Vec<_> =
            past_runs(&records, 10, |_| false).iter().map(|run| (run.replicas_before, run.replicas)).collect();
        assert_eq!(counts, [(Some(2), Some(4)), (Some(2), Some(9)), (None, Some(2))]);
    }

    #[test]
    fn the_limit_is_per_app_and_unknown_records_are_ignored() {
        let records = [
            finished(5000, "a", 3, "completed"),
            finished(4000, "a", 2, "completed"),
            finished(3000, "b", 1, "completed"),
            json!({ "at": "yesterday" }),
            json!([1]),
            at(2000, "b", 1, "removed"),
        ];
        let runs = past_runs(&records, 1, |_| false);
        let told: Vec<String> = runs.iter().map(|run| format!("{} {}", run.app.app, run.release)).collect();
        assert_eq!(told, ["a r3", "b r1"]);
    }
}
