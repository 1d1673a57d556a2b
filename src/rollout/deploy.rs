//! The whole sentence: proxy, lease, observe, plan, execute.

use serde_json::Value;

use super::execute::AppResult;
use super::failure::{DeployError, FailureKind};
use super::history::{milliseconds, record_end};
use super::observe::Pulls;
use super::parts::Parts;
use super::preview::preview;
use super::proxy::{check_proxy, ready_proxy};
use super::request::DeployRequest;
use super::run::Run;
use super::share::{Shared, implied_changes, lease_request, plan_and_share};
use super::takeover::hand_over;
use crate::event::{Fact, Outcome};
use crate::model::{AccessoryChange, AppName};
use crate::plan::{AppPlan, Intent, Plan, SavedPlan};
use crate::ports::{Engine, Proxy};

/// How often a plan is made again when the state changes under it. Each time somebody else got something done, so a few
/// times are enough; more would hide a bug.
const ATTEMPTS: usize = 4;
/// Deploys the apps: each ends with an outcome of its own.
///
/// What it awaits is on the heap, here and in each step: as one state machine it is larger than a main thread's stack
/// where nothing is optimised.
///
/// # Errors
/// When nothing was done for any app: the reason is for all of them.
pub async fn deploy<E: Engine, P: Proxy>(
    run: &Run<E, P>,
    request: &DeployRequest<'_>,
) -> Result<Vec<AppResult>, DeployError> {
    tokio::select! {
        biased;
        never = run.say_when_cancelled() => match never {},
        results = Box::pin(deploy_all(run, request, None)) => results,
    }
}

/// Like [`deploy`], when that would do exactly what the saved plan says. The request asks for the saved plan's apps with
/// its options.
///
/// # Errors
/// Like [`deploy`]; and when the plan would be another one now: then nothing was touched.
pub async fn deploy_saved<E: Engine, P: Proxy>(
    run: &Run<E, P>,
    request: &DeployRequest<'_>,
    saved: &SavedPlan,
) -> Result<Vec<AppResult>, DeployError> {
    // Before the proxy is set up, and again under the lease: in between another run may come to its end.
    let project = &saved.with_subnet(request.project);
    let now = preview(run, &DeployRequest { project, ..request.clone() }, Pulls::Foreseen).await?;
    let what = saved.moved(&now, false);
    if !what.is_empty() {
        return Err(DeployError::Moved { what });
    }
    tokio::select! {
        biased;
        never = run.say_when_cancelled() => match never {},
        results = Box::pin(deploy_all(run, request, Some(saved))) => results,
    }
}

async fn deploy_all<E: Engine, P: Proxy>(
    run: &Run<E, P>,
    request: &DeployRequest<'_>,
    saved: Option<&SavedPlan>,
) -> Result<Vec<AppResult>, DeployError> {
    let wanted = lease_request(request, request.apps);
    if request.options.intent != Intent::Deploy {
        check_proxy(run, request).await?;
    }
    // Opening a channel to the proxy takes longer than all the rest of a run that has nothing to do, so both are opened
    // at once. Where there is no proxy yet, the first try fails and the second finds it.
    let (prepared, early) = tokio::join!(ready_proxy(run, request), run.proxy.acquire(&wanted));
    let begun = prepared?;
    let lease = match early {
        Ok(lease) => lease,
        Err(_) => run.acquire(&wanted, request.lock_wait).await?,
    };
    let results = run.under(&lease, Box::pin(attempts(run, request, saved, &lease))).await?;
    if begun {
        // The proxy that gives the lease is replaced when it gets its port.
        drop(lease);
        Box::pin(hand_over(run, request, &results)).await?;
    }
    Ok(results)
}

/// Plans and executes, again for those apps under which the state changed.
async fn attempts<E: Engine, P: Proxy>(
    run: &Run<E, P>,
    request: &DeployRequest<'_>,
    saved: Option<&SavedPlan>,
    lease: &P::Lease,
) -> Result<Vec<AppResult>, DeployError> {
    let mut results: Vec<AppResult> = Vec::new();
    let mut open = request.apps.to_vec();
    let mut again: Vec<AppResult> = Vec::new();
    for attempt in 1..=ATTEMPTS {
        let last = attempt == ATTEMPTS;
        let Shared { plan, lease: accessories, orphans } =
            match Box::pin(plan_and_share(run, request, saved, lease, &open)).await {
                Ok(shared) => shared,
                // Another run makes the same network right now: check again.
                Err(DeployError::Setup(failure))
                    if matches!(failure.kind, FailureKind::NotOurs | FailureKind::StateChanged) && !last =>
                {
                    continue;
                }
                Err(error) if results.is_empty() && again.is_empty() => return Err(error),
                // Some apps may have come to their end already, so this is the end of the open ones alone.
                Err(error) => {
                    run.emit(None, Fact::Warned { message: format!("not tried again: {error}") });
                    for result in std::mem::take(&mut again) {
                        report(run, request, &result).await;
                        results.push(result);
                    }
                    break;
                }
            };
        if attempt == 1 {
            for orphan in &orphans {
                run.emit(None, Fact::Warned { message: format!("{orphan}; {}", orphan.remedy()) });
            }
        }
        let plan_of = |result: &AppResult| plan.apps.iter().find(|part| part.app == result.app);
        let ended = |result: AppResult| async move {
            if plan_of(&result).is_some_and(AppPlan::is_only_looked_at) {
                if !is_bad(&result) {
                    return result;
                }
                run.emit(Some(&result.app), Fact::AccessoryPlanned { change: AccessoryChange::Leave });
            }
            // An attempt that will be made again has not ended for anyone who looks on.
            if last || !result.plan_again() {
                report(run, request, &result).await;
            }
            result
        };
        let parts = Parts::of(&plan);
        // Others may have the accessories as soon as nothing of them changes any more.
        let release = async {
            if let Some(own) = accessories {
                run.under(&own, parts.all_ended(implied_changes(&plan))).await;
            }
        };
        let (done, ()) = tokio::join!(Box::pin(run.execute(lease, &plan, &parts, ended)), release);
        let (moved, ended) = apart(&plan, done, last);
        for result in ended {
            // Those that nothing would help have been told as they ended.
            if result.plan_again() && !last {
                report(run, request, &result).await;
            }
            // Of an accessory that nobody asked for only a failure is a result.
            if plan_of(&result).is_none_or(|part| !part.implied) || is_bad(&result) {
                results.push(result);
            }
        }
        open = moved.iter().map(|result| result.app.app.clone()).collect();
        again = moved;
        if open.is_empty() {
            break;
        }
    }
    Ok(results)
}

/// The results of parts that are planned again, and those that stand. An accessory that was not asked for is planned
/// again with those who depend on it; and whoever depends on one that has failed for good has failed too.
fn apart(plan: &Plan, done: Vec<AppResult>, last: bool) -> (Vec<AppResult>, Vec<AppResult>) {
    let mut moved: Vec<AppResult> = Vec::new();
    let mut ended: Vec<AppResult> = Vec::new();
    // In the plan's order, each after those it depends on.
    for result in done {
        let part = plan.apps.iter().find(|part| part.app == result.app);
        let for_good = |name: &AppName| ended.iter().any(|other| other.app.app == *name && is_bad(other));
        let is_lost = part.is_some_and(|part| part.awaited().any(for_good));
        if last || !result.plan_again() || is_lost { ended.push(result) } else { moved.push(result) }
    }
    let implied = |result: &AppResult| plan.apps.iter().any(|part| part.implied && part.app == result.app);
    if moved.iter().all(implied) {
        ended.append(&mut moved);
    }
    moved.retain(|result| !implied(result));
    (moved, ended)
}

/// What is told also of an accessory that nobody asked for.
fn is_bad(result: &AppResult) -> bool {
    !matches!(result.outcome, Outcome::UpToDate | Outcome::Completed | Outcome::Cancelled)
}

/// The end of one app's run: to the reporters, and into the history on the host.
async fn report<E: Engine, P: Proxy>(run: &Run<E, P>, request: &DeployRequest<'_>, result: &AppResult) {
    // What is reached as `localhost` here is reached by the host's name from elsewhere; without an answer as ever.
    let far = run.engine.info().await.ok().filter(|info| !info.local).and_then(|info| info.host);
    let urls = request.project.urls(&result.app.app, far.as_deref().unwrap_or("localhost"));
    let fact = Fact::AppFinished { outcome: result.outcome, urls, took: result.took };
    run.emit(Some(&result.app), fact);
    if result.outcome == Outcome::UpToDate {
        return;
    }
    let mut details = request.operator.details(request.options.intent.purpose());
    // An accessory has no releases; its records have the number 0.
    if let Some(change) = result.accessory {
        details.insert("accessory".to_owned(), serde_json::to_value(change).unwrap_or(Value::Null));
    } else {
        details.insert("version".to_owned(), result.release.version.clone().into());
        details.insert("replicas".to_owned(), result.replicas.into());
        details.insert("from".to_owned(), result.from.map(|release| release.0).into());
        details.insert("identity".to_owned(), result.release.identity.clone().into());
    }
    details.insert("flipped_after_ms".to_owned(), result.tally.flipped_after.map(milliseconds).into());
    record_end(run, result, "finished", details).await;
}
