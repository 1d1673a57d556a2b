//! The whole deploy: the proxy and the lease; then observe, plan and execute until every app is at its end.

use super::attempts::Attempts;
use super::execute::execute;
use super::failure::DeployError;
use super::observe::Pulls;
use super::parts::Parts;
use super::preview::preview;
use super::proxy::{check_proxy, ready_proxy};
use super::request::DeployRequest;
use super::result::AppResult;
use super::run::Run;
use super::share::{Shared, implied_changes, lease_request, plan_and_share};
use super::takeover::hand_over;
use super::upgrade::upgrade_before_deploy;
use crate::plan::{Intent, SavedPlan};
use crate::ports::{Engine, Proxy};

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
    run.stop().tell_during(run.events(), Box::pin(deploy_all(run, request, None))).await
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
    let what = saved.changes(&now, false);
    if !what.is_empty() {
        return Err(DeployError::Moved { what });
    }
    run.stop().tell_during(run.events(), Box::pin(deploy_all(run, request, Some(saved)))).await
}

async fn deploy_all<E: Engine, P: Proxy>(
    run: &Run<E, P>,
    request: &DeployRequest<'_>,
    saved: Option<&SavedPlan>,
) -> Result<Vec<AppResult>, DeployError> {
    let (lease, takes_over) = ready(run, request).await?;
    let work = async {
        let mut attempts = Attempts::new(run, request);
        while let Some(apps) = attempts.next() {
            match Box::pin(plan_and_share(run, request, saved, &lease, &apps)).await {
                Ok(shared) => carry_out(run, &lease, shared, &mut attempts).await,
                Err(error) => attempts.not_planned(error).await?,
            }
        }
        Ok::<_, DeployError>(attempts.into_results())
    };
    let results = run.leases().under(&lease, Box::pin(work)).await?;
    if takes_over {
        // The proxy that gives the lease is replaced when it gets its port.
        drop(lease);
        Box::pin(hand_over(run, request, &results)).await?;
    }
    Ok(results)
}

/// The proxy, and the lease on the apps; and whether the proxy is to take its port over from docker compose at the end.
async fn ready<E: Engine, P: Proxy>(
    run: &Run<E, P>,
    request: &DeployRequest<'_>,
) -> Result<(P::Lease, bool), DeployError> {
    let wanted = lease_request(request, request.apps);
    if request.options.intent != Intent::Deploy {
        check_proxy(run, request).await?;
    }
    // Before the lease, which a hand-over respects.
    upgrade_before_deploy(run, request).await?;
    // Opening a channel to the proxy takes longer than all the rest of a run that has nothing to do, so both are opened
    // at once. Where there is no proxy yet, the first try fails and the second finds it.
    let (prepared, early) = tokio::join!(ready_proxy(run, request), run.proxy().acquire(&wanted));
    let takes_over = prepared?;
    let lease = match early {
        Ok(lease) => lease,
        Err(_) => run.leases().acquire(&wanted, request.lock_wait).await?,
    };
    Ok((lease, takes_over))
}

/// Executes one attempt's plan.
async fn carry_out<E: Engine, P: Proxy>(
    run: &Run<E, P>,
    lease: &P::Lease,
    shared: Shared<P::Lease>,
    attempts: &mut Attempts<'_, E, P>,
) {
    let Shared { plan, lease: accessories, orphans } = shared;
    attempts.tell_orphans(&orphans);
    let parts = Parts::of(&plan);
    // Others may have the accessories as soon as nothing of them changes any more.
    let release = async {
        if let Some(own) = accessories {
            run.leases().under(&own, parts.all_ended(implied_changes(&plan))).await;
        }
    };
    let execution = execute(run, lease, &plan, &parts, |result| attempts.ended(&plan, result));
    let (done, ()) = tokio::join!(Box::pin(execution), release);
    attempts.absorb(&plan, done).await;
}
