//! From the desired and the observed state to the plan of a deploy. The same way serves a first deploy, a redeploy, a change of scale
//! and the run after a crash: what serves and what is left over decide which steps there are.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use super::accessories::{networks_and_volumes, shared_stages};
use super::accessory::plan_accessory;
use super::app::plan_app;
use super::as_it_is::plan_as_it_is;
use super::ask::{DeployOptions, Intent};
use super::certificates::with_certificates;
use super::certificates_container::certificates_container;
use super::clash::check_names;
use super::desired::DesiredApp;
use super::hosts::with_hosts;
use super::mounted::check_mounts;
use super::order::{Part, parts, wait_for};
use super::plan::{AppPlan, Plan, Verdict};
use super::proxy::address_pool;
use super::prune::prune_after;
use super::refusal::PlanRefused;
use super::rollback::targets;
use super::routes::RoutesAfter;
use super::takeover::take_over;
use crate::model::{AppName, ObservedState, Project};

/// Plans a deploy of `names`, which are apps and accessories of the project.
///
/// # Errors
/// With a reason when the request cannot be planned. Nothing has been touched then.
pub fn plan_deploy(
    project: &Project,
    names: &[AppName],
    observed: &ObservedState,
    options: &DeployOptions,
) -> Result<Plan, PlanRefused> {
    check_names(project, names, observed)?;
    let pool = address_pool(&project.proxy, &observed.engine)?;
    let project = &*with_hosts(project, pool);
    if options.intent == Intent::Deploy {
        check_mounts(project, names, observed)?;
    }
    let (mut shared, parts) = match options.intent {
        Intent::Deploy => (shared_stages(project, observed)?, parts(project, names)?),
        // A kept release runs with the accessories that are there: their images may not be to be had right now.
        Intent::Scale(_) | Intent::Rollback { .. } | Intent::Restart | Intent::Stop | Intent::Start => {
            (networks_and_volumes(project, observed), alone(names))
        }
    };
    if options.intent == Intent::Deploy {
        shared.extend(certificates_container(project, names, &observed.engine, &options.proxy_image));
    }
    let targets = match &options.intent {
        Intent::Rollback { to, .. } => targets(project, names, observed, to)?,
        _ => BTreeMap::new(),
    };
    let apps = names.iter().filter_map(|name| project.apps.get(name));
    let goals = apps.map(|app| DesiredApp::of(project, app, observed, options, &targets));
    let goals = goals.collect::<Result<Vec<_>, _>>()?;
    let mut routes = RoutesAfter::new(project, observed, names);
    if options.atomic {
        routes.flip_together(goals.iter().map(|goal| (&goal.app.service.name, goal.app.routes.as_slice())));
    }
    let mut taken = taken_addresses(observed);
    let mut plans: Vec<AppPlan> = Vec::new();
    for part in &parts {
        let wait = wait_for(part, &plans);
        if let (Some(accessory), Some(change)) = (project.accessories.get(&part.name), options.intent.of_accessories())
        {
            plans.push(plan_as_it_is(project, &accessory.service, part, change, observed)?);
            continue;
        }
        if let Some(accessory) = project.accessories.get(&part.name) {
            plans.push(plan_accessory(project, accessory, part, wait, observed, options)?);
            continue;
        }
        let Some(goal) = goals.iter().find(|goal| goal.app.service.name == part.name) else { continue };
        routes.check(&part.name, &goal.app.routes)?;
        let mut plan = plan_app(project, goal, observed, options, pool, &mut taken, wait)?;
        if matches!(options.intent, Intent::Deploy | Intent::Rollback { .. }) {
            plan = with_certificates(plan, project, &goal.app, observed)?;
        }
        take_over(&mut plan, project, &goal.app, observed);
        if let (Some(keep), Verdict::Deploy, Intent::Deploy) = (options.keep, plan.verdict, &options.intent) {
            plan.prune = prune_after(&plan, &observed.engine, &observed.proxy, keep);
        }
        plans.push(plan);
    }
    tell_in_named(&mut plans);
    // An accessory that nobody asked for and that has nothing to do is no news.
    plans.retain(|plan| !plan.implied || plan.steps().next().is_some());
    Ok(Plan { atomic: options.atomic, shared, apps: plans }.numbered())
}

/// Without an order among them.
fn alone(names: &[AppName]) -> Vec<Part> {
    let part = |name: &AppName| Part { name: name.clone(), named: true, condition: None, after: Vec::new() };
    names.iter().map(part).collect()
}

/// What there is to say of accessories that nobody asked for is said by the first part that somebody did ask for.
fn tell_in_named(plans: &mut [AppPlan]) {
    let quiet = plans.iter_mut().filter(|plan| plan.is_only_looked_at());
    let warnings: Vec<String> = quiet.flat_map(|plan| std::mem::take(&mut plan.warnings)).collect();
    let is_app = |plan: &AppPlan| plan.verdict.accessory().is_none();
    let first = plans.iter().position(is_app).or(plans.iter().position(|plan| !plan.implied));
    if let Some(plan) = first.and_then(|first| plans.get_mut(first)) {
        plan.warnings.extend(warnings);
    }
}

/// Addresses of containers, running or not, and of peers, whose container may be gone.
fn taken_addresses(observed: &ObservedState) -> BTreeSet<Ipv4Addr> {
    let containers = observed.engine.containers.iter().filter_map(|container| container.address);
    let records = observed.proxy.apps.values().filter_map(|app| app.record.as_ref());
    containers.chain(records.flat_map(|record| &record.peers).map(|peer| peer.address)).collect()
}
