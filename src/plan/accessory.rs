//! An accessory's part: made where it is missing, started where it has stopped, and replaced where the compose file has
//! changed and it was asked for by name.
//!
//! It is replaced stop-first, since most of them have a volume that bears one writer only. The image is there before
//! the old one stops, and the old one goes when the new one is healthy: until then it comes back if anything fails.

use std::time::Duration;

use super::accessories::{CONDITION_TIMEOUT, creation, differs, is_wanted, start};
use super::accessory_container::{is_of, standing};
use super::accessory_plan::{empty, free_name, reason, without_empty};
use super::ask::DeployOptions;
use super::ends::stop_and_remove;
use super::hooks::pre_stop;
use super::once::plan_once;
use super::order::Part;
use super::plan::{AppPlan, Verdict};
use super::refusal::PlanRefused;
use super::replicas::SETTLE;
use super::stage::{Planned, Stage};
use super::step::{Gate, RestartSpec, Step};
use crate::model::{
    Accessory, AccessoryChange, Condition, ContainerState, ObservedContainer, ObservedState, Project, Restart, Service,
};

/// `wait`: for what it depends on itself, before a container of it is made or started.
pub(super) fn plan_accessory(
    project: &Project,
    accessory: &Accessory,
    part: &Part,
    wait: Option<Planned>,
    observed: &ObservedState,
    options: &DeployOptions,
) -> Result<AppPlan, PlanRefused> {
    if project.is_one_shot(&part.name) {
        return plan_once(project, accessory, part, wait, observed, options);
    }
    let service = &accessory.service;
    let mut plan = empty(project, service, part);
    let wait = Stage::line(wait.into_iter().collect());
    // Known by its labels: under a changed `container_name` a second one would write to the same volumes.
    let Some(container) = standing(project, service, observed) else {
        let name = accessory.container(&project.name);
        let (image, create) = creation(project, service, &name, observed, reason(part))?;
        let ready = Stage::line(vec![ready(service, &name, part)]);
        plan.before = vec![Stage::line(image), wait, Stage::line(create), ready];
        plan.verdict = Verdict::Accessory(AccessoryChange::Create);
        return Ok(without_empty(plan));
    };
    let others = observed.engine.containers.iter().filter(|other| is_of(other, project, &service.name));
    // A second one is no matter of those who only depend on it.
    let leftovers: Vec<_> = others.filter(|other| part.named && other.name != container.name).collect();
    let is_wanted = is_wanted(container, service, observed);
    let replaces = part.named && !options.keep_accessories && (!is_wanted || options.force);
    if replaces {
        let because = if is_wanted { "`--force` was asked for" } else { "the compose file has changed" };
        replace(&mut plan, project, accessory, part, container, observed, because)?;
        plan.before.insert(1, Stage::line(backup(accessory, container, options)));
        // The image is there first, and what runs goes on until all that it waits for is there too.
        plan.before.insert(1, wait);
    } else {
        if !matches!(container.state, ContainerState::Running | ContainerState::Restarting)
            && !has_done(container, part)
        {
            plan.before = vec![wait, Stage::line(start(container, "it is not running"))];
            plan.verdict = Verdict::Accessory(AccessoryChange::Start);
        }
        // Where a replacement was interrupted, the one that stands may be new and unhealthy: what it replaces goes after that.
        let is_awaited = part.condition.is_some() && !has_done(container, part);
        if is_awaited || !leftovers.is_empty() || !plan.before.is_empty() {
            plan.before.push(Stage::line(vec![ready(service, &container.name, part)]));
        }
        plan.warnings.extend(differs(container, service, observed));
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

/// Whether it has ended as those want it who depend on its success.
fn has_done(container: &ObservedContainer, part: &Part) -> bool {
    part.condition == Some(Condition::CompletedSuccessfully)
        && matches!(container.state, ContainerState::Exited { code: 0, .. })
}

/// Fills in what it takes to have a new container in the place of the one that stands.
fn replace(
    plan: &mut AppPlan,
    project: &Project,
    accessory: &Accessory,
    part: &Part,
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
    let restart = RestartSpec { gate: gate(service, Condition::Started), post_start: old.hooks.post_start.clone() };
    let mut stop: Vec<Planned> = pre_stop(old).collect();
    stop.push(Planned::new(
        Step::StopContainer { name: old.name.clone(), signal: None, grace: None, restart: (!fixed).then_some(restart) },
        "two of it must not run beside each other",
    ));
    if fixed {
        stop.push(Planned::new(Step::RemoveContainer { name: old.name.clone() }, "the new one has its name"));
    }
    plan.verdict = Verdict::Accessory(if fixed { AccessoryChange::Recreate } else { AccessoryChange::Replace });
    plan.before = [image, stop, create, vec![ready(service, &name, part)]].map(Stage::line).into();
    plan.prune = vec![Stage::line(vec![Planned::new(Step::RemoveDangling, "its old image is of no more use")])];
    Ok(())
}

/// Before anything of it changes: what the new version does to its data cannot be taken back. One that is stopped, as by
/// a run that was cut off, is started for it.
fn backup(accessory: &Accessory, old: &ObservedContainer, options: &DeployOptions) -> Vec<Planned> {
    let Some(hook) = accessory.backup.clone().filter(|_| !options.no_backup) else { return Vec::new() };
    let mut steps = Vec::new();
    if matches!(old.state, ContainerState::Created | ContainerState::Exited { .. }) {
        steps.extend(start(old, "its backup runs in it"));
        let gate = gate(&accessory.service, Condition::Started);
        steps.push(Planned::new(Step::AwaitHealthy { name: old.name.clone(), gate }, "its backup runs in it"));
    }
    steps.push(Planned::new(Step::Backup { name: old.name.clone(), hook }, "its data is saved before it is replaced"));
    steps
}

/// Healthy where its image or the compose file says how to find out; else it must stay up for a moment, unless it is
/// one that does its work and ends.
fn gate(service: &Service, condition: Condition) -> Gate {
    let monitor = if service.container.restart == Restart::No { Duration::ZERO } else { SETTLE };
    Gate::Engine { condition, timeout: CONDITION_TIMEOUT, monitor }
}

/// Waits until it is as it was asked for, and what those who depend on it ask of it.
fn ready(service: &Service, name: &str, part: &Part) -> Planned {
    let condition = part.condition.unwrap_or(Condition::Started);
    let gate = match gate(service, condition) {
        // Whoever only depends on it takes it as soon as the condition is met, as compose does.
        Gate::Engine { condition, timeout, .. } if !part.named => {
            Gate::Engine { condition, timeout, monitor: Duration::ZERO }
        }
        gate => gate,
    };
    Planned::new(Step::AwaitHealthy { name: name.to_owned(), gate }, reason(part))
}
