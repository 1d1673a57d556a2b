//! A plan: complete, readable as text, and the only thing that execution looks at.

use std::fmt;

use serde::Serialize;

use super::stage::{Planned, Stage, number};
use super::step::{FlipChange, Step};
use crate::model::{AccessoryChange, AppKey, AppName, FailureAction, Release, ReleaseNumber, ReplicaSource};

/// What a deploy will do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// All apps flip in one control call, or none does.
    pub atomic: bool,
    /// What the parts share: networks and volumes. Never undone.
    pub shared: Vec<Stage>,
    /// Apps and accessories, each after those that it depends on.
    pub apps: Vec<AppPlan>,
}

impl Plan {
    /// Whether running it would change anything.
    #[must_use]
    pub fn changes_nothing(&self) -> bool {
        self.shared.iter().flat_map(Stage::steps).all(|planned| planned.step.only_looks())
            && self.apps.iter().all(AppPlan::changes_nothing)
    }

    /// Gives each step its number, in the order in which they are shown.
    pub(super) fn numbered(mut self) -> Self {
        let shared = self.shared.iter_mut().flat_map(Stage::steps_mut);
        number(shared.chain(self.apps.iter_mut().flat_map(AppPlan::steps_mut)));
        self
    }

    /// The last flips of all apps in one control call, which an atomic run makes in their place. It has the number of the
    /// first of them. `None` when nothing flips.
    #[must_use]
    pub fn joint_flip(&self) -> Option<Planned> {
        let flips: Vec<&Planned> = self.apps.iter().filter_map(|app| app.flip.as_ref()).collect();
        let first = flips.first()?;
        let changes: Vec<FlipChange> = flips.iter().flat_map(|flip| flip.step.changes()).cloned().collect();
        Some(Planned { id: first.id, ..Planned::new(Step::Flip { changes }, "all apps or none") })
    }
}

/// One app's way from what serves to what shall serve.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AppPlan {
    pub app: AppKey,
    /// It was not asked for: it is an accessory that others of the run depend on.
    pub implied: bool,
    pub from: Option<ReleaseNumber>,
    pub release: Release,
    /// How many replicas serve at the end.
    pub replicas: u32,
    pub replicas_from: ReplicaSource,
    pub verdict: Verdict,
    pub warnings: Vec<String>,
    /// What becomes of the batches that have flipped already when a later one fails.
    pub on_failure: FailureAction,
    /// Undone in reverse order when any of it fails.
    pub before: Vec<Stage>,
    /// Right before the flip, when some of the new replicas have waited for others.
    pub look: Option<Planned>,
    /// The point of no return. `None` when what serves stays as it is.
    pub flip: Option<Planned>,
    /// Best effort: what fails here is left for the next run.
    pub after: Vec<Stage>,
    /// Old releases that go when the outcome is known and good; nothing here changes it.
    pub prune: Vec<Stage>,
}

impl AppPlan {
    #[must_use]
    pub fn changes_nothing(&self) -> bool {
        self.steps().all(|planned| planned.step.only_looks())
    }

    /// Whether it is an accessory of which something else will run afterwards.
    #[must_use]
    pub fn changes_accessory(&self) -> bool {
        self.verdict.accessory().is_some_and(|change| change != AccessoryChange::Leave)
    }

    /// Whether it gives the proxy a certificate, which changes what serves without a flip.
    #[must_use]
    pub fn changes_certificate(&self) -> bool {
        self.steps().any(|planned| matches!(planned.step, Step::ChangeCertificate(_) | Step::OrderCertificate(_)))
    }

    /// Whether those who depend on it have anything to wait for.
    pub(super) fn has_work_before_ready(&self) -> bool {
        !self.before.is_empty() || self.flip.is_some()
    }

    /// The services whose parts it waits for.
    pub fn awaited(&self) -> impl Iterator<Item = &AppName> {
        let steps = self.before.iter().flat_map(Stage::steps);
        let services = steps.filter_map(|planned| match &planned.step {
            Step::AwaitServices { services } => Some(services),
            _ => None,
        });
        services.flatten()
    }

    /// Whether it only makes sure that an accessory which nobody asked for is as those need it who depend on it.
    #[must_use]
    pub fn is_only_looked_at(&self) -> bool {
        self.implied && !self.changes_accessory()
    }

    /// Whether it keeps what it has come to when another part of an atomic run fails: what has run once is not run
    /// again for the same image and configuration, and what others may use by now is never undone.
    #[must_use]
    pub fn stays_when_ready(&self) -> bool {
        self.implied || self.verdict == Verdict::Accessory(AccessoryChange::Run)
    }

    /// Every step in the order of running, lane by lane.
    pub fn steps(&self) -> impl Iterator<Item = &Planned> {
        self.before
            .iter()
            .flat_map(Stage::steps)
            .chain(&self.look)
            .chain(&self.flip)
            .chain(self.after.iter().chain(&self.prune).flat_map(Stage::steps))
    }

    pub(super) fn steps_mut(&mut self) -> impl Iterator<Item = &mut Planned> {
        self.before
            .iter_mut()
            .flat_map(Stage::steps_mut)
            .chain(&mut self.look)
            .chain(&mut self.flip)
            .chain(self.after.iter_mut().chain(&mut self.prune).flat_map(Stage::steps_mut))
    }
}

/// What kind of change it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The right release serves, with the right routes and the right number of replicas.
    UpToDate,
    /// A new release replaces what serves, or is the first.
    Deploy,
    /// The same release with more, fewer or other replicas, or with other routes.
    Adjust,
    /// Nothing of it serves any more, and its containers go.
    Remove,
    /// An earlier release replaces what serves.
    Rollback,
    /// Not an app, but an accessory that was asked for: it has no releases, and nothing is flipped.
    #[serde(untagged)]
    Accessory(AccessoryChange),
}

impl Verdict {
    /// What becomes of it, if it is an accessory.
    #[must_use]
    pub fn accessory(self) -> Option<AccessoryChange> {
        match self {
            Self::Accessory(change) => Some(change),
            _ => None,
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.shared.iter().all(Stage::is_empty) {
            writeln!(f, "shared")?;
            let mut number = 0;
            write_stages(f, &self.shared, &mut number)?;
        }
        for app in &self.apps {
            write!(f, "{app}")?;
        }
        let flips: Vec<String> =
            self.apps.iter().filter_map(|app| app.flip.as_ref()).map(|flip| flip.id.to_string()).collect();
        match flips.as_slice() {
            [others @ .., last] if self.atomic && !others.is_empty() => {
                writeln!(f, "atomic: steps {} and {last} are one control call", others.join(", "))
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Display for AppPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let replicas = if self.replicas == 1 { "replica" } else { "replicas" };
        let to = self.release.number;
        match (self.verdict, self.from) {
            (Verdict::Deploy, Some(from)) => write!(f, "{} {from} → {to}", self.app)?,
            (Verdict::Deploy, None) => write!(f, "{} first release {to}", self.app)?,
            (Verdict::Rollback, Some(from)) => write!(f, "{} {from} back to {to}", self.app)?,
            (Verdict::Adjust | Verdict::Rollback, _) => write!(f, "{} {to} adjusted", self.app)?,
            (Verdict::UpToDate, _) => write!(f, "{} {to} up to date", self.app)?,
            (Verdict::Remove, _) => write!(f, "{} {to} goes", self.app)?,
            (Verdict::Accessory(change), _) => write!(f, "{} {}", self.app, change.words())?,
        }
        let scaled = if self.replicas_from == ReplicaSource::Scaled { " as scaled" } else { "" };
        match self.verdict {
            Verdict::Remove => writeln!(f, " ({})", self.release.version)?,
            Verdict::Accessory(_) => writeln!(f)?,
            _ => writeln!(f, " ({}, {} {replicas}{scaled})", self.release.version, self.replicas)?,
        }
        for warning in &self.warnings {
            writeln!(f, "  warning: {warning}")?;
        }
        let mut number = 0;
        write_stages(f, &self.before, &mut number)?;
        for planned in self.look.iter().chain(&self.flip) {
            number += 1;
            write_step(f, &number.to_string(), planned)?;
        }
        write_stages(f, &self.after, &mut number)?;
        write_stages(f, &self.prune, &mut number)
    }
}

/// One number per stage; lanes that run beside each other carry a letter. In front of it is the number of the step.
pub(super) fn write_stages(f: &mut fmt::Formatter<'_>, stages: &[Stage], number: &mut usize) -> fmt::Result {
    for stage in stages.iter().filter(|stage| !stage.is_empty()) {
        *number += 1;
        for (index, lane) in stage.lanes.iter().enumerate() {
            for planned in lane {
                if stage.lanes.len() == 1 {
                    write_step(f, &number.to_string(), planned)?;
                } else {
                    write_step(f, &format!("{number}{}", lane_letter(index)), planned)?;
                }
            }
        }
    }
    Ok(())
}

fn write_step(f: &mut fmt::Formatter<'_>, place: &str, planned: &Planned) -> fmt::Result {
    writeln!(f, "{:>4} [{place}] {planned}", planned.id)
}

/// a … z, then aa, ab, …
fn lane_letter(index: usize) -> String {
    let letter = char::from(b'a' + u8::try_from(index % 26).unwrap_or(0));
    if index < 26 { letter.to_string() } else { format!("{}{letter}", lane_letter(index / 26 - 1)) }
}

impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} — {}", self.step, self.because.0)
    }
}
