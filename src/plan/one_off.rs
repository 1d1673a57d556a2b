//! `run`: one command in a container of its own, made as the replicas that serve are made. It takes no part in a
//! rollout: it has no address of its own, no alias, no published port, and the proxy never hears of it.

use std::collections::BTreeSet;

use super::desired::serving_release;
use super::hosts::with_hosts;
use super::images::{kept_image_steps, release_tag};
use super::proxy::address_pool;
use super::refusal::PlanRefused;
use super::replicas::{effective_spec, run_once_spec};
use super::stage::{Planned, Stage, numbered};
use super::step::Step;
use crate::model::{
    AppKey, AppName, ContainerState, Hook, NewContainer, ObservedContainer, ObservedEngine, ObservedState, OwnLabels,
    Project, ProjectName, Role,
};

/// What is to be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneOff<'a> {
    pub app: &'a AppName,
    pub command: &'a [String],
    /// It gets a terminal.
    pub terminal: bool,
    /// It reads what the user types or pipes in.
    pub stdin: bool,
}

/// The steps after which its container is there, not started, and the container's name: the first that is free and not
/// among `taken`.
///
/// # Errors
/// When nothing of the app serves, or what its release needs is no longer there.
pub fn plan_one_off(
    project: &Project,
    desired: &OneOff<'_>,
    observed: &ObservedState,
    taken: &BTreeSet<String>,
) -> Result<(Vec<Stage>, String), PlanRefused> {
    let pool = address_pool(&project.proxy, &observed.engine)?;
    let project = &*with_hosts(project, pool);
    let key = project.key(desired.app);
    let app = project.apps.get(desired.app).ok_or_else(|| PlanRefused::NotDeployed { app: key.clone() })?;
    let (stored, app) = serving_release(project, app, &key, observed)?;
    let mut spec = effective_spec(project, &app, pool);
    for (name, value) in [("RELEASE", stored.number.to_string()), ("VERSION", stored.version.clone())] {
        spec.environment.insert(format!("DEPLOY_APPS_{name}"), value);
    }
    let hook = Hook { command: desired.command.to_vec(), ..Hook::default() };
    let mut spec = run_once_spec(spec, &hook);
    spec.tty = desired.terminal;
    spec.stdin_open = desired.stdin;
    // Who asks for the app by an alias on one of its networks must not meet this.
    for network in &mut spec.networks {
        network.aliases.clear();
    }
    let name = free_name(project, desired.app, observed, taken);
    let labels = OwnLabels {
        role: Role::OneOff,
        proxy: project.proxy.name.clone(),
        project: Some(project.name.clone()),
        service: Some(desired.app.clone()),
        release: Some(stored.number),
        replica: None,
        version: Some(stored.version.clone()),
        identity: stored.identity.clone(),
        tuning: None,
    };
    let image = kept_image_steps(&key, stored, observed)?;
    let container = NewContainer { name: name.clone(), image: release_tag(&key, stored.number), spec, labels };
    let create = Planned::new(Step::CreateContainer(Box::new(container)), "a command of its own was asked for");
    let stages = [Stage::line(image), Stage::line(vec![create])];
    Ok((numbered(stages.into_iter().filter(|stage| !stage.is_empty()).collect()), name))
}

/// What a run holds for as long as it lives, so that others can tell its container from one that is left.
#[must_use]
pub fn one_off_key(project: &ProjectName, app: &AppName, container: &str) -> AppKey {
    let number = container.rsplit("-run-").next().unwrap_or_default();
    let mut short = app.to_string();
    short.truncate(LONGEST_APP);
    let name = format!("{short}-run-{number}").parse();
    AppKey { project: project.clone(), app: name.unwrap_or_else(|_| app.clone()) }
}

/// Of an app's name in the key: what follows has room in a name then.
const LONGEST_APP: usize = 48;

/// Containers of one-off commands that do not run, each with the step that removes it and with what to hold meanwhile:
/// where somebody else holds that, the run is alive and removes its container itself.
#[must_use]
pub fn idle_one_offs(project: Option<&ProjectName>, engine: &ObservedEngine) -> Vec<(AppKey, Planned)> {
    let idle = |container: &ObservedContainer| {
        let labels = &container.labels;
        let (Some(of), Some(app), Role::OneOff) = (&labels.project, &labels.service, labels.role) else { return None };
        let because = match container.state {
            ContainerState::Created => "its command was never started, and who made it is gone",
            ContainerState::Exited { .. } | ContainerState::Dead => "its command has ended, and who ran it is gone",
            ContainerState::Running | ContainerState::Paused | ContainerState::Restarting => return None,
        };
        let step = Step::RemoveContainer { name: container.name.clone() };
        let is_meant = project.is_none_or(|project| project == of);
        is_meant.then(|| (one_off_key(of, app, &container.name), Planned::new(step, because)))
    };
    engine.containers.iter().filter_map(idle).collect()
}

/// Several may run beside each other.
fn free_name(project: &Project, app: &AppName, observed: &ObservedState, taken: &BTreeSet<String>) -> String {
    let names = (1..).map(|number: u32| format!("{}-{app}-run-{number}", project.name));
    let mut free = names.filter(|name| !taken.contains(name) && observed.engine.container(name).is_none());
    // The iterator has no end, and the engine has finitely many containers.
    free.next().unwrap_or_default()
}
