//! What every part of a run shares: the ports, the events, and what stops it.

use std::sync::Arc;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_util::sync::CancellationToken;

use super::disk::DiskBudget;
use super::events::{Events, Sink};
use super::failure::{DeployError, StepFailure};
use super::lease::LeaseKeeper;
use super::stop::Stop;
use crate::plan::Step;
use crate::ports::{Engine, Operator, Proxy};

/// Called after each step that succeeded, an undo's too. The crash tests end the process in it.
pub type StepHook = Arc<dyn Fn(&Step) + Send + Sync>;

/// How many containers the engine is asked to make, start or remove at once. Each takes it a good part of a second of
/// a processor: a hundred at once would all come late, the last ones after the limit of their call.
const ENGINE_TURNS: usize = 16;

/// What a run holds.
pub struct Run<E, P> {
    engine: Arc<E>,
    proxy: Arc<P>,
    events: Events,
    stop: Stop,
    /// First come, first served.
    turns: Semaphore,
    hook: Option<StepHook>,
    /// For the history. `None` where no release is begun.
    operator: Option<Operator>,
    /// `None`: the free disk is not checked before builds and pulls.
    disk: Option<DiskBudget>,
}

impl<E: Engine, P: Proxy> Run<E, P> {
    pub fn new(engine: Arc<E>, proxy: Arc<P>, sink: Sink, cancel: CancellationToken) -> Self {
        let (events, stop, turns) = (Events::new(sink), Stop::new(cancel), Semaphore::new(ENGINE_TURNS));
        Self { engine, proxy, events, stop, turns, hook: None, operator: None, disk: None }
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
    pub fn in_room(mut self, disk: DiskBudget) -> Self {
        self.disk = Some(disk);
        self
    }

    #[must_use]
    pub fn engine(&self) -> &E {
        &self.engine
    }

    #[must_use]
    pub fn proxy(&self) -> &P {
        &self.proxy
    }

    pub(super) fn events(&self) -> &Events {
        &self.events
    }

    pub(super) fn stop(&self) -> &Stop {
        &self.stop
    }

    pub(super) fn operator(&self) -> Option<&Operator> {
        self.operator.as_ref()
    }

    pub(super) fn leases(&self) -> LeaseKeeper<'_, P> {
        LeaseKeeper::new(&self.proxy, &self.events, &self.stop)
    }

    /// Called before something large is written on the engine.
    pub(super) async fn check_disk(&self) -> Result<(), DeployError> {
        match &self.disk {
            Some(disk) => disk.check(self.engine()).await,
            None => Ok(()),
        }
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

    pub(super) fn after_step(&self, step: &Step) {
        if let Some(hook) = &self.hook {
            hook(step);
        }
    }
}
