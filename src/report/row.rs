//! One app's part of a run, as far as the events have told it.

use std::time::Duration;

use super::text;
use crate::event::{Fact, Outcome};
use crate::model::{AccessoryChange, AppKey, InFlight, ReleaseNumber};

/// What a piece of text means; a terminal gives it a colour, everything else must do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    Success,
    Error,
    Warning,
    Dim,
    Hint,
    /// Work under way: shown with the spinner.
    Busy,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub tone: Tone,
    pub text: String,
}

impl Piece {
    pub fn new(tone: Tone, text: impl Into<String>) -> Self {
        Self { tone, text: text.into() }
    }
}

#[derive(Debug, Default)]
pub(super) struct Row {
    /// `None` for the host's own row.
    pub app: Option<AppKey>,
    pub planned: Option<Planned>,
    lease: Option<String>,
    /// Under way, oldest first: an app's lanes run beside each other.
    steps: Vec<(String, Duration)>,
    build: Option<Build>,
    image: Option<String>,
    release_command: Option<Duration>,
    healthy: Option<Healthy>,
    flips: u32,
    flip_took: Duration,
    draining: Option<InFlight>,
    drain: Option<Drain>,
    failed: Option<String>,
    cancelling: bool,
    /// It is no app, and this is what becomes of it.
    accessory: Option<AccessoryChange>,
    /// Its end is that nothing of it is left.
    removing: bool,
    pub end: Option<End>,
}

#[derive(Debug)]
pub(super) struct Planned {
    pub from: Option<ReleaseNumber>,
    pub to: ReleaseNumber,
    pub version: String,
}

#[derive(Debug)]
struct Build {
    since: Duration,
    line: String,
}

#[derive(Debug)]
struct Healthy {
    healthy: u32,
    wanted: u32,
    /// Of the slowest.
    took: Duration,
}

#[derive(Debug, Default)]
struct Drain {
    waited: InFlight,
    cut: InFlight,
    took: Duration,
}

#[derive(Debug)]
pub(super) struct End {
    pub outcome: Outcome,
    pub urls: Vec<String>,
    pub took: Duration,
}

impl Row {
    pub fn new(app: Option<AppKey>) -> Self {
        Self { app, ..Self::default() }
    }

    pub fn name(&self) -> &str {
        self.app.as_ref().map_or("host", |key| key.app.as_str())
    }

    /// `r7 → r8`, `r1` for the first, `r3` when nothing changes.
    pub fn release(&self) -> String {
        match &self.planned {
            Some(Planned { from: Some(from), to, .. }) if from != to => format!("{from} → {to}"),
            Some(Planned { to, .. }) => to.to_string(),
            None => String::new(),
        }
    }

    pub fn version(&self) -> &str {
        self.planned.as_ref().map_or("", |planned| &planned.version)
    }

    pub fn is_moving(&self) -> bool {
        self.end.is_none() && (self.app.is_some() || !self.steps.is_empty())
    }

    /// Whether it is worth a line when the run is over.
    pub fn has_result(&self) -> bool {
        self.app.is_some() || !self.done().is_empty()
    }

    pub fn cancel(&mut self) {
        self.cancelling = true;
    }

    pub fn apply(&mut self, elapsed: Duration, fact: &Fact) {
        match fact {
            Fact::LeaseAwaited { owner, host, age } => {
                let since = text::seconds(*age);
                self.lease =
                    Some(text::clean(&format!("waiting for the deploy of {owner} on {host}, begun {since} ago")));
            }
            Fact::AppPlanned { from, to, version, .. } => {
                self.lease = None;
                self.planned = Some(Planned { from: *from, to: *to, version: version.clone() });
            }
            Fact::RemovalPlanned { release, version, .. } => {
                self.lease = None;
                self.removing = true;
                self.planned = Some(Planned { from: Some(*release), to: *release, version: version.clone() });
            }
            Fact::AccessoryPlanned { change } => {
                self.lease = None;
                self.accessory = Some(*change);
            }
            Fact::StepStarted { step, .. } => {
                self.lease = None;
                self.steps.push((text::clean(step), elapsed));
            }
            Fact::StepFinished { step, .. } => self.forget(step),
            Fact::StepFailed { step, error, .. } => {
                self.forget(step);
                self.failed.get_or_insert_with(|| text::clean(error));
            }
            Fact::BuildProgressed { line } => {
                let line = text::clean(line);
                match &mut self.build {
                    Some(build) if !line.is_empty() => build.line = line,
                    Some(_) => {}
                    None => self.build = Some(Build { since: elapsed, line }),
                }
            }
            Fact::ImageBuilt { took, reused } => {
                self.build = None;
                self.image = Some(if *reused {
                    "image unchanged".to_owned()
                } else {
                    format!("built {}", text::duration(*took))
                });
            }
            Fact::ImagePulled { took, .. } => {
                self.build = None;
                self.image = Some(format!("pulled {}", text::duration(*took)));
            }
            Fact::ReleaseCommandFinished { took } => self.release_command = Some(*took),
            Fact::ReplicaHealthy { healthy, wanted, took, .. } => {
                let slowest = self.healthy.as_ref().map_or(*took, |earlier| earlier.took.max(*took));
                self.healthy = Some(Healthy { healthy: *healthy, wanted: *wanted, took: slowest });
            }
            Fact::Flipped { took, .. } => {
                self.flips += 1;
                self.flip_took += *took;
            }
            Fact::DrainProgressed { left } => self.draining = Some(*left),
            Fact::Drained { waited, cut, took } => self.drained(*waited, *cut, *took),
            Fact::AppFinished { outcome, urls, took } => {
                self.steps.clear();
                self.end = Some(End { outcome: *outcome, urls: urls.clone(), took: *took });
            }
            Fact::CancelRequested => self.cancelling = true,
            Fact::Warned { .. }
            | Fact::Pruned { .. }
            | Fact::PlanMade { .. }
            | Fact::ReplicaStarted { .. }
            | Fact::RouteConfirmed
            | Fact::ReplicaStopped { .. }
            | Fact::Undone { .. }
            | Fact::UndoFailed { .. }
            | Fact::LeftBehind { .. } => {}
        }
    }

    fn forget(&mut self, step: &str) {
        let step = text::clean(step);
        if let Some(index) = self.steps.iter().position(|(running, _)| *running == step) {
            self.steps.remove(index);
        }
        self.build = None;
    }

    /// One drain per batch; the line tells their sum.
    fn drained(&mut self, waited: InFlight, cut: InFlight, took: Duration) {
        self.draining = None;
        let sum = self.drain.get_or_insert_default();
        sum.waited.requests += waited.requests;
        sum.waited.websockets += waited.websockets;
        sum.cut.requests += cut.requests;
        sum.cut.websockets += cut.websockets;
        sum.took += took;
    }

    /// What is behind it, in the order of a rollout.
    pub fn done(&self) -> Vec<Piece> {
        let mut done = Vec::new();
        let mut plain = |text: String| done.push(Piece::new(Tone::Plain, text));
        if let Some(image) = &self.image {
            plain(image.clone());
        }
        if let Some(took) = self.release_command {
            plain(format!("release command {}", text::duration(took)));
        }
        if let Some(Healthy { healthy, wanted, took }) = &self.healthy {
            plain(format!("{healthy}/{wanted} healthy {}", text::duration(*took)));
        }
        match self.flips {
            0 => {}
            1 => plain(format!("flipped {}", text::duration(self.flip_took))),
            flips => plain(format!("flipped {flips}× {}", text::duration(self.flip_took))),
        }
        if let Some(drain) = &self.drain {
            plain(match drain.waited.is_zero() {
                true => "nothing to drain".to_owned(),
                false => format!("drained {} in {}", text::in_flight(drain.waited), text::duration(drain.took)),
            });
            if !drain.cut.is_zero() {
                done.push(Piece::new(Tone::Warning, format!("cut {} at the limit", text::in_flight(drain.cut))));
            }
        }
        done
    }

    /// What had to be waited for, and what the limit cut; nothing when there was no drain.
    pub fn drained_words(&self) -> String {
        let Some(drain) = &self.drain else { return String::new() };
        let waited = text::in_flight(drain.waited);
        if drain.cut.is_zero() { waited } else { format!("{waited}, {} cut", text::in_flight(drain.cut)) }
    }

    /// What it is at.
    pub fn doing(&self, now: Duration) -> Vec<Piece> {
        let mut doing = Vec::new();
        match (&self.failed, self.cancelling) {
            (Some(error), _) => doing.push(Piece::new(Tone::Error, error.clone())),
            (None, true) => doing.push(Piece::new(Tone::Warning, "cancelling")),
            (None, false) => {}
        }
        if let Some(lease) = &self.lease {
            doing.push(Piece::new(Tone::Warning, lease.clone()));
        } else if let Some(left) = self.draining {
            doing.push(Piece::new(Tone::Busy, format!("draining {}", text::in_flight(left))));
        } else if let Some(build) = &self.build {
            doing.push(Piece::new(Tone::Busy, format!("building{}", running(now, build.since))));
            doing.push(Piece::new(Tone::Dim, build.line.clone()));
        } else if let Some((step, since)) = self.steps.last() {
            doing.push(Piece::new(Tone::Busy, format!("{step}{}", running(now, *since))));
        } else if doing.is_empty() {
            doing.push(Piece::new(Tone::Dim, "waiting"));
        }
        doing
    }

    /// How it ended, with what that means for who serves.
    pub fn ending(&self, end: &End) -> Piece {
        if let Some(change) = self.accessory {
            return accessory_ending(change, end);
        }
        let before = self.planned.as_ref().and_then(|planned| planned.from);
        match end.outcome {
            Outcome::UpToDate | Outcome::Completed if self.removing => Piece::new(Tone::Success, "✔ removed"),
            Outcome::CompletedWithLeftovers if self.removing => Piece::new(Tone::Warning, "✔ removed, with leftovers"),
            Outcome::Cancelled if self.removing && self.flips > 0 => {
                Piece::new(Tone::Warning, "✘ cancelled, it serves no more and its containers are left")
            }
            Outcome::UpToDate => Piece::new(Tone::Dim, "up to date (routes confirmed)"),
            Outcome::Completed => Piece::new(Tone::Success, served("✔", end)),
            Outcome::CompletedWithLeftovers => Piece::new(Tone::Warning, served("✔ with leftovers", end)),
            Outcome::RolledBack => match before {
                Some(before) => Piece::new(Tone::Error, format!("✘ rolled back, {before} serves as before")),
                None => Piece::new(Tone::Error, "✘ failed, nothing is left of it"),
            },
            Outcome::Cancelled => match (before, &self.planned) {
                (_, Some(planned)) if self.flips > 0 => {
                    Piece::new(Tone::Warning, format!("✘ cancelled after the flip, {} serves", planned.to))
                }
                (Some(before), _) => Piece::new(Tone::Warning, format!("✘ cancelled, {before} serves as before")),
                (None, _) => Piece::new(Tone::Warning, "✘ cancelled"),
            },
            Outcome::Disconnected => {
                Piece::new(Tone::Error, "✘ connection lost, run it again: what served goes on serving")
            }
            Outcome::Stuck => Piece::new(Tone::Error, "✘ stuck: look at what serves with `deploy-apps status`"),
        }
    }
}

/// An accessory serves no release, so it is said what became of the container.
fn accessory_ending(change: AccessoryChange, end: &End) -> Piece {
    let done = match change {
        AccessoryChange::Create => "✔ created",
        AccessoryChange::Start => "✔ started",
        AccessoryChange::Replace | AccessoryChange::Recreate => "✔ replaced",
        AccessoryChange::Leave => "✔ cleaned up",
    };
    match (end.outcome, change) {
        (Outcome::UpToDate, _) => Piece::new(Tone::Dim, served("unchanged", end)),
        (Outcome::Completed, _) => Piece::new(Tone::Success, served(done, end)),
        (Outcome::CompletedWithLeftovers, _) => {
            Piece::new(Tone::Warning, served(&format!("{done}, with leftovers"), end))
        }
        (Outcome::RolledBack, AccessoryChange::Create) => Piece::new(Tone::Error, "✘ failed, nothing is left of it"),
        (Outcome::RolledBack, AccessoryChange::Replace) => {
            Piece::new(Tone::Error, "✘ failed, the one from before runs again")
        }
        (Outcome::RolledBack, AccessoryChange::Recreate) => {
            Piece::new(Tone::Error, "✘ failed, and the one from before is gone")
        }
        (Outcome::RolledBack, AccessoryChange::Start | AccessoryChange::Leave) => Piece::new(Tone::Error, "✘ failed"),
        (Outcome::Cancelled, AccessoryChange::Replace) => {
            Piece::new(Tone::Warning, "✘ cancelled, the one from before runs again")
        }
        (Outcome::Cancelled, _) => Piece::new(Tone::Warning, "✘ cancelled"),
        (Outcome::Disconnected, _) => Piece::new(Tone::Error, "✘ connection lost, run it again"),
        (Outcome::Stuck, _) => Piece::new(Tone::Error, "✘ stuck: look at it with `deploy-apps status`"),
    }
}

/// A worker has no URL to tell.
fn served(mark: &str, end: &End) -> String {
    std::iter::once(mark).chain(end.urls.iter().map(String::as_str)).collect::<Vec<_>>().join(" ")
}

/// Most steps are over before anybody could read their time.
fn running(now: Duration, since: Duration) -> String {
    match now.saturating_sub(since) {
        short if short < Duration::from_secs(1) => String::new(),
        long => format!(" {}", text::seconds(long)),
    }
}
