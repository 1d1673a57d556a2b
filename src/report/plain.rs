//! For logs and pipes: one line per fact, without redrawing, colours or control characters.

use std::collections::HashMap;
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::block::Block;
use super::frame::{self, Paint};
use super::row::Row;
use super::run::Run;
use super::text;
use super::{Manner, Reporter, Verbosity};
use crate::event::{CanaryStanding, Event, Fact};
use crate::model::AppKey;

/// Interval between progress lines of a long step: often enough to show progress, rarely enough not to fill a log.
const QUIET: Duration = Duration::from_secs(10);

/// Facts go to one stream as they arrive, results to the other at the end.
pub struct PlainReporter<T, R> {
    told: Mutex<Told<T, R>>,
}

struct Told<T, R> {
    talk: T,
    results: R,
    run: Run,
    /// When the last line of each app was written.
    last: HashMap<Option<AppKey>, Duration>,
    /// Local time: while the run waits, no event arrives that carries a time.
    last_event: Option<Instant>,
    finished: bool,
    manner: Manner,
}

impl<T: Write + Send, R: Write + Send> PlainReporter<T, R> {
    pub fn new(talk: T, results: R) -> Self {
        Self::in_manner(talk, results, Manner::default())
    }

    pub fn in_manner(talk: T, results: R, manner: Manner) -> Self {
        let told = Told {
            talk,
            results,
            run: Run::default(),
            last: HashMap::new(),
            last_event: None,
            finished: false,
            manner,
        };
        Self { told: Mutex::new(told) }
    }
}

impl<T: Write + Send, R: Write + Send> Reporter for PlainReporter<T, R> {
    fn event(&self, event: &Event) {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).tell(event);
    }

    fn tick(&self) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let now = told.run.elapsed + told.last_event.map_or(Duration::ZERO, |at| at.elapsed());
        told.wait(now);
    }

    fn finish(&self) {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).finish();
    }
}

impl<T: Write, R: Write> Told<T, R> {
    /// Reports what each app waits for that has been silent for long.
    fn wait(&mut self, now: Duration) {
        if self.finished || self.manner.verbosity == Verbosity::Quiet {
            return;
        }
        let silent = |last: Option<&Duration>| last.is_none_or(|last| now.saturating_sub(*last) >= QUIET);
        let waiting: Vec<(Option<AppKey>, String)> = waits(&self.run, |app| silent(self.last.get(app)));
        for (app, line) in waiting {
            let name = app.as_ref().map_or("host", |key| key.app.as_str());
            drop(writeln!(self.talk, "{:>7}  {name}: {line}", text::duration(now)));
            self.last.insert(app, now);
        }
    }

    fn tell(&mut self, event: &Event) {
        self.last_event = Some(Instant::now());
        self.run.apply(event);
        let lines = self.lines(event);
        let name = event.app.as_ref().map_or("host", |key| key.app.as_str());
        for line in &lines {
            // A closed output must not end the deploy.
            drop(writeln!(self.talk, "{:>7}  {name}: {line}", text::duration(event.elapsed)));
        }
        if !lines.is_empty() {
            self.last.insert(event.app.clone(), event.elapsed);
        }
    }

    fn lines(&self, event: &Event) -> Vec<String> {
        if let Some(block) = Block::of(event) {
            return frame::block_lines(&block, Paint { colour: self.manner.colour }).collect();
        }
        if self.manner.verbosity == Verbosity::Quiet {
            return Vec::new();
        }
        let line = match &event.fact {
            Fact::StepStarted { step, because, .. } if self.manner.verbosity == Verbosity::Verbose => {
                Some(text::clean(&format!("{step} — {because}")))
            }
            Fact::AppFinished { took, .. } => self.ending(event, *took),
            fact => match progress(fact) {
                Some(line) => self.is_due(event).then_some(line),
                None => settled(fact),
            },
        };
        line.into_iter().collect()
    }

    fn is_due(&self, event: &Event) -> bool {
        self.last.get(&event.app).is_none_or(|last| event.elapsed.saturating_sub(*last) >= QUIET)
    }

    fn ending(&self, event: &Event, took: Duration) -> Option<String> {
        let row = self.run.rows.iter().find(|row| row.app == event.app)?;
        let ending = row.ending(row.end.as_ref()?);
        Some(format!("finished in {}: {}", text::duration(took), ending.text))
    }

    fn finish(&mut self) {
        if std::mem::replace(&mut self.finished, true) {
            return;
        }
        if let Some(total) = frame::total(&self.run).filter(|_| self.manner.verbosity != Verbosity::Quiet) {
            drop(writeln!(self.talk, "{total}"));
        }
        for line in frame::results(&self.run, Paint { colour: self.manner.colour }) {
            drop(writeln!(self.results, "{line}"));
        }
        drop(self.results.flush());
    }
}

/// What the apps wait for that have been silent for long.
pub(super) fn waits(run: &Run, is_silent: impl Fn(&Option<AppKey>) -> bool) -> Vec<(Option<AppKey>, String)> {
    let silent = run.rows.iter().filter(|row| row.is_moving() && is_silent(&row.app));
    let line = |row: &Row| Some((row.app.clone(), format!("still at work: {}", row.under_way()?)));
    silent.filter_map(line).collect()
}

/// A step in progress.
pub(super) fn progress(fact: &Fact) -> Option<String> {
    match fact {
        Fact::LeaseAwaited { owner, host, age } => {
            let since = text::seconds(*age);
            Some(text::clean(&format!("waiting for the deploy of {owner} on {host}, begun {since} ago")))
        }
        Fact::BuildProgressed { line } => Some(format!("building: {}", text::clean(line))),
        Fact::CanaryCompared { standing: CanaryStanding::Watched, summary, .. } => {
            Some(format!("watching {}", text::clean(summary)))
        }
        Fact::DrainProgressed { left } => Some(format!("draining: {} left", text::in_flight(*left))),
        _ => None,
    }
}

/// A finished fact. Steps are left out: the facts that they cause say the same in fewer lines.
pub(super) fn settled(fact: &Fact) -> Option<String> {
    Some(match fact {
        Fact::AppPlanned { to, version, up_to_date: true, .. } => format!("{to} {version} is what runs already"),
        Fact::AppPlanned { from, to, version, replicas, .. } => {
            let from = from.filter(|from| from != to).map(|from| format!("{from} → ")).unwrap_or_default();
            format!("{from}{to} {version}, {}", text::count((*replicas).into(), "replica"))
        }
        Fact::AccessoryPlanned { change } => change.words().to_owned(),
        Fact::RemovalPlanned { release, version, containers } => {
            format!("{release} {version} goes, {}", text::count((*containers).into(), "container"))
        }
        Fact::ImageBuilt { reused: true, .. } => "image unchanged".to_owned(),
        Fact::ImageBuilt { took, .. } => format!("built in {}", text::duration(*took)),
        Fact::ImagePulled { reference, took } => format!("pulled `{reference}` in {}", text::duration(*took)),
        Fact::ReleaseCommandFinished { took } => format!("release command finished in {}", text::duration(*took)),
        Fact::BackupFinished { name, output, took } => {
            let last = output.iter().rev().map(|line| text::clean(line)).find(|line| !line.trim().is_empty());
            let last = last.map(|line| format!(": {line}")).unwrap_or_default();
            format!("`{name}` backed up in {}{last}", text::duration(*took))
        }
        Fact::ReplicaStarted { name } => format!("`{name}` started"),
        Fact::ReplicaHealthy { name, healthy, wanted, took } => {
            format!("`{name}` healthy after {} ({healthy}/{wanted})", text::duration(*took))
        }
        Fact::Flipped { generation, took } => {
            format!("flipped to generation {generation} in {}", text::duration(*took))
        }
        Fact::Pruned { images, containers: 0 } => format!("pruned {}", text::count((*images).into(), "old image")),
        Fact::Pruned { images, containers } => {
            let containers = text::count((*containers).into(), "stopped container");
            format!("pruned {} and {containers}", text::count((*images).into(), "old image"))
        }
        Fact::CanaryCompared { standing: CanaryStanding::Passed, summary, .. } => {
            format!("passed: {}", text::clean(summary))
        }
        // Its step fails with the same words.
        Fact::CanaryCompared { standing: CanaryStanding::Aborted, .. } => return None,
        Fact::CanaryCompared { summary, .. } => text::clean(summary),
        Fact::RouteConfirmed => "routes confirmed".to_owned(),
        Fact::CertificateStored { host, expires } => format!("certificate of {host} stored, valid until {expires}"),
        Fact::Drained { waited, cut, took } => {
            let drained = text::drained(waited.finished(*cut), *cut, *took);
            if cut.is_zero() { drained } else { format!("{drained}, cut {} at the limit", text::in_flight(*cut)) }
        }
        Fact::ReplicaStopped { name, took, .. } => format!("`{name}` stopped in {}", text::duration(*took)),
        Fact::CancelRequested => "cancelling".to_owned(),
        Fact::Undone { step, .. } => format!("undone: {}", text::clean(step)),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::runs::{app, ms, planned, started};
    use super::*;

    #[test]
    fn a_long_wait_is_told_every_ten_seconds() {
        let reporter = PlainReporter::new(Vec::new(), Vec::new());
        for event in [app("web", 0, planned(1, 2, "1.0+2")), app("web", 10, started(7, "await `web-1` healthy"))] {
            reporter.event(&event);
        }
        let mut told = reporter.told.lock().expect("no panic");
        for second in 1..=35 {
            told.wait(ms(second * 1000));
        }
        let text = String::from_utf8(told.talk.clone()).expect("text");
        let waits: Vec<&str> =
            text.lines().filter(|line| line.contains("still at work: await `web-1` healthy")).collect();
        assert_eq!(waits.len(), 3, "{text}");
        assert!(waits[0].trim_start().starts_with("10.0s  web: "), "{text}");
    }
}
