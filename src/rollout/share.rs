//! What comes before the parts of a plan: the plan itself, what they share, and a second lease where it changes accessories
//! that nobody has named.

use std::time::Duration;

use tokio::time::Instant;

use super::executor::Executor;
use super::failure::{DeployError, StepFailure};
use super::observe::{observe_for, services_behind};
use super::request::DeployRequest;
use super::run::Run;
use super::scope::Scope;
use crate::event::Fact;
use crate::model::{AppKey, AppName, Orphan};
use crate::plan::{AppPlan, Plan, RUN_ONCE_LIMIT, SavedPlan, Stage, facts, orphans_of_run, plan_deploy};
use crate::ports::{Engine, LeaseRequest, Proxy};

/// Whoever replaces a database is waited for as long as the database itself would be.
const ACCESSORY_PATIENCE: Duration = Duration::from_secs(120);

/// A plan, and the lease on the accessories that it changes although nobody has asked for them.
pub(super) struct Shared<L> {
    pub plan: Plan,
    pub lease: Option<L>,
    pub orphans: Vec<Orphan>,
}

/// Plans, and makes what the parts share. A plan that makes, starts or runs an accessory is made again under a lease on it:
/// what looks stopped may be in the middle of its replacement, and a second one would write to the same volume.
pub(super) async fn plan_and_share<E: Engine, P: Proxy>(
    run: &Run<E, P>,
    request: &DeployRequest<'_>,
    saved: Option<&SavedPlan>,
    lease: &P::Lease,
    apps: &[AppName],
) -> Result<Shared<P::Lease>, DeployError> {
    let (plan, orphans) = plan_now(run, request, saved, apps).await?;
    let behind = services_behind(request.project, apps).into_iter().map(|service| &service.name);
    // The lease of the run has those that were asked for by name.
    let behind: Vec<AppName> = behind.filter(|name| !request.apps.contains(name)).cloned().collect();
    if behind.is_empty() || implied_changes(&plan).next().is_none() {
        share(run, lease, &plan).await?;
        return Ok(Shared { plan, lease: None, orphans });
    }
    let own = run.leases().acquire(&lease_request(request, &behind), patience(request, &behind)).await?;
    let again = async {
        let (plan, _) = plan_now(run, request, saved, apps).await?;
        share(run, lease, &plan).await?;
        Ok::<_, DeployError>(plan)
    };
    let plan = run.leases().under(&own, again).await?;
    Ok(Shared { plan, lease: Some(own), orphans })
}

/// The accessories that nobody has asked for and of which something else will run.
pub(super) fn implied_changes(plan: &Plan) -> impl Iterator<Item = &AppKey> {
    plan.apps.iter().filter(|part| part.implied && part.changes_accessory()).map(|part| &part.app)
}

/// Another run may be at what runs once.
fn patience(request: &DeployRequest<'_>, behind: &[AppName]) -> Duration {
    let runs_once = behind.iter().any(|name| request.project.is_one_shot(name));
    request.lock_wait.max(if runs_once { RUN_ONCE_LIMIT } else { ACCESSORY_PATIENCE })
}

async fn plan_now<E: Engine, P: Proxy>(
    run: &Run<E, P>,
    request: &DeployRequest<'_>,
    saved: Option<&SavedPlan>,
    apps: &[AppName],
) -> Result<(Plan, Vec<Orphan>), DeployError> {
    let begun = Instant::now();
    // Nothing is to be undone yet, so a cancellation need not wait for an image that is being pulled.
    let observed = tokio::select! {
        biased;
        observed = observe_for(run, request.project, apps, &request.options) => observed?,
        () = run.stop().by_user().cancelled() => return Err(DeployError::Setup(StepFailure::cancelled())),
    };
    let plan = plan_deploy(request.project, apps, &observed, &request.planning())?;
    let orphans = orphans_of_run(request.project, apps, &observed.engine, &observed.proxy);
    if let Some(saved) = saved {
        let observed = saved.with_network(&request.project.proxy, observed);
        let plan = plan_deploy(request.project, apps, &observed, &request.planning())?;
        let now = plan.with_facts(facts(request.project, apps, &observed));
        let what = saved.changes(&now, true);
        if !what.is_empty() {
            return Err(DeployError::Moved { what });
        }
    }
    run.events().emit(None, Fact::PlanMade { took: begun.elapsed() });
    Ok((plan, orphans))
}

async fn share<E: Engine, P: Proxy>(run: &Run<E, P>, lease: &P::Lease, plan: &Plan) -> Result<(), DeployError> {
    let builds = |stages: &[Stage]| stages.iter().flat_map(Stage::steps).any(|planned| planned.step.is_build());
    if builds(&plan.shared) || plan.apps.iter().flat_map(AppPlan::steps).any(|planned| planned.step.is_build()) {
        run.check_disk().await?;
    }
    let scope = Scope::shared_by(&plan.shared);
    let executor = Executor::new(run, Some(lease), &scope);
    executor.stages(&plan.shared, run.stop().any()).await.map_err(DeployError::Setup)
}

/// A lease on services of the project, in the words that tell others who has it.
pub(super) fn lease_request(request: &DeployRequest<'_>, names: &[AppName]) -> LeaseRequest {
    let replaced = names.iter().filter_map(|name| request.project.apps.get(name)?.replaces.clone());
    // What an app replaces leaves in its flip, so it is held too.
    let apps = names.iter().map(|app| request.project.key(app)).chain(replaced).collect();
    request.operator.lease(apps, request.options.intent.purpose())
}
