//! What every part of a run shares: the ports, the lease, the way out for events, and the cancellation.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::failure::{DeployError, FailureKind, StepFailure};
use super::parts::Parts;
use crate::event::{Event, Fact};
use crate::model::{AppKey, Bytes, Generation, InFlight, ProxyName, StepId};
use crate::plan::{AppPlan, FlipChange, PlanRefused, Planned, Stage, Step};
use crate::ports::{Engine, Operator, Proxy};

/// Takes the events of a run.
pub type Sink = Arc<dyn Fn(Event) + Send + Sync>;

/// Called after each step that succeeded, an undo's too. The crash tests end the process in it.
pub type StepHook = Arc<dyn Fn(&Step) + Send + Sync>;

/// How many containers the engine is asked to make, start or remove at once. Each takes it a good part of a second of
/// a processor: a hundred at once would all come late, the last ones after the limit of their call.
const ENGINE_TURNS: usize = 16;

/// What a run holds.
pub struct Run<E, P: Proxy> {
    pub engine: Arc<E>,
    pub proxy: Arc<P>,
    pub sink: Sink,
    /// The first cancellation; before the last flip it leads to an undo, after it the rest is left.
    pub cancel: CancellationToken,
    /// Ends what waits and lets no step begin: by a cancellation, or because the lease was lost.
    pub(super) stop: CancellationToken,
    lease_lost: AtomicBool,
    /// First come, first served.
    turns: Semaphore,
    pub hook: Option<StepHook>,
    /// For the history. `None` where no release is begun.
    pub operator: Option<Operator>,
    /// `None` asks for no free disk before builds and pulls.
    pub room: Option<DiskBudget>,
    pub started: Instant,
}

/// How much must be free on the engine's disk before a build or a pull begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskBudget {
    /// Whose container tells about a disk that is on another machine.
    pub proxy: ProxyName,
    /// In bytes; `None` is what the disk's size suggests.
    pub minimum: Option<u64>,
}

impl<E: Engine, P: Proxy> Run<E, P> {
    pub fn new(engine: Arc<E>, proxy: Arc<P>, sink: Sink, cancel: CancellationToken) -> Self {
        let (stop, lease_lost) = (cancel.child_token(), AtomicBool::new(false));
        let turns = Semaphore::new(ENGINE_TURNS);
        let started = Instant::now();
        Self { engine, proxy, sink, cancel, stop, lease_lost, turns, hook: None, operator: None, room: None, started }
    }

    /// Calls `hook` after each step.
    #[must_use]
    pub fn with_hook(mut self, hook: Option<StepHook>) -> Self {
        self.hook = hook;
        self
    }

    /// Says in the history who it was.
    #[must_use]
    pub fn by(mut self, operator: Operator) -> Self {
        self.operator = Some(operator);
        self
    }

    /// Refuses builds and pulls that a full disk would end half-way.
    #[must_use]
    pub fn in_room(mut self, room: DiskBudget) -> Self {
        self.room = Some(room);
        self
    }

    /// Called before something large is written on the engine. A disk that nobody can ask about is taken as it is.
    pub(super) async fn check_disk_budget(&self) -> Result<(), DeployError> {
        let Some(room) = &self.room else { return Ok(()) };
        let Ok(Some(disk)) = self.engine.disk(&room.proxy).await else { return Ok(()) };
        let minimum = room.minimum.unwrap_or_else(|| disk.minimum());
        if disk.free >= minimum {
            return Ok(());
        }
        let (free, size, minimum) = (Bytes(disk.free), Bytes(disk.size), Bytes(minimum));
        Err(PlanRefused::DiskLow { path: disk.path, free, size, minimum }.into())
    }

    /// Waits for the engine's attention, where the step needs much of it. A cancellation ends the wait.
    pub(super) async fn turn(
        &self,
        step: &Step,
        cancel: &CancellationToken,
    ) -> Result<Option<SemaphorePermit<'_>>, StepFailure> {
        if !matches!(step, Step::CreateContainer(_) | Step::StartContainer { .. } | Step::RemoveContainer { .. }) {
            return Ok(None);
        }
        tokio::select! {
            biased;
            () = cancel.cancelled() => Err(StepFailure::cancelled()),
            turn = self.turns.acquire() => Ok(turn.ok()),
        }
    }

    pub(super) fn emit(&self, app: Option<&AppKey>, fact: Fact) {
        (self.sink)(Event { app: app.cloned(), elapsed: self.started.elapsed(), fact });
    }

    /// Tells the reporters of the cancellation: unwinding may take a while, and looks like hanging otherwise.
    pub(super) async fn say_when_cancelled(&self) -> Infallible {
        self.cancel.cancelled().await;
        self.emit(None, Fact::CancelRequested);
        std::future::pending().await
    }

    /// Somebody else may have the apps from now on.
    pub(super) fn lose_lease(&self) {
        self.lease_lost.store(true, Ordering::Relaxed);
        let message = "the lease on the apps is lost: another run may change them from now on".to_owned();
        self.emit(None, Fact::Warned { message });
        self.stop.cancel();
    }

    /// What a stop means for the step that it ended: only the user's own is a cancellation.
    pub(super) fn stopped(&self, failure: StepFailure) -> StepFailure {
        let by_loss = self.lease_lost.load(Ordering::Relaxed) && !self.cancel.is_cancelled();
        if by_loss && failure.kind == FailureKind::Cancelled {
            return StepFailure::failed("not done without the lease, which was lost")
                .hint("run the same command again: it finishes or undoes what was begun");
        }
        failure
    }

    pub(super) fn after_step(&self, step: &Step) {
        if let Some(hook) = &self.hook {
            hook(step);
        }
    }
}

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
    pub app: Option<AppKey>,
    /// Those beside it.
    pub parts: Arc<Parts>,
    /// The generation that this run's last flip of the app made.
    last_flip: Mutex<Option<Generation>>,
    healthy: AtomicU32,
    /// How many replicas this run starts.
    pub wanted: u32,
    /// Old and new replicas must not run beside each other, not even while a run is undone.
    pub one_writer: bool,
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

    pub(super) fn count_healthy(&self) -> u32 {
        self.healthy.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(super) fn last_flip(&self) -> Option<Generation> {
        *self.last_flip.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn flipped(&self, generation: Generation) {
        *self.last_flip.lock().unwrap_or_else(PoisonError::into_inner) = Some(generation);
    }

    /// Takes in a count of `peers`, and returns the sum over all replicas of the app that drain beside each other.
    pub(super) fn draining(&self, peers: &[String], open: InFlight) -> InFlight {
        let mut draining = self.draining.lock().unwrap_or_else(PoisonError::into_inner);
        draining.insert(peers.join(" "), open);
        draining.values().copied().sum()
    }

    pub(super) fn flipped_after(&self, duration: Duration) {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).flipped_after = Some(duration);
    }

    pub(super) fn drained(&self, waited: InFlight, cut: InFlight) {
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        tally.drained = [tally.drained, waited.finished(cut)].into_iter().sum();
        tally.cut = [tally.cut, cut].into_iter().sum();
    }

    pub(super) fn tally(&self) -> Tally {
        *self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn did(&self, id: StepId, step: Step) {
        self.done.lock().unwrap_or_else(PoisonError::into_inner).push((id, step));
    }

    /// What has been done, newest first; nothing is left to undo afterwards.
    pub(super) fn take_done(&self) -> Vec<(StepId, Step)> {
        let mut done = std::mem::take(&mut *self.done.lock().unwrap_or_else(PoisonError::into_inner));
        done.reverse();
        done
    }
}

/// How many of these steps await a container that was started.
fn starts<'p>(steps: impl Iterator<Item = &'p Planned>) -> u32 {
    let starts = steps.filter(|planned| matches!(planned.step, Step::AwaitHealthy { .. })).count();
    u32::try_from(starts).unwrap_or(u32::MAX)
}
