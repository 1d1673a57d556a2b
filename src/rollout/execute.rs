//! Runs a plan: apps beside each other, each with an outcome of its own; or, when atomic, all or none.

use std::time::Duration;

use futures_util::future::join_all;
use serde::Serialize;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::failure::{FailureKind, StepFailure};
use super::run::{Run, Scope, Tally};
use super::unwind::Unwound;
use crate::event::{Fact, Outcome};
use crate::model::{AppKey, FailureAction, Release, ReleaseNumber};
use crate::plan::{AppPlan, Plan, Planned, Stage, Step, Verdict};
use crate::ports::{Engine, Proxy};

/// How one app's run ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AppResult {
    pub app: AppKey,
    pub from: Option<ReleaseNumber>,
    pub release: Release,
    /// How many serve at the end of the plan.
    pub replicas: u32,
    pub outcome: Outcome,
    /// What the plan was made from has changed under it; nothing is left of the attempt, and planning again may help.
    pub world_moved: bool,
    pub took: Duration,
    pub tally: Tally,
}

impl AppResult {
    /// Whether nothing is left of this attempt and another, with a new plan, may succeed.
    pub(super) fn plan_again(&self) -> bool {
        self.world_moved && self.outcome == Outcome::RolledBack
    }
}

/// An app between its preparation and its end.
struct Prepared<'a> {
    plan: &'a AppPlan,
    scope: Scope,
    result: Result<(), StepFailure>,
    begun: Instant,
}

impl Prepared<'_> {
    /// Called after the last flip, for the history.
    fn note_flip(&self) {
        if self.result.is_ok() && self.plan.flip.is_some() {
            self.scope.flipped_after(self.begun.elapsed());
        }
    }

    fn failure(&self) -> Option<FailureKind> {
        self.result.as_ref().err().map(|failure| failure.kind)
    }
}

/// Whether what has flipped so far stays. Old and new serve beside each other then, which a single writer cannot.
fn pauses(plan: &AppPlan, scope: &Scope, failure: &StepFailure) -> bool {
    plan.on_failure == FailureAction::Pause
        && failure.kind == FailureKind::Failed
        && scope.last_flip().is_some()
        && !scope.one_writer
}

fn because_of(app: &AppKey, moved: bool) -> StepFailure {
    let kind = if moved { FailureKind::WorldMoved } else { FailureKind::Failed };
    StepFailure::new(kind, format!("not flipped, because `{app}` failed and the deploy is atomic"))
}

impl<E: Engine, P: Proxy> Run<E, P> {
    /// Runs every app of the plan to its end, and calls `ended` as soon as each has come to it.
    pub(super) async fn execute<F: Future<Output = AppResult>>(
        &self,
        lease: &P::Lease,
        plan: &Plan,
        ended: impl Fn(AppResult) -> F,
    ) -> Vec<AppResult> {
        if plan.atomic {
            self.execute_atomic(lease, plan, ended).await
        } else {
            self.execute_each(lease, plan, ended).await
        }
    }

    async fn execute_each<F: Future<Output = AppResult>>(
        &self,
        lease: &P::Lease,
        plan: &Plan,
        ended: impl Fn(AppResult) -> F,
    ) -> Vec<AppResult> {
        let ended = &ended;
        let runs = plan.apps.iter().map(|app| async move {
            let mut prepared = self.prepare(lease, app, &self.stop).await;
            self.look(lease, &mut prepared).await;
            if let (Ok(()), Some(flip)) = (&prepared.result, &app.flip) {
                prepared.result = self.step(Some(lease), &prepared.scope, flip, &self.stop).await;
                prepared.note_flip();
            }
            let result = ended(self.finish(lease, prepared).await).await;
            self.tidy_after(app, &result).await;
            result
        });
        join_all(runs).await
    }

    /// The first failure stops the others' preparation: they would be undone anyway.
    async fn execute_atomic<F: Future<Output = AppResult>>(
        &self,
        lease: &P::Lease,
        plan: &Plan,
        ended: impl Fn(AppResult) -> F,
    ) -> Vec<AppResult> {
        let ended = &ended;
        let stop = self.stop.child_token();
        let runs = plan.apps.iter().map(|app| async {
            let prepared = self.prepare(lease, app, &stop).await;
            if prepared.result.is_err() {
                stop.cancel();
            }
            prepared
        });
        let mut apps = join_all(runs).await;
        if apps.iter().all(|app| app.result.is_ok()) {
            join_all(apps.iter_mut().map(|app| self.look(lease, app))).await;
        }
        let changes: Vec<_> = plan.apps.iter().filter_map(|app| app.flip.as_ref()).flat_map(changes_of).collect();
        if apps.iter().all(|app| app.result.is_ok()) && !changes.is_empty() {
            let flip = Planned::new(Step::Flip { changes }, "all apps or none");
            let result = self.step(Some(lease), &Scope::shared(), &flip, &self.stop).await;
            for app in &mut apps {
                app.result.clone_from(&result);
                app.note_flip();
            }
        }
        self.share_failure(&mut apps);
        let ends = apps.into_iter().map(|app| async move {
            let plan = app.plan;
            let result = ended(self.finish(lease, app).await).await;
            self.tidy_after(plan, &result).await;
            result
        });
        join_all(ends).await
    }

    /// Whoever was ready, or was stopped, when another failed is undone for that reason, not for one of its own.
    /// All apps plan again, or none does: one that succeeds later, alone, would have flipped alone.
    fn share_failure(&self, apps: &mut [Prepared<'_>]) {
        if apps.iter().all(|app| app.result.is_ok()) {
            return;
        }
        let failed = |app: &&Prepared<'_>| app.failure().is_some_and(|kind| kind != FailureKind::Cancelled);
        let moved = |app: &&Prepared<'_>| app.failure() == Some(FailureKind::WorldMoved);
        let cause = apps.iter().filter(failed).find(|app| !moved(app)).or(apps.iter().find(failed));
        let cause = cause.map(|app| (app.plan.app.clone(), moved(&app)));
        for app in apps.iter_mut() {
            match (&cause, &mut app.result) {
                (Some((by, moved)), result @ Ok(())) => *result = Err(because_of(by, *moved)),
                (None, result @ Ok(())) => *result = Err(StepFailure::cancelled()),
                (Some((by, moved)), Err(failure))
                    if failure.kind == FailureKind::Cancelled && !self.cancel.is_cancelled() =>
                {
                    *failure = because_of(by, *moved);
                }
                (Some((_, false)), Err(failure)) if failure.kind == FailureKind::WorldMoved => {
                    failure.kind = FailureKind::Failed;
                }
                _ => {}
            }
        }
    }

    /// The last look at what the flip brings in.
    async fn look(&self, lease: &P::Lease, prepared: &mut Prepared<'_>) {
        if let (Ok(()), Some(look)) = (&prepared.result, &prepared.plan.look) {
            prepared.result = self.step(Some(lease), &prepared.scope, look, &self.stop).await;
        }
    }

    /// Everything before the last flip.
    async fn prepare<'a>(&self, lease: &P::Lease, plan: &'a AppPlan, cancel: &CancellationToken) -> Prepared<'a> {
        let begun = Instant::now();
        let scope = Scope::of(plan);
        let planned = match plan.verdict {
            Verdict::Accessory(change) => Fact::AccessoryPlanned { change },
            verdict => Fact::AppPlanned {
                from: plan.from,
                to: plan.release.number,
                version: plan.release.version.clone(),
                replicas: plan.replicas,
                up_to_date: verdict == Verdict::UpToDate,
            },
        };
        self.emit(Some(&plan.app), planned);
        for warning in &plan.warnings {
            self.emit(Some(&plan.app), Fact::Warned { message: warning.clone() });
        }
        let result = self.stages(Some(lease), &scope, &plan.before, cancel).await;
        Prepared { plan, scope, result, begun }
    }

    /// After the last flip: clean up, or take back.
    async fn finish(&self, lease: &P::Lease, prepared: Prepared<'_>) -> AppResult {
        let Prepared { plan, scope, result, begun } = prepared;
        let mut world_moved = false;
        let outcome = match result {
            // A healthy accessory is what a flip is for an app: from there the only way is forward.
            Ok(()) if plan.flip.is_some() || plan.changes_accessory() => {
                self.after_flip(Some(lease), &plan.after, &scope).await
            }
            Ok(()) => match self.stages(Some(lease), &scope, &plan.after, &self.stop).await {
                Ok(()) => Outcome::UpToDate,
                Err(failure) => {
                    world_moved = failure.kind == FailureKind::WorldMoved;
                    if failure.kind == FailureKind::Cancelled { Outcome::Cancelled } else { Outcome::RolledBack }
                }
            },
            Err(failure) if failure.kind == FailureKind::Unknown => Outcome::Stuck,
            Err(failure) if pauses(plan, &scope, &failure) => {
                self.unwind_batch(Some(lease), &scope).await;
                let error = "`failure_action: pause` keeps the batches that serve; the next deploy goes on".to_owned();
                self.emit(scope.app.as_ref(), Fact::LeftBehind { what: "the rest of the rollout".to_owned(), error });
                Outcome::CompletedWithLeftovers
            }
            Err(failure) => {
                world_moved = failure.kind == FailureKind::WorldMoved;
                match (self.unwind(Some(lease), &scope).await, failure.kind) {
                    (Unwound::Stuck, _) => Outcome::Stuck,
                    (Unwound::Disconnected, _) => Outcome::Disconnected,
                    (Unwound::AsBefore, FailureKind::Cancelled) => Outcome::Cancelled,
                    (Unwound::AsBefore, _) => Outcome::RolledBack,
                }
            }
        };
        AppResult {
            app: plan.app.clone(),
            from: plan.from,
            release: plan.release.clone(),
            replicas: plan.replicas,
            outcome,
            world_moved,
            took: begun.elapsed(),
            tally: scope.tally(),
        }
    }

    /// The only way is forward: a lane that fails leaves its rest for the next run and does not stop the others.
    ///
    /// A stage that fails ends the run of them: nothing is stopped unless the proxy has confirmed what it routes.
    pub(super) async fn after_flip(&self, lease: Option<&P::Lease>, stages: &[Stage], scope: &Scope) -> Outcome {
        let mut outcome = Outcome::Completed;
        for stage in stages {
            if outcome != Outcome::Completed {
                for planned in stage.lanes.iter().filter_map(|lane| lane.first()) {
                    let error = "an earlier step has failed".to_owned();
                    self.emit(scope.app.as_ref(), Fact::LeftBehind { what: planned.step.to_string(), error });
                }
                continue;
            }
            let lanes = stage.lanes.iter().map(|lane| async move {
                for planned in lane {
                    let result = self.step(lease, scope, planned, &self.stop).await;
                    let Err(failure) = result else { continue };
                    let fact = Fact::LeftBehind { what: planned.step.to_string(), error: failure.message.clone() };
                    self.emit(scope.app.as_ref(), fact);
                    return Err(failure);
                }
                Ok(())
            });
            for failure in join_all(lanes).await.into_iter().filter_map(Result::err) {
                let worse = match failure.kind {
                    FailureKind::Cancelled => Outcome::Cancelled,
                    FailureKind::WorldMoved | FailureKind::Unknown => Outcome::Stuck,
                    FailureKind::Failed | FailureKind::NotOurs | FailureKind::Disconnected => {
                        Outcome::CompletedWithLeftovers
                    }
                };
                outcome = outcome.max(worse);
            }
        }
        outcome
    }

    /// Stages one after the other; the first failure ends the run of them.
    pub(super) async fn stages(
        &self,
        lease: Option<&P::Lease>,
        scope: &Scope,
        stages: &[Stage],
        cancel: &CancellationToken,
    ) -> Result<(), StepFailure> {
        for stage in stages {
            // A failure in one lane ends the waits of the others, but no call: what they did stays known.
            let stop = cancel.child_token();
            let stop = &stop;
            let lanes = stage.lanes.iter().map(|lane| async move {
                for planned in lane {
                    let result = self.step(lease, scope, planned, stop).await;
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
    pub(super) async fn step(
        &self,
        lease: Option<&P::Lease>,
        scope: &Scope,
        planned: &Planned,
        cancel: &CancellationToken,
    ) -> Result<(), StepFailure> {
        if cancel.is_cancelled() {
            return Err(self.stopped(StepFailure::cancelled()));
        }
        let app = scope.app.as_ref();
        let step = &planned.step;
        // Held to the end of the step, and begun before it: what waits has not started.
        let _turn = self.turn(step, cancel).await.map_err(|failure| self.stopped(failure))?;
        let started = Fact::StepStarted {
            step: step.to_string(),
            kind: step.kind(),
            subject: step.subject().map(str::to_owned),
            because: planned.because.0.clone(),
        };
        self.emit(app, started);
        let begun = Instant::now();
        match Box::pin(self.perform(lease, scope, step, cancel)).await {
            Ok(()) => {
                scope.did(step.clone());
                self.emit(app, Fact::StepFinished { step: step.to_string(), took: begun.elapsed() });
                self.after_step(step);
                Ok(())
            }
            Err(failure) => {
                let failure = self.stopped(failure);
                // A call that failed may have got half-way, and undoing what never was is harmless. A flip is
                // different: it took effect or it did not, and `perform` has found out which.
                if failure.kind != FailureKind::NotOurs && !matches!(step, Step::Flip { .. }) {
                    scope.did(step.clone());
                }
                if failure.kind != FailureKind::Cancelled {
                    let StepFailure { message, hint, details, .. } = failure.clone();
                    self.emit(app, Fact::StepFailed { step: step.to_string(), error: message, hint, details });
                }
                Err(failure)
            }
        }
    }
}

fn changes_of(flip: &Planned) -> Vec<crate::plan::FlipChange> {
    match &flip.step {
        Step::Flip { changes } => changes.clone(),
        _ => Vec::new(),
    }
}
