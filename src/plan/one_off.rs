//! `run`: one command in a container of its own, made as the replicas that serve are made. It takes no part in a
//! rollout: it has no address of its own, no alias, no published port, and the proxy never hears of it.

use super::goal::serving_release;
use super::hosts::with_hosts;
use super::images::{kept_image_steps, release_tag};
use super::proxy::address_pool;
use super::refusal::PlanRefused;
use super::replicas::{effective_spec, run_once_spec};
use super::stage::{Planned, Stage};
use super::step::Step;
use crate::model::{
    AppName, ContainerState, Hook, NewContainer, ObservedContainer, ObservedState, OwnLabels, Project, Role,
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

/// The steps after which its container is there, not started, and the container's name.
///
/// # Errors
/// When nothing of the app serves, or what its release needs is no longer there.
pub fn plan_one_off(
    project: &Project,
    wish: &OneOff<'_>,
    observed: &ObservedState,
) -> Result<(Vec<Stage>, String), PlanRefused> {
    let pool = address_pool(&project.proxy, &observed.engine)?;
    let project = &*with_hosts(project, pool);
    let key = project.key(wish.app);
    let app = project.apps.get(wish.app).ok_or_else(|| PlanRefused::NotDeployed { app: key.clone() })?;
    let (stored, app) = serving_release(project, app, &key, observed)?;
    let mut spec = effective_spec(project, &app, pool);
    for (name, value) in [("RELEASE", stored.number.to_string()), ("VERSION", stored.version.clone())] {
        spec.environment.insert(format!("DEPLOY_APPS_{name}"), value);
    }
    let hook = Hook { command: wish.command.to_vec(), ..Hook::default() };
    let mut spec = run_once_spec(spec, &hook);
    spec.tty = wish.terminal;
    spec.stdin_open = wish.stdin;
    // Who asks for the app by an alias on one of its networks must not meet this.
    for network in &mut spec.networks {
        network.aliases.clear();
    }
    let name = free_name(project, wish.app, observed);
    let labels = OwnLabels {
        role: Role::OneOff,
        proxy: project.proxy.name.clone(),
        project: Some(project.name.clone()),
        service: Some(wish.app.clone()),
        release: Some(stored.number),
        replica: None,
        version: Some(stored.version.clone()),
        identity: stored.identity.clone(),
        tuning: None,
    };
    let ended = observed.engine.containers.iter().filter(|container| is_of(container, project) && has_ended(container));
    let tidy = ended.map(|container| {
        let step = Step::RemoveContainer { name: container.name.clone() };
        vec![Planned::new(step, "its command has ended, and who ran it is gone")]
    });
    let image = kept_image_steps(&key, stored, observed)?;
    let container = NewContainer { name: name.clone(), image: release_tag(&key, stored.number), spec, labels };
    let create = Planned::new(Step::CreateContainer(Box::new(container)), "a command of its own was asked for");
    let stages = [Stage::beside(tidy.collect()), Stage::line(image), Stage::line(vec![create])];
    Ok((stages.into_iter().filter(|stage| !stage.is_empty()).collect(), name))
}

fn is_of(container: &ObservedContainer, project: &Project) -> bool {
    container.labels.role == Role::OneOff && container.labels.project.as_ref() == Some(&project.name)
}

fn has_ended(container: &ObservedContainer) -> bool {
    matches!(container.state, ContainerState::Exited { .. } | ContainerState::Dead)
}

/// Several may run beside each other.
fn free_name(project: &Project, app: &AppName, observed: &ObservedState) -> String {
    let names = (1..).map(|number: u32| format!("{}-{app}-run-{number}", project.name));
    let mut free = names.filter(|name| observed.engine.container(name).is_none());
    // The iterator has no end, and the engine has finitely many containers.
    free.next().unwrap_or_default()
}
