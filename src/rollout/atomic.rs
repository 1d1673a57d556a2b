//! All apps or none: one flip for all of them, and one reason for all when there is none.

use std::sync::Arc;

use futures_util::future::join_all;

use super::execute::{AppResult, Prepared};
use super::failure::{FailureKind, StepFailure};
use super::parts::Parts;
use super::run::{Run, Scope};
use crate::model::AppKey;
use crate::plan::Plan;
use crate::ports::{Engine, Proxy};

impl<E: Engine, P: Proxy> Run<E, P> {
    /// The first failure stops the others' preparation: they would be undone anyway.
    pub(super) async fn execute_atomic<F: Future<Output = AppResult>>(
        &self,
        lease: &P::Lease,
        plan: &Plan,
        parts: &Arc<Parts>,
        ended: impl Fn(AppResult) -> F,
    ) -> Vec<AppResult> {
        let ended = &ended;
        let stop = self.stop.child_token();
        let runs = plan.apps.iter().map(|app| async {
            let prepared = self.prepare(lease, app, parts, &stop).await;
            // All flip in one call, so what others depend on is ready when it is about to.
            parts.end(app, &prepared.result);
            if prepared.result.is_err() {
                stop.cancel();
            }
            prepared
        });
        let mut apps = join_all(runs).await;
        if apps.iter().all(|app| app.result.is_ok()) {
            join_all(apps.iter_mut().map(|app| self.look(lease, app))).await;
        }
        if let Some(flip) = plan.joint_flip().filter(|_| apps.iter().all(|app| app.result.is_ok())) {
            let result = self.step(Some(lease), &Scope::shared(), &flip, &self.stop).await;
            for app in apps.iter_mut().filter(|app| result.is_ok() || !app.plan.stays_when_ready()) {
                app.result.clone_from(&result);
                app.note_flip();
            }
        }
        self.share_failure(&mut apps);
        let ends = apps.into_iter().map(|app| async move {
            let plan = app.plan;
            let result = ended(self.finish(lease, app).await).await;
            self.cleanup_after(plan, &result).await;
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
        let moved = |app: &&Prepared<'_>| app.failure() == Some(FailureKind::StateChanged);
        let cause = apps.iter().filter(failed).find(|app| !moved(app)).or(apps.iter().find(failed));
        let cause = cause.map(|app| (app.plan.app.clone(), moved(&app)));
        let stays = |app: &Prepared<'_>| app.result.is_ok() && app.plan.stays_when_ready();
        for app in apps.iter_mut().filter(|app| !stays(app)) {
            match (&cause, &mut app.result) {
                (Some((by, moved)), result @ Ok(())) => *result = Err(because_of(by, *moved)),
                (None, result @ Ok(())) => *result = Err(StepFailure::cancelled()),
                (Some((by, moved)), Err(failure))
                    if failure.kind == FailureKind::Cancelled && !self.cancel.is_cancelled() =>
                {
                    *failure = because_of(by, *moved);
                }
                (Some((_, false)), Err(failure)) if failure.kind == FailureKind::StateChanged => {
                    failure.kind = FailureKind::Failed;
                }
                _ => {}
            }
        }
    }
}

fn because_of(app: &AppKey, moved: bool) -> StepFailure {
    let kind = if moved { FailureKind::StateChanged } else { FailureKind::Failed };
    StepFailure::new(kind, format!("not flipped, because `{app}` failed and the deploy is atomic"))
}
