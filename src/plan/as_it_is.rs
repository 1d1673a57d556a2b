//! An accessory that is restarted, stopped or started by name: the container that stands, with the configuration that
//! it has. Whether the compose file says something else by now does not matter here.

use super::accessories::{CONDITION_TIMEOUT, start};
use super::accessory_container::is_of;
use super::accessory_plan::{empty, without_empty};
use super::hooks::pre_stop;
use super::order::Part;
use super::plan::{AppPlan, Verdict};
use super::refusal::PlanRefused;
use super::replicas::SETTLE;
use super::stage::{Planned, Stage};
use super::step::{Gate, RestartSpec, Step};
use crate::model::{AccessoryChange, Condition, ContainerState, ObservedContainer, ObservedState, Project, Service};

const BECAUSE: &str = "it was asked for";

pub(super) fn plan_as_it_is(
    project: &Project,
    service: &Service,
    part: &Part,
    change: AccessoryChange,
    observed: &ObservedState,
) -> Result<AppPlan, PlanRefused> {
    let own = observed.engine.containers.iter().filter(|container| is_of(container, project, &service.name));
    // After an interrupted replacement there may be two; the one that runs is meant.
    let Some(container) = own.max_by_key(|container| (runs(container), std::cmp::Reverse(&container.name))) else {
        return Err(PlanRefused::NoAccessory { app: project.key(&service.name) });
    };
    let mut plan = empty(project, service, part);
    let is_stopped = !runs(container);
    let lines = match (change, is_stopped) {
        (AccessoryChange::Stop, true) | (AccessoryChange::Start, false) => return Ok(plan),
        (AccessoryChange::Stop, false) => vec![stop(container, false)],
        (AccessoryChange::Restart, false) => vec![stop(container, true), begin(container)],
        _ => vec![begin(container)],
    };
    plan.verdict = Verdict::Accessory(change);
    plan.before = lines.into_iter().map(Stage::line).collect();
    Ok(without_empty(plan))
}

fn runs(container: &ObservedContainer) -> bool {
    matches!(container.state, ContainerState::Running | ContainerState::Restarting | ContainerState::Paused)
}

/// One that is to run again comes back when that fails.
fn stop(container: &ObservedContainer, comes_back: bool) -> Vec<Planned> {
    let restart = RestartSpec { gate: gate(), post_start: container.hooks.post_start.clone() };
    let restart = comes_back.then_some(restart);
    let step = Step::StopContainer { name: container.name.clone(), signal: None, grace: None, restart };
    pre_stop(container).chain([Planned::new(step, BECAUSE)]).collect()
}

fn begin(container: &ObservedContainer) -> Vec<Planned> {
    let mut steps = start(container, BECAUSE);
    steps.push(Planned::new(Step::AwaitHealthy { name: container.name.clone(), gate: gate() }, BECAUSE));
    steps
}

/// Healthy where its image or its configuration says how to find out; else it must stay up for a moment.
fn gate() -> Gate {
    Gate::Engine { condition: Condition::Started, timeout: CONDITION_TIMEOUT, monitor: SETTLE }
}
