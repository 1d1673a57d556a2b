//! Runs a plan: apps beside each other, each with an outcome of its own; or, when atomic, all or none.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use serde::Serialize;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::failure::{FailureKind, StepFailure};
use super::parts::{Parts, moved};
use super::run::{Run, Scope, Tally};
use super::undo::Undone;
use crate::event::{Fact, Outcome};
use crate::model::{AccessoryChange, AppKey, FailureAction, Release, ReleaseNumber};
use crate::plan::{AppPlan, Plan, Verdict};
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
    /// Why it did not come to its end.
    pub reason: Option<String>,
    /// It is no app, and this is what became of it.
    pub accessory: Option<AccessoryChange>,
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
pub(super) struct Prepared<'a> {
    pub(super) plan: &'a AppPlan,
    scope: Scope,
    pub(super) result: Result<(), StepFailure>,
    begun: Instant,
}

impl Prepared<'_> {
    /// Called after the last flip, for the history.
    pub(super) fn note_flip(&self) {
        if self.result.is_ok() && self.plan.flip.is_some() {
            self.scope.flipped_after(self.begun.elapsed());
        }
    }

    pub(super) fn failure(&self) -> Option<FailureKind> {
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

impl<E: Engine, P: Proxy> Run<E, P> {
    /// Runs every app of the plan to its end, and calls `ended` as soon as each has come to it.
    pub(super) async fn execute<F: Future<Output = AppResult>>(
        &self,
        lease: &P::Lease,
        plan: &Plan,
        parts: &Arc<Parts>,
        ended: impl Fn(AppResult) -> F,
    ) -> Vec<AppResult> {
        if plan.atomic {
            self.execute_atomic(lease, plan, parts, ended).await
        } else {
            self.execute_each(lease, plan, parts, ended).await
        }
    }

    async fn execute_each<F: Future<Output = AppResult>>(
        &self,
        lease: &P::Lease,
        plan: &Plan,
        parts: &Arc<Parts>,
        ended: impl Fn(AppResult) -> F,
    ) -> Vec<AppResult> {
        let ended = &ended;
        let runs = plan.apps.iter().map(|app| async move {
            let mut prepared = self.prepare(lease, app, parts, &self.stop).await;
            self.look(lease, &mut prepared).await;
            if let (Ok(()), Some(flip)) = (&prepared.result, &app.flip) {
                prepared.result = self.step(Some(lease), &prepared.scope, flip, &self.stop).await;
                prepared.note_flip();
            }
            // Whoever depends on it need not wait until what it replaces is gone.
            parts.end(app, &prepared.result);
            let result = ended(self.finish(lease, prepared).await).await;
            self.cleanup_after(app, &result).await;
            result
        });
        join_all(runs).await
    }

    /// The last look at what the flip brings in.
    pub(super) async fn look(&self, lease: &P::Lease, prepared: &mut Prepared<'_>) {
        if let (Ok(()), Some(look)) = (&prepared.result, &prepared.plan.look) {
            prepared.result = self.step(Some(lease), &prepared.scope, look, &self.stop).await;
        }
    }

    /// Everything before the last flip.
    pub(super) async fn prepare<'a>(
        &self,
        lease: &P::Lease,
        plan: &'a AppPlan,
        parts: &Arc<Parts>,
        cancel: &CancellationToken,
    ) -> Prepared<'a> {
        let begun = Instant::now();
        let scope = Scope::of(plan, parts);
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
        if !plan.is_only_looked_at() {
            self.emit(Some(&plan.app), planned);
        }
        for warning in &plan.warnings {
            self.emit(Some(&plan.app), Fact::Warned { message: warning.clone() });
        }
        let result = self.stages(Some(lease), &scope, &plan.before, cancel).await;
        Prepared { plan, scope, result, begun }
    }

    /// After the last flip: clean up, or undo.
    pub(super) async fn finish(&self, lease: &P::Lease, prepared: Prepared<'_>) -> AppResult {
        let Prepared { plan, scope, result, begun } = prepared;
        let mut world_moved = false;
        let mut reason = result.as_ref().err().map(ToString::to_string);
        let outcome = match result {
            // A healthy accessory is what a flip is for an app: from there the only way is forward.
            Ok(()) if plan.flip.is_some() || plan.changes_accessory() || plan.changes_certificate() => {
                let outcome = self.after_flip(Some(lease), &plan.after, &scope).await;
                let is_unstable = outcome <= Outcome::CompletedWithLeftovers && self.look_back(plan, begun).await;
                if is_unstable { Outcome::Unstable } else { outcome }
            }
            Ok(()) => match self.stages(Some(lease), &scope, &plan.after, &self.stop).await {
                Ok(()) => Outcome::UpToDate,
                Err(failure) => {
                    world_moved = failure.kind == FailureKind::StateChanged;
                    reason = Some(failure.to_string());
                    if failure.kind == FailureKind::Cancelled { Outcome::Cancelled } else { Outcome::RolledBack }
                }
            },
            Err(failure) if failure.kind == FailureKind::Unknown => Outcome::Stuck,
            Err(failure) if pauses(plan, &scope, &failure) => {
                self.undo_batch(Some(lease), &scope).await;
                let error = "`failure_action: pause` keeps the batches that serve; the next deploy resumes".to_owned();
                self.emit(
                    scope.app.as_ref(),
                    Fact::LeftBehind { id: None, what: "the rest of the rollout".to_owned(), error },
                );
                Outcome::CompletedWithLeftovers
            }
            Err(failure) => {
                world_moved = moved(plan, &failure);
                match (self.undo(Some(lease), &scope).await, failure.kind) {
                    (Undone::Stuck, _) => Outcome::Stuck,
                    (Undone::Disconnected, _) => Outcome::Disconnected,
                    (Undone::AsBefore, FailureKind::Cancelled) => Outcome::Cancelled,
                    (Undone::AsBefore, _) => Outcome::RolledBack,
                }
            }
        };
        AppResult {
            app: plan.app.clone(),
            from: plan.from,
            release: plan.release.clone(),
            replicas: plan.replicas,
            outcome,
            reason,
            accessory: plan.verdict.accessory(),
            world_moved,
            took: begun.elapsed(),
            tally: scope.tally(),
        }
    }
}
