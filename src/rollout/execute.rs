//! Runs a plan: apps beside each other, each with an outcome of its own; or, when atomic, all or none.

use std::sync::Arc;

use futures_util::future::join_all;

use super::app_run::AppRun;
use super::atomic::flip_together;
use super::cleanup::prune_after;
use super::parts::Parts;
use super::result::AppResult;
use super::run::Run;
use crate::plan::Plan;
use crate::ports::{Engine, Proxy};

/// Runs every app of the plan to its end, and calls `ended` as soon as each has come to it.
pub(super) async fn execute<E: Engine, P: Proxy, F: Future<Output = AppResult>>(
    run: &Run<E, P>,
    lease: &P::Lease,
    plan: &Plan,
    parts: &Arc<Parts>,
    ended: impl Fn(AppResult) -> F,
) -> Vec<AppResult> {
    let ended = &ended;
    if plan.atomic {
        let apps = flip_together(run, lease, plan, parts).await;
        return join_all(apps.into_iter().map(|app| end(run, app, ended))).await;
    }
    let runs = plan.apps.iter().map(|app| async move {
        let mut app = AppRun::prepare(run, lease, app, parts, run.stop().any()).await;
        app.look().await;
        app.flip().await;
        // Whoever depends on it need not wait until what it replaces is gone.
        parts.end(app.plan(), app.result());
        end(run, app, ended).await
    });
    join_all(runs).await
}

async fn end<E: Engine, P: Proxy, F: Future<Output = AppResult>>(
    run: &Run<E, P>,
    app: AppRun<'_, E, P>,
    ended: &impl Fn(AppResult) -> F,
) -> AppResult {
    let plan = app.plan();
    let result = ended(app.finish().await).await;
    prune_after(run, plan, &result).await;
    result
}
