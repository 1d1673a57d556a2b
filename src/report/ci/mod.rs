//! For CI logs: plain lines while the run lasts, then the details of each app in a collapsed group.
//!
//! Apps are deployed in parallel, and lines of another app cannot interrupt a group. So the details of an app are
//! buffered until the app has finished, and are then written at once; plain lines show the progress meanwhile.

mod github;
mod gitlab;

pub use github::{annotation, append_output, append_summary, escape_data, escape_property, failure_summary};

use std::collections::HashMap;
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::block::Block;
use super::frame::{self, Paint};
use super::plain::{progress, settled, waits};
use super::row::Tone;
use super::run::Run;
use super::text;
use super::{Manner, Reporter, Verbosity};
use crate::event::{Event, Fact};
use crate::model::AppKey;

/// Buffer limit: a build may write one line per file.
const MOST_DETAILS: usize = 5_000;
/// Interval between progress lines of a long step.
const QUIET: Duration = Duration::from_secs(10);

/// The CI system, which decides the group markers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    Github,
    Gitlab,
}

/// Progress and details go to one stream, results to the other.
pub struct CiReporter<T, R> {
    told: Mutex<Told<T, R>>,
}

struct Told<T, R> {
    talk: T,
    results: R,
    dialect: Dialect,
    manner: Manner,
    run: Run,
    /// Buffered details of each unfinished app.
    details: HashMap<Option<AppKey>, Vec<String>>,
    last: HashMap<Option<AppKey>, Duration>,
    /// Local time: while the run waits, no event arrives that carries a time.
    last_event: Option<Instant>,
    clock: fn() -> u64,
    finished: bool,
}

/// Unix time in seconds, which GitLab requires in section markers.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

impl<T: Write + Send, R: Write + Send> CiReporter<T, R> {
    pub fn new(talk: T, results: R, dialect: Dialect, manner: Manner) -> Self {
        Self::at(talk, results, dialect, manner, now)
    }

    /// Like `new`, with the given clock.
    pub(super) fn at(talk: T, results: R, dialect: Dialect, manner: Manner, clock: fn() -> u64) -> Self {
        let (details, last) = (HashMap::new(), HashMap::new());
        let told = Told {
            talk,
            results,
            dialect,
            manner,
            run: Run::default(),
            details,
            last,
            last_event: None,
            clock,
            finished: false,
        };
        Self { told: Mutex::new(told) }
    }
}

impl<T: Write + Send, R: Write + Send> Reporter for CiReporter<T, R> {
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
        let waiting = waits(&self.run, |app| silent(self.last.get(app)));
        for (app, line) in waiting {
            let name = app.as_ref().map_or("host", |key| key.app.as_str());
            drop(writeln!(self.talk, "{:>7}  {name}: {line}", text::duration(now)));
            self.last.insert(app, now);
        }
    }

    fn tell(&mut self, event: &Event) {
        self.last_event = Some(Instant::now());
        self.run.apply(event);
        self.keep(event);
        match Block::of(event) {
            Some(block) => self.block(event, &block),
            None => self.live(event),
        }
        if matches!(event.fact, Fact::AppFinished { .. }) {
            self.group(event.app.as_ref());
        }
    }

    /// Details that only matter when looking for a cause.
    fn keep(&mut self, event: &Event) {
        let line = match &event.fact {
            Fact::StepStarted { step, because, .. } => format!("{step} — {because}"),
            Fact::StepFinished { step, took, .. } => format!("done in {}: {step}", text::duration(*took)),
            Fact::BuildProgressed { line } => format!("| {line}"),
            Fact::Undone { step, .. } => format!("undone: {step}"),
            Fact::BackupFinished { output, .. } => {
                output.iter().map(|line| format!("| {line}")).collect::<Vec<_>>().join(" ")
            }
            _ => return,
        };
        let details = self.details.entry(event.app.clone()).or_default();
        match details.len() {
            kept if kept < MOST_DETAILS => {
                details.push(format!("{:>7}  {}", text::duration(event.elapsed), text::clean(&line)));
            }
            MOST_DETAILS => details.push("         … and more".to_owned()),
            _ => {}
        }
    }

    fn live(&mut self, event: &Event) {
        if self.manner.verbosity == Verbosity::Quiet {
            return;
        }
        let line = match &event.fact {
            Fact::AppFinished { took, .. } => self.ending(event, *took),
            fact => match progress(fact) {
                Some(line) => self.is_due(event).then_some(line),
                None => settled(fact),
            },
        };
        let Some(line) = line else { return };
        self.write(&format!("{:>7}  {}: {line}", text::duration(event.elapsed), name(event.app.as_ref())));
        self.last.insert(event.app.clone(), event.elapsed);
    }

    fn is_due(&self, event: &Event) -> bool {
        self.last.get(&event.app).is_none_or(|last| event.elapsed.saturating_sub(*last) >= QUIET)
    }

    fn ending(&self, event: &Event, took: Duration) -> Option<String> {
        let row = self.run.rows.iter().find(|row| row.app == event.app)?;
        Some(format!("finished in {}: {}", text::duration(took), row.ending(row.end.as_ref()?).text))
    }

    /// GitHub shows an annotation in the log and beside the run; other systems get plain lines.
    fn block(&mut self, event: &Event, block: &Block) {
        let lines: Vec<String> = frame::block_lines(block, Paint { colour: false }).collect();
        let name = name(event.app.as_ref()).to_owned();
        match self.dialect {
            Dialect::Github => {
                let level = block.lines.first().map_or("notice", |line| github::level(line.tone));
                let label = block.lines.first().map_or("", |line| line.label);
                let text = lines.join("\n");
                let text = text.strip_prefix(label).map_or(text.as_str(), str::trim_start).to_owned();
                drop(writeln!(self.talk, "{}", annotation(level, &[("title", &name)], &text)));
            }
            Dialect::Gitlab => {
                let paint = |line: &String| match block.lines.first().map(|line| line.tone) {
                    Some(Tone::Error) => format!("\x1b[31m{line}\x1b[0m"),
                    _ => format!("\x1b[33m{line}\x1b[0m"),
                };
                let time = text::duration(event.elapsed);
                for (index, line) in lines.iter().enumerate() {
                    let line = if index == 0 { paint(line) } else { line.clone() };
                    self.write(&format!("{time:>7}  {name}: {line}"));
                }
            }
        }
    }

    /// The buffered lines of an app, in a collapsed group.
    fn group(&mut self, app: Option<&AppKey>) {
        let Some(lines) = self.details.remove(&app.cloned()).filter(|lines| !lines.is_empty()) else { return };
        if self.manner.verbosity == Verbosity::Quiet {
            return;
        }
        let row = self.run.rows.iter().find(|row| row.app.as_ref() == app);
        let release = row.map(super::row::Row::release).filter(|release| !release.is_empty());
        let title = format!("{}{}: what was done", name(app), release.map(|r| format!(" {r}")).unwrap_or_default());
        let section = format!("deploy_{}", name(app));
        let (begin, end) = match self.dialect {
            Dialect::Github => (github::group(&title), "::endgroup::".to_owned()),
            Dialect::Gitlab => {
                let time = (self.clock)();
                (gitlab::section_start(time, &section, &title), gitlab::section_end(time, &section))
            }
        };
        drop(writeln!(self.talk, "{begin}"));
        for line in &lines {
            self.write(line);
        }
        drop(writeln!(self.talk, "{end}"));
    }

    /// A closed output must not end the deploy.
    fn write(&mut self, line: &str) {
        let line = if self.dialect == Dialect::Github { github::harmless(line) } else { line.to_owned() };
        drop(writeln!(self.talk, "{line}"));
    }

    fn finish(&mut self) {
        if std::mem::replace(&mut self.finished, true) {
            return;
        }
        let open: Vec<Option<AppKey>> = self.details.keys().cloned().collect();
        for app in open {
            self.group(app.as_ref());
        }
        drop(self.talk.flush());
        for line in frame::results(&self.run, Paint { colour: false }) {
            let line = if self.dialect == Dialect::Github { github::harmless(&line) } else { line };
            drop(writeln!(self.results, "{line}"));
        }
        drop(self.results.flush());
        if self.dialect == Dialect::Github {
            github::write_files(&self.run, &mut self.talk);
        }
    }
}

fn name(app: Option<&AppKey>) -> &str {
    app.map_or("host", |key| key.app.as_str())
}
