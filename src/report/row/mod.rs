//! The progress of one app, collected from events.

mod words;

use std::time::Duration;

use super::text;
use crate::event::{Fact, Outcome};
use crate::model::{AccessoryChange, AppKey, InFlight, ReleaseNumber, StepId};

/// The meaning of a piece of text; a terminal colours it, other formats ignore it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    Success,
    Error,
    Warning,
    Dim,
    Hint,
    /// Work in progress, shown with the spinner.
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
    /// `None` for the host.
    pub app: Option<AppKey>,
    pub planned: Option<Planned>,
    lease: Option<String>,
    /// Steps in progress, oldest first: the lanes of an app run in parallel.
    steps: Vec<(StepId, String, Duration)>,
    build: Option<Build>,
    image: Option<String>,
    release_command: Option<Duration>,
    healthy: Option<Healthy>,
    flips: u32,
    flip_took: Duration,
    draining: Option<InFlight>,
    drain: Option<Drain>,
    failed: Option<String>,
    /// How its canary stands.
    canary: Option<String>,
    cancelling: bool,
    /// Set for an accessory: what changes.
    accessory: Option<AccessoryChange>,
    /// The app is being removed.
    removing: bool,
    pub end: Option<End>,
}

#[derive(Debug)]
pub(super) struct Planned {
    pub from: Option<ReleaseNumber>,
    pub to: ReleaseNumber,
    pub version: String,
    pub replicas: u32,
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
    /// Of the slowest replica.
    took: Duration,
}

#[derive(Debug, Default)]
struct Drain {
    /// What finished by itself.
    finished: InFlight,
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

    /// `r7 → r8`, `r1` for the first release, `r3` when nothing changes.
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

    /// Whether the final output has a line for it.
    pub fn has_result(&self) -> bool {
        self.app.is_some() || !self.done().is_empty()
    }

    pub fn is_app(&self) -> bool {
        self.accessory.is_none()
    }

    /// The oldest step in progress, for periodic progress lines.
    pub fn under_way(&self) -> Option<&str> {
        self.steps.first().map(|(_, step, _)| step.as_str()).filter(|_| self.end.is_none())
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
            Fact::AppPlanned { from, to, version, replicas, .. } => {
                self.lease = None;
                self.planned = Some(Planned { from: *from, to: *to, version: version.clone(), replicas: *replicas });
            }
            Fact::RemovalPlanned { release, version, .. } => {
                self.lease = None;
                self.removing = true;
                self.planned =
                    Some(Planned { from: Some(*release), to: *release, version: version.clone(), replicas: 0 });
            }
            Fact::AccessoryPlanned { change } => {
                self.lease = None;
                self.accessory = Some(*change);
            }
            Fact::StepStarted { id, step, .. } => {
                self.lease = None;
                self.steps.push((*id, text::clean(step), elapsed));
            }
            Fact::StepFinished { id, .. } => {
                self.canary = None;
                self.forget(*id);
            }
            Fact::StepFailed { id, error, .. } => {
                self.forget(*id);
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
            Fact::CanaryCompared { summary, .. } => self.canary = Some(text::clean(summary)),
            Fact::CancelRequested => self.cancelling = true,
            Fact::Warned { .. }
            | Fact::Pruned { .. }
            | Fact::PlanMade { .. }
            | Fact::BackupFinished { .. }
            | Fact::ReplicaStarted { .. }
            | Fact::RouteConfirmed
            | Fact::CertificateStored { .. }
            | Fact::ReplicaStopped { .. }
            | Fact::ReplicaUnstable { .. }
            | Fact::Undone { .. }
            | Fact::UndoFailed { .. }
            | Fact::LeftBehind { .. } => {}
        }
    }

    fn forget(&mut self, step: StepId) {
        self.steps.retain(|(running, ..)| *running != step);
        self.build = None;
    }

    /// One drain per batch; the line shows their sum.
    fn drained(&mut self, waited: InFlight, cut: InFlight, took: Duration) {
        self.draining = None;
        let sum = self.drain.get_or_insert_default();
        sum.finished = [sum.finished, waited.finished(cut)].into_iter().sum();
        sum.cut = [sum.cut, cut].into_iter().sum();
        sum.took += took;
    }
}
