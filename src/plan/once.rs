//! A service that does one thing and ends, such as a migration that others wait for: it runs once for each image and
//! configuration, before whoever depends on it.
//!
//! Its container is the record: one that has ended well bears the identity of what has run. So nothing runs twice after
//! a crash, what was cut off is waited for or run again, and one that failed is made again as the file says by then.

use std::time::Duration;

use super::accessories::creation;
use super::accessory_container::{is_of, wanted_identity};
use super::accessory_plan::{empty, free_name, reason, without_empty};
use super::ask::DeployOptions;
use super::ends::stop_and_remove;
use super::order::Part;
use super::plan::{AppPlan, Verdict};
use super::refusal::PlanRefused;
use super::stage::{Planned, Stage};
use super::step::Step;
use crate::model::{Accessory, AccessoryChange, ContainerState, ObservedContainer, ObservedState, Project};

/// Compose waits for ever. Long enough for a migration of a large table, short enough that a hung one ends some day.
pub const RUN_ONCE_LIMIT: Duration = Duration::from_secs(3600);

/// Plans its run where it is due. `--all` runs it too: it is no restart of anything.
pub(super) fn plan_once(
    project: &Project,
    accessory: &Accessory,
    part: &Part,
    wait: Option<Planned>,
    observed: &ObservedState,
    options: &DeployOptions,
) -> Result<AppPlan, PlanRefused> {
    let service = &accessory.service;
    let mut plan = empty(project, service, part);
    let identity = wanted_identity(service, observed);
    let own = observed.engine.containers.iter().filter(|container| is_of(container, project, &service.name));
    let (wanted, others): (Vec<_>, Vec<_>) = own.partition(|container| container.labels.identity == identity);
    let again = options.force && part.named;
    let done = wanted.iter().find(|container| has_succeeded(container) && !again).copied();
    let running = wanted.iter().find(|container| is_at_work(container)).copied();
    let kept = done.or(running);
    if done.is_none() {
        plan.verdict = Verdict::Accessory(AccessoryChange::Run);
    }
    let wait = Stage::line(wait.into_iter().collect());
    // What has succeeded stays until the next one has: should that fail and the file be put back, it has run already.
    let rest = wanted.iter().chain(&others).copied().filter(|other| kept.is_none_or(|kept| kept.name != other.name));
    let (records, failed): (Vec<_>, Vec<_>) = rest.partition(|container| has_succeeded(container) && !again);
    let clear: Vec<Planned> = failed.iter().flat_map(|other| stop_and_remove(other, None, leftover(other))).collect();
    match (done, running) {
        (Some(_), _) => plan.before = Vec::new(),
        // A run that was cut off has left it at work, and never are there two.
        (None, Some(running)) => {
            let because = "an interrupted run has started it";
            plan.before = vec![Stage::line(clear.clone()), Stage::line(vec![await_end(&running.name, because)])];
        }
        (None, None) => {
            let because = if again { "`--force` was asked for" } else { reason(part) };
            let (name, room) = match &accessory.container_name {
                Some(name) => (name.clone(), records.clone()),
                None => (name_of(project, accessory, &failed, observed), Vec::new()),
            };
            let room: Vec<Planned> =
                room.iter().flat_map(|other| stop_and_remove(other, None, "the new one has its name")).collect();
            let (image, create) = creation(project, service, &name, observed, because)?;
            let end = vec![await_end(&name, because)];
            plan.before =
                vec![Stage::line(image), wait, Stage::line([clear.clone(), room].concat()), Stage::line(create)];
            plan.before.push(Stage::line(end));
        }
    }
    let superseded = records.iter().filter(|_| done.is_some() || accessory.container_name.is_none());
    let mut after: Vec<Planned> =
        superseded.flat_map(|other| stop_and_remove(other, None, "a newer one has run")).collect();
    if done.is_some() {
        after.extend(clear);
    }
    plan.after = vec![Stage::line(after)];
    Ok(without_empty(plan))
}

fn has_succeeded(container: &ObservedContainer) -> bool {
    matches!(container.state, ContainerState::Exited { code: 0, .. })
}

fn is_at_work(container: &ObservedContainer) -> bool {
    matches!(container.state, ContainerState::Running | ContainerState::Restarting)
}

fn leftover(container: &ObservedContainer) -> &'static str {
    match container.state {
        ContainerState::Exited { code: 0, .. } => "it runs again",
        ContainerState::Exited { .. } => "it failed",
        _ => "an interrupted run left it",
    }
}

/// The first name that is free when those that failed are gone.
fn name_of(project: &Project, accessory: &Accessory, gone: &[&ObservedContainer], observed: &ObservedState) -> String {
    let mut names: Vec<&String> = gone.iter().map(|container| &container.name).collect();
    names.sort();
    let own = accessory.container(&project.name);
    match names.first() {
        Some(name) => (*name).clone(),
        None if observed.engine.container(&own).is_none() => own,
        None => free_name(project, &accessory.service, observed),
    }
}

fn await_end(name: &str, because: &str) -> Planned {
    Planned::new(Step::AwaitExit { name: name.to_owned(), timeout: RUN_ONCE_LIMIT }, because)
}
