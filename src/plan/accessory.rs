//! An accessory that is asked for by name: made where it is missing, replaced where the compose file has changed.
//!
//! It is replaced stop-first, since most of them have a volume that bears one writer only. The image is there before
//! the old one stops, and the old one goes when the new one is healthy: until then it comes back if anything fails.

use std::time::Duration;

use super::accessories::{CONDITION_TIMEOUT, creation, differs, is_of, standing, start, wanted_identity};
use super::hooks::pre_stop;
use super::remove::stop_and_remove;
use super::replicas::SETTLE;
use super::{AppPlan, Comeback, DeployOptions, Gate, PlanRefused, Planned, Stage, Step, Verdict};
use crate::model::{
    Accessory, AccessoryChange, Condition, ContainerState, FailureAction, ObservedContainer, ObservedState, Project,
    Release, ReplicaSource, Restart, Service,
};

const BECAUSE: &str = "it was asked for";

/// `shared`: others of this run depend on it, so it is brought up before them all where it is missing or stopped.
pub(super) fn plan_accessory(
    project: &Project,
    accessory: &Accessory,
    shared: bool,
    observed: &ObservedState,
    options: &DeployOptions,
) -> Result<AppPlan, PlanRefused> {
    let service = &accessory.service;
    let mut plan = empty(project, service);
    let standing = standing(project, service, observed);
    let Some(container) = standing else {
        if !shared {
            let name = accessory.container(&project.name);
            let (image, create) = creation(project, service, &name, observed, BECAUSE)?;
            plan.before = vec![Stage::line(image), Stage::line(create), Stage::line(vec![ready(service, &name)])];
            plan.verdict = Verdict::Accessory(AccessoryChange::Create);
        }
        return Ok(without_empty(plan));
    };
    let leftovers = observed.engine.containers.iter().filter(|other| is_of(other, project, &service.name));
    let leftovers: Vec<_> = leftovers.filter(|other| other.name != container.name).collect();
    let is_wanted = container.labels.identity == wanted_identity(service, observed);
    let runs = matches!(container.state, ContainerState::Running | ContainerState::Restarting);
    if (is_wanted && !options.force) || options.keep_accessories {
        if !runs && !shared {
            plan.before = vec![Stage::line(start(container, "it is not running"))];
            plan.verdict = Verdict::Accessory(AccessoryChange::Start);
        }
        // Where a replacement was interrupted, the one that stands may be new and ill: what it replaces goes after that.
        if !leftovers.is_empty() || !plan.before.is_empty() {
            plan.before.push(Stage::line(vec![ready(service, &container.name)]));
        }
        plan.warnings.extend(differs(container, service, observed));
    } else {
        let because = if is_wanted { "`--force` was asked for" } else { "the compose file has changed" };
        replace(&mut plan, project, accessory, container, observed, because)?;
    }
    let mut after: Vec<_> =
        leftovers.iter().flat_map(|other| stop_and_remove(other, None, "an interrupted run left it")).collect();
    if plan.verdict == Verdict::Accessory(AccessoryChange::Replace) {
        let step = Step::RemoveContainer { name: container.name.clone() };
        after.push(Planned::new(step, "the new one is healthy"));
    }
    plan.after = vec![Stage::line(after)];
    Ok(without_empty(plan))
}

/// Fills in what it takes to have a new container in the place of the one that stands.
fn replace(
    plan: &mut AppPlan,
    project: &Project,
    accessory: &Accessory,
    old: &ObservedContainer,
    observed: &ObservedState,
    because: &str,
) -> Result<(), PlanRefused> {
    let service = &accessory.service;
    // A fixed name has to be free first, so there is nothing to go back to.
    let fixed = accessory.container_name.is_some();
    let name = match &accessory.container_name {
        Some(name) => name.clone(),
        None => free_name(project, service, observed),
    };
    let (image, create) = creation(project, service, &name, observed, because)?;
    let comeback = Comeback { gate: gate(service), post_start: old.hooks.post_start.clone() };
    let mut stop: Vec<Planned> = pre_stop(old).collect();
    stop.push(Planned::new(
        Step::StopContainer {
            name: old.name.clone(),
            signal: None,
            grace: None,
            restart: (!fixed).then_some(comeback),
        },
        "two of it must not run beside each other",
    ));
    if fixed {
        stop.push(Planned::new(Step::RemoveContainer { name: old.name.clone() }, "the new one has its name"));
    }
    plan.verdict = Verdict::Accessory(if fixed { AccessoryChange::Recreate } else { AccessoryChange::Replace });
    plan.before = [image, stop, create, vec![ready(service, &name)]].map(Stage::line).into();
    plan.tidy = vec![Stage::line(vec![Planned::new(Step::RemoveDangling, "its old image is of no more use")])];
    Ok(())
}

/// Compose's own numbering goes on where the first number is taken.
fn free_name(project: &Project, service: &Service, observed: &ObservedState) -> String {
    let names = (1..).map(|number: u32| format!("{}-{}-{number}", project.name, service.name));
    let mut free = names.filter(|name| observed.engine.container(name).is_none());
    // The iterator has no end, and the engine has finitely many containers.
    free.next().unwrap_or_default()
}

/// Healthy where its image or the compose file says how to find out; else it must stay up for a moment, unless it is
/// one that does its work and ends.
fn gate(service: &Service) -> Gate {
    let monitor = if service.container.restart == Restart::No { Duration::ZERO } else { SETTLE };
    Gate::Engine { condition: Condition::Started, timeout: CONDITION_TIMEOUT, monitor }
}

fn ready(service: &Service, name: &str) -> Planned {
    Planned::new(Step::AwaitHealthy { name: name.to_owned(), gate: gate(service) }, BECAUSE)
}

fn empty(project: &Project, service: &Service) -> AppPlan {
    AppPlan {
        app: project.key(&service.name),
        from: None,
        release: Release::default(),
        // The proxy serves none of it.
        replicas: 0,
        replicas_from: ReplicaSource::Default,
        verdict: Verdict::Accessory(AccessoryChange::Leave),
        warnings: Vec::new(),
        on_failure: FailureAction::default(),
        before: Vec::new(),
        look: None,
        flip: None,
        after: Vec::new(),
        tidy: Vec::new(),
    }
}

fn without_empty(mut plan: AppPlan) -> AppPlan {
    plan.before.retain(|stage| !stage.is_empty());
    plan.after.retain(|stage| !stage.is_empty());
    plan
}
