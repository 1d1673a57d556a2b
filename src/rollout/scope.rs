//! What one part of a run remembers while it goes on: how far it is, and what it would have to undo.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;

use super::parts::Parts;
use crate::model::{AppKey, Generation, InFlight, StepId};
use crate::plan::{AppPlan, FlipChange, Planned, Stage, Step};

/// What a run has to tell the history besides its outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// From the run's beginning to its last flip.
    pub flipped_after: Option<Duration>,
    /// What was open on the outgoing replicas and came to its end, and what the limit ended.
    pub drained: InFlight,
    pub cut: InFlight,
}

/// What one app's run remembers while it goes on.
pub(super) struct Scope {
    /// `None` for what the apps share.
    app: Option<AppKey>,
    /// Those beside it.
    parts: Arc<Parts>,
    /// The generation that this run's last flip of the app made.
    last_flip: Mutex<Option<Generation>>,
    healthy: AtomicU32,
    /// How many replicas this run starts.
    wanted: u32,
    /// Somebody has promoted its canary: no more weights are watched.
    promoted: AtomicBool,
    /// Old and new replicas must not run beside each other, not even while a run is undone.
    one_writer: bool,
    tally: Mutex<Tally>,
    /// What was last seen open on the replicas that drain, by their names.
    draining: Mutex<BTreeMap<String, InFlight>>,
    /// What has been done and could be taken back, in order.
    done: Mutex<Vec<(StepId, Step)>>,
}

impl Scope {
    pub(super) fn shared() -> Self {
        Self {
            app: None,
            parts: Arc::default(),
            last_flip: Mutex::default(),
            healthy: AtomicU32::new(0),
            wanted: 0,
            promoted: AtomicBool::new(false),
            one_writer: false,
            tally: Mutex::default(),
            draining: Mutex::default(),
            done: Mutex::default(),
        }
    }

    /// For stages that several apps need, or the host.
    pub(super) fn shared_by(stages: &[Stage]) -> Self {
        Self { wanted: starts(stages.iter().flat_map(Stage::steps)), ..Self::shared() }
    }

    pub(super) fn of(plan: &AppPlan, parts: &Arc<Parts>) -> Self {
        let wanted = starts(plan.steps());
        // Requests are held only where the old replicas have to be gone first.
        let holds = |change: &FlipChange| change.record.as_ref().is_some_and(|record| record.hold_ms > 0);
        let one_writer =
            plan.steps().any(|planned| matches!(&planned.step, Step::Flip { changes } if changes.iter().any(holds)));
        let one_writer = one_writer || plan.verdict.accessory().is_some();
        // What is only looked at is no part that anybody asked for.
        let app = (!plan.is_only_looked_at()).then(|| plan.app.clone());
        Self { app, parts: Arc::clone(parts), wanted, one_writer, ..Self::shared() }
    }

    /// For stages of an app beside its deploy.
    pub(super) fn about(app: Option<&AppKey>) -> Self {
        Self { app: app.cloned(), ..Self::shared() }
    }

    pub(super) fn app(&self) -> Option<&AppKey> {
        self.app.as_ref()
    }

    pub(super) fn parts(&self) -> &Parts {
        &self.parts
    }

    /// How many replicas this run starts.
    pub(super) fn wanted(&self) -> u32 {
        self.wanted
    }

    pub(super) fn has_one_writer(&self) -> bool {
        self.one_writer
    }

    pub(super) fn count_healthy(&self) -> u32 {
        self.healthy.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(super) fn promote(&self) {
        self.promoted.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_promoted(&self) -> bool {
        self.promoted.load(Ordering::Relaxed)
    }

    pub(super) fn last_flip(&self) -> Option<Generation> {
        *lock(&self.last_flip)
    }

    pub(super) fn flipped(&self, generation: Generation) {
        *lock(&self.last_flip) = Some(generation);
    }

    /// Takes in a count of `peers`, and returns the sum over all replicas of the app that drain beside each other.
    pub(super) fn draining(&self, peers: &[String], open: InFlight) -> InFlight {
        let mut draining = lock(&self.draining);
        draining.insert(peers.join(" "), open);
        draining.values().copied().sum()
    }

    pub(super) fn flipped_after(&self, duration: Duration) {
        lock(&self.tally).flipped_after = Some(duration);
    }

    pub(super) fn drained(&self, waited: InFlight, cut: InFlight) {
        let mut tally = lock(&self.tally);
        tally.drained = [tally.drained, waited.finished(cut)].into_iter().sum();
        tally.cut = [tally.cut, cut].into_iter().sum();
    }

    pub(super) fn tally(&self) -> Tally {
        *lock(&self.tally)
    }

    pub(super) fn did(&self, id: StepId, step: Step) {
        lock(&self.done).push((id, step));
    }

    /// Whether this run has stopped the container, and an undo starts it again.
    pub(super) fn restarts(&self, container: &str) -> bool {
        let done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        done.iter()
            .any(|(_, step)| matches!(step, Step::StopContainer { name, restart: Some(_), .. } if name == container))
    }

    /// What has been done, newest first; nothing is left to undo afterwards.
    pub(super) fn take_done(&self) -> Vec<(StepId, Step)> {
        let mut done = std::mem::take(&mut *lock(&self.done));
        done.reverse();
        done
    }
}

/// What is kept here is whole at every moment, whatever has panicked.
fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many of these steps await a container that was started.
fn starts<'p>(steps: impl Iterator<Item = &'p Planned>) -> u32 {
    let starts = steps.filter(|planned| matches!(planned.step, Step::AwaitHealthy { .. })).count();
    u32::try_from(starts).unwrap_or(u32::MAX)
}
