//! All apps or none: one flip for all of them, and one reason for all when there is none.

use std::sync::Arc;

use futures_util::future::join_all;

use super::app_run::AppRun;
use super::executor::Executor;
use super::failure::{FailureKind, StepFailure};
use super::parts::Parts;
use super::run::Run;
use super::scope::Scope;
use crate::model::AppKey;
use crate::plan::Plan;
use crate::ports::{Engine, Proxy};

/// Prepares all apps and flips them in one call. The first failure stops the others' preparation: they would be undone
/// anyway.
pub(super) async fn flip_together<'a, E: Engine, P: Proxy>(
    run: &'a Run<E, P>,
    lease: &'a P::Lease,
    plan: &'a Plan,
    parts: &Arc<Parts>,
) -> Vec<AppRun<'a, E, P>> {
    let stop = run.stop().any().child_token();
    let runs = plan.apps.iter().map(|app| async {
        let app = AppRun::prepare(run, lease, app, parts, &stop).await;
        // All flip in one call, so what others depend on is ready when it is about to.
        parts.end(app.plan(), app.result());
        if app.result().is_err() {
            stop.cancel();
        }
        app
    });
    let mut apps = join_all(runs).await;
    if apps.iter().all(|app| app.result().is_ok()) {
        join_all(apps.iter_mut().map(AppRun::look)).await;
    }
    if let Some(flip) = plan.joint_flip().filter(|_| apps.iter().all(|app| app.result().is_ok())) {
        let scope = Scope::shared();
        let result = Executor::new(run, Some(lease), &scope).step(&flip, run.stop().any()).await;
        for app in apps.iter_mut().filter(|app| result.is_ok() || !app.plan().stays_when_ready()) {
            app.flipped(result.clone());
        }
    }
    share_failure(&mut apps, run.stop().by_user().is_cancelled());
    apps
}

/// Whoever was ready, or was stopped, when another failed is undone for that reason, not for one of its own.
/// All apps plan again, or none does: one that succeeds later, alone, would have flipped alone.
fn share_failure<E: Engine, P: Proxy>(apps: &mut [AppRun<'_, E, P>], is_cancelled: bool) {
    if apps.iter().all(|app| app.result().is_ok()) {
        return;
    }
    let failed = |app: &&AppRun<'_, E, P>| app.failure().is_some_and(|kind| kind != FailureKind::Cancelled);
    let moved = |app: &&AppRun<'_, E, P>| app.failure() == Some(FailureKind::StateChanged);
    let cause = apps.iter().filter(failed).find(|app| !moved(app)).or(apps.iter().find(failed));
    let cause = cause.map(|app| (app.plan().app.clone(), moved(&app)));
    let stays = |app: &AppRun<'_, E, P>| app.result().is_ok() && app.plan().stays_when_ready();
    for app in apps.iter_mut().filter(|app| !stays(app)) {
        let shared = match (&cause, app.result()) {
            (Some((by, moved)), Ok(())) => because_of(by, *moved),
            (None, Ok(())) => StepFailure::cancelled(),
            (Some((by, moved)), Err(failure)) if failure.kind == FailureKind::Cancelled && !is_cancelled => {
                because_of(by, *moved)
            }
            (Some((_, false)), Err(failure)) if failure.kind == FailureKind::StateChanged => {
                StepFailure { kind: FailureKind::Failed, ..failure.clone() }
            }
            _ => continue,
        };
        app.fail(shared);
    }
}

fn because_of(app: &AppKey, moved: bool) -> StepFailure {
    let kind = if moved { FailureKind::StateChanged } else { FailureKind::Failed };
    StepFailure::new(kind, format!("not flipped, because `{app}` failed and the deploy is atomic"))
}
