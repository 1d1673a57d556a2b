//! One app's run: prepared, looked at, flipped, and finished or undone.

use std::sync::Arc;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::executor::Executor;
use super::failure::{FailureKind, StepFailure};
use super::look_back::look_back;
use super::parts::{Parts, moved};
use super::result::AppResult;
use super::run::Run;
use super::scope::Scope;
use super::undo::{Undo, Undone};
use crate::event::{Fact, Outcome};
use crate::model::{ContainerState, FailureAction, Peer};
use crate::plan::{AppPlan, Planned, Step, Verdict};
use crate::ports::{ContainerStatus, Engine, Proxy};

/// An app between its preparation and its end.
pub(super) struct AppRun<'a, E, P: Proxy> {
    run: &'a Run<E, P>,
    lease: &'a P::Lease,
    plan: &'a AppPlan,
    scope: Scope,
    result: Result<(), StepFailure>,
    begun: Instant,
}

impl<'a, E: Engine, P: Proxy> AppRun<'a, E, P> {
    /// Everything before the last flip.
    pub(super) async fn prepare(
        run: &'a Run<E, P>,
        lease: &'a P::Lease,
        plan: &'a AppPlan,
        parts: &Arc<Parts>,
        cancel: &CancellationToken,
    ) -> Self {
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
            run.events().emit(Some(&plan.app), planned);
        }
        for warning in &plan.warnings {
            run.events().warn(Some(&plan.app), warning.as_str());
        }
        let result = Executor::new(run, Some(lease), &scope).stages(&plan.before, cancel).await;
        Self { run, lease, plan, scope, result, begun }
    }

    pub(super) fn plan(&self) -> &'a AppPlan {
        self.plan
    }

    pub(super) fn result(&self) -> &Result<(), StepFailure> {
        &self.result
    }

    pub(super) fn failure(&self) -> Option<FailureKind> {
        self.result.as_ref().err().map(|failure| failure.kind)
    }

    /// For a reason that is another app's.
    pub(super) fn fail(&mut self, failure: StepFailure) {
        self.result = Err(failure);
    }

    /// The last look at what the flip brings in.
    pub(super) async fn look(&mut self) {
        if let (Ok(()), Some(look)) = (&self.result, &self.plan.look) {
            self.result = self.step(look).await;
        }
    }

    /// Its own last flip.
    pub(super) async fn flip(&mut self) {
        if let (Ok(()), Some(flip)) = (&self.result, &self.plan.flip) {
            let result = self.step(flip).await;
            self.flipped(result);
        }
    }

    /// Takes in how its last flip ended, which may have been one for several apps.
    pub(super) fn flipped(&mut self, result: Result<(), StepFailure>) {
        if result.is_ok() && self.plan.flip.is_some() {
            self.scope.flipped_after(self.begun.elapsed());
        }
        self.result = result;
    }

    async fn step(&self, planned: &Planned) -> Result<(), StepFailure> {
        Executor::new(self.run, Some(self.lease), &self.scope).step(planned, self.run.stop().any()).await
    }

    /// After the last flip: clean up, or undo.
    pub(super) async fn finish(self) -> AppResult {
        let Self { run, lease, plan, scope, result, begun } = self;
        let (executor, undo) = (Executor::new(run, Some(lease), &scope), Undo::new(run, Some(lease), &scope));
        let mut world_moved = false;
        let mut reason = result.as_ref().err().map(ToString::to_string);
        let stays = why_batches_stay(run, plan, &scope, &result).await;
        let outcome = match (result, stays) {
            // A healthy accessory is what a flip is for an app: from there the only way is forward.
            (Ok(()), _) if plan.flip.is_some() || plan.changes_accessory() || plan.changes_certificate() => {
                let outcome = executor.after_flip(&plan.after).await;
                let is_unstable = outcome <= Outcome::CompletedWithLeftovers && look_back(run, plan, begun).await;
                if is_unstable { Outcome::Unstable } else { outcome }
            }
            (Ok(()), _) => match executor.stages(&plan.after, run.stop().any()).await {
                Ok(()) => Outcome::UpToDate,
                Err(failure) => {
                    world_moved = failure.kind == FailureKind::StateChanged;
                    reason = Some(failure.to_string());
                    if failure.kind == FailureKind::Cancelled { Outcome::Cancelled } else { Outcome::RolledBack }
                }
            },
            (Err(failure), _) if failure.kind == FailureKind::Unknown => Outcome::Stuck,
            (Err(failure), Some(error)) => {
                undo.batch().await;
                let what = "the rest of the rollout".to_owned();
                run.events().emit(scope.app(), Fact::LeftBehind { id: None, what, error });
                match failure.kind {
                    FailureKind::Cancelled => Outcome::Cancelled,
                    _ => Outcome::CompletedWithLeftovers,
                }
            }
            (Err(failure), None) => {
                world_moved = moved(plan, &failure);
                match (undo.all().await, failure.kind) {
                    (Undone::Stuck, _) => Outcome::Stuck,
                    (Undone::Disconnected, _) => Outcome::Disconnected,
                    (Undone::AsBefore, FailureKind::Cancelled) => Outcome::Cancelled,
                    (Undone::AsBefore, FailureKind::Aborted) => Outcome::Aborted,
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

/// Why the batches that have flipped stay, if they do. Old and new serve beside each other then, which a single writer cannot.
async fn why_batches_stay<E: Engine, P: Proxy>(
    run: &Run<E, P>,
    plan: &AppPlan,
    scope: &Scope,
    result: &Result<(), StepFailure>,
) -> Option<String> {
    let failure = result.as_ref().err()?;
    // A canary is no batch: its weights end with the run, by the proxy itself if need be.
    let is_canary = plan.steps().any(|planned| matches!(planned.step, Step::WatchCanary(_)));
    if scope.last_flip().is_none() || scope.has_one_writer() || is_canary {
        return None;
    }
    if plan.on_failure == FailureAction::Pause && failure.kind == FailureKind::Failed {
        return Some("`failure_action: pause` keeps the batches that serve; the next deploy resumes".to_owned());
    }
    // A flip back to replicas that are gone would leave nobody to answer.
    let before = served_before(plan)?;
    for peer in before {
        if can_serve_again(run, scope, peer).await {
            return None;
        }
    }
    let names: Vec<String> = before.iter().map(|peer| format!("`{}`", peer.id)).collect();
    let names = names.join(", ");
    Some(format!("what served before is gone ({names}), so the batches that serve stay; the next deploy resumes"))
}

/// The replicas that an undo of all flips would bring back. `None` where there were none.
fn served_before(plan: &AppPlan) -> Option<&[Peer]> {
    let first = plan.steps().find_map(|planned| match &planned.step {
        Step::Flip { changes } => changes.iter().find(|change| change.app == plan.app),
        _ => None,
    })?;
    first.before.as_ref().map(|record| record.peers.as_slice()).filter(|peers| !peers.is_empty())
}

/// Whether an undo can bring the replica back: it runs, or is started again. One that the engine says nothing about
/// counts as running.
async fn can_serve_again<E: Engine, P: Proxy>(run: &Run<E, P>, scope: &Scope, peer: &Peer) -> bool {
    match run.engine().container_status(&peer.id).await {
        Ok(None) => false,
        Ok(Some(ContainerStatus { state: ContainerState::Created | ContainerState::Exited { .. }, .. })) => {
            scope.restarts(&peer.id)
        }
        _ => true,
    }
}
