//! Steps in their order: stages one after the other, their lanes beside each other, and what one step is wrapped in.

use futures_util::future::join_all;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::failure::{FailureKind, StepFailure};
use super::performer::Performer;
use super::run::Run;
use super::scope::Scope;
use crate::event::{Fact, Outcome};
use crate::plan::{Planned, Stage, Step};
use crate::ports::{Engine, Proxy};

/// Runs stages of one scope.
pub(super) struct Executor<'a, E, P: Proxy> {
    run: &'a Run<E, P>,
    scope: &'a Scope,
    performer: Performer<'a, E, P>,
}

impl<'a, E: Engine, P: Proxy> Executor<'a, E, P> {
    pub(super) fn new(run: &'a Run<E, P>, lease: Option<&'a P::Lease>, scope: &'a Scope) -> Self {
        Self { run, scope, performer: Performer::new(run, lease, scope) }
    }

    /// The only way is forward: a lane that fails leaves its rest for the next run and does not stop the others.
    ///
    /// A stage that fails ends the run of them: nothing is stopped unless the proxy has confirmed what it routes.
    pub(super) async fn after_flip(&self, stages: &[Stage]) -> Outcome {
        let mut outcome = Outcome::Completed;
        for stage in stages {
            if outcome != Outcome::Completed {
                for planned in stage.lanes.iter().filter_map(|lane| lane.first()) {
                    let error = "an earlier step has failed".to_owned();
                    let what = planned.step.to_string();
                    self.run.events().emit(self.scope.app(), Fact::LeftBehind { id: Some(planned.id), what, error });
                }
                continue;
            }
            let lanes = stage.lanes.iter().map(|lane| async move {
                for planned in lane {
                    let result = self.step(planned, self.run.stop().any()).await;
                    let Err(failure) = result else { continue };
                    let (what, error) = (planned.step.to_string(), failure.message.clone());
                    let fact = Fact::LeftBehind { id: Some(planned.id), what, error };
                    self.run.events().emit(self.scope.app(), fact);
                    return Err(failure);
                }
                Ok(())
            });
            for failure in join_all(lanes).await.into_iter().filter_map(Result::err) {
                let worse = match failure.kind {
                    FailureKind::Cancelled => Outcome::Cancelled,
                    FailureKind::StateChanged | FailureKind::Unknown => Outcome::Stuck,
                    FailureKind::Failed
                    | FailureKind::Aborted
                    | FailureKind::Locked
                    | FailureKind::NotOurs
                    | FailureKind::Disconnected => Outcome::CompletedWithLeftovers,
                };
                outcome = outcome.max(worse);
            }
        }
        outcome
    }

    /// Stages one after the other; the first failure ends the run of them.
    pub(super) async fn stages(&self, stages: &[Stage], cancel: &CancellationToken) -> Result<(), StepFailure> {
        for stage in stages {
            // A failure in one lane ends the waits of the others, but no call: what they did stays known.
            let stop = cancel.child_token();
            let stop = &stop;
            let lanes = stage.lanes.iter().map(|lane| async move {
                for planned in lane {
                    let result = self.step(planned, stop).await;
                    if let Err(failure) = result {
                        stop.cancel();
                        return Err(failure);
                    }
                }
                Ok(())
            });
            let failures: Vec<StepFailure> = join_all(lanes).await.into_iter().filter_map(Result::err).collect();
            let first = failures.iter().position(|failure| failure.kind != FailureKind::Cancelled).unwrap_or(0);
            if let Some(failure) = failures.into_iter().nth(first) {
                return Err(failure);
            }
        }
        Ok(())
    }

    /// One step with its events, its place in the undo list and the hook.
    pub(super) async fn step(&self, planned: &Planned, cancel: &CancellationToken) -> Result<(), StepFailure> {
        if cancel.is_cancelled() {
            return Err(self.run.stop().explain(StepFailure::cancelled()));
        }
        let (run, app) = (self.run, self.scope.app());
        let (id, step) = (planned.id, &planned.step);
        // Held to the end of the step, and begun before it: what waits has not started.
        let _turn = run.turn(step, cancel).await.map_err(|failure| run.stop().explain(failure))?;
        let started = Fact::StepStarted {
            id,
            step: step.to_string(),
            kind: step.kind(),
            subject: step.subject().map(str::to_owned),
            because: planned.because.0.clone(),
        };
        run.events().emit(app, started);
        let begun = Instant::now();
        match Box::pin(self.performer.perform(step, cancel)).await {
            Ok(()) => {
                self.scope.did(id, step.clone());
                run.events().emit(app, Fact::StepFinished { id, step: step.to_string(), took: begun.elapsed() });
                run.after_step(step);
                Ok(())
            }
            Err(failure) => {
                let failure = run.stop().explain(failure);
                // A call that failed may have got half-way, and undoing what never was is harmless. A flip is
                // different: it took effect or it did not, and `perform` has found out which.
                if failure.kind != FailureKind::NotOurs && !matches!(step, Step::Flip { .. }) {
                    self.scope.did(id, step.clone());
                }
                if failure.kind != FailureKind::Cancelled {
                    let StepFailure { message, hint, details, .. } = failure.clone();
                    run.events()
                        .emit(app, Fact::StepFailed { id, step: step.to_string(), error: message, hint, details });
                }
                Err(failure)
            }
        }
    }
}
