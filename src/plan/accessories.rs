//! What the apps share: the project's networks and volumes, and the accessories that they depend on.

use std::collections::BTreeSet;
use std::time::Duration;

use super::hooks::{post_start, run_once};
use super::images::image_steps;
use super::replicas::run_once_spec;
use super::{Gate, PlanRefused, Planned, Stage, Step};
use crate::model::{
    Accessory, AppName, Condition, ContainerState, Dependency, NewContainer, NewNetwork, ObservedContainer,
    ObservedEngine, ObservedState, OwnLabels, Project, Role, Service, identity,
};

/// How long an accessory may take to fulfil what an app waits for; databases may have to recover first.
pub(super) const CONDITION_TIMEOUT: Duration = Duration::from_secs(120);

/// Networks, volumes and accessories that those with these names need and that are missing, with what is worth a
/// warning.
pub(super) fn shared_stages(
    project: &Project,
    names: &[AppName],
    observed: &ObservedState,
) -> Result<(Vec<Stage>, Vec<String>), PlanRefused> {
    check_externals(project, observed)?;
    let mut stages = networks_and_volumes(project, observed);
    let mut warnings = Vec::new();
    for (name, condition) in needed(project, names)? {
        let Some(accessory) = project.accessories.get(&name) else { continue };
        let (steps, warning) = accessory_steps(project, accessory, condition, observed)?;
        stages.push(Stage::line(steps));
        warnings.extend(warning);
    }
    stages.retain(|stage| !stage.is_empty());
    Ok((stages, warnings))
}

fn check_externals(project: &Project, observed: &ObservedState) -> Result<(), PlanRefused> {
    // The proxy's own is made with the proxy, which a preview of a first deploy does not have yet.
    let proxys = project.proxy.name.network();
    let mut networks = project.external_networks.iter().filter(|name| **name != proxys);
    let missing_network = networks.find(|name| observed.engine.network(name).is_none());
    let missing_volume = project.external_volumes.iter().find(|name| !observed.engine.volumes.contains(*name));
    let missing = missing_network.map(|name| ("network", name)).or(missing_volume.map(|name| ("volume", name)));
    match missing {
        Some((kind, name)) => Err(PlanRefused::ExternalMissing { kind, name: name.clone() }),
        None => Ok(()),
    }
}

/// What the project names and is missing.
pub(super) fn networks_and_volumes(project: &Project, observed: &ObservedState) -> Vec<Stage> {
    let networks = lost_networks(project, &observed.engine).into_iter().map(|planned| vec![planned]);
    let volumes =
        project.volumes.iter().filter(|volume| !observed.engine.volumes.contains(&volume.name)).map(|volume| {
            vec![Planned::new(Step::CreateVolume(volume.made_for(&project.name)), "the project names it")]
        });
    let stage = Stage::beside(networks.chain(volumes).collect());
    if stage.is_empty() { Vec::new() } else { vec![stage] }
}

/// Makes those of the project's networks that the engine does not have.
#[must_use]
pub fn lost_networks(project: &Project, engine: &ObservedEngine) -> Vec<Planned> {
    let missing = project.networks.iter().filter(|(name, _)| engine.network(name).is_none());
    let creation = missing.map(|(name, settings)| {
        let network = NewNetwork {
            name: name.clone(),
            project: Some(project.name.clone()),
            proxy: project.proxy.name.clone(),
            subnet: None,
            dynamic_range: None,
            gateway: None,
            settings: settings.clone(),
        };
        Planned::new(Step::CreateNetwork(network), "the project names it")
    });
    creation.collect()
}

/// The accessories behind those with these names, each after those it depends on itself, with the strictest condition
/// asked of it.
pub(super) fn needed(project: &Project, names: &[AppName]) -> Result<Vec<(AppName, Condition)>, PlanRefused> {
    let mut order = Vec::new();
    for service in names.iter().filter_map(|name| project.service(name)) {
        for dependency in &service.depends_on {
            visit(project, dependency, &mut BTreeSet::new(), &mut order)?;
        }
    }
    Ok(order)
}

fn visit(
    project: &Project,
    dependency: &Dependency,
    path: &mut BTreeSet<AppName>,
    order: &mut Vec<(AppName, Condition)>,
) -> Result<(), PlanRefused> {
    let name = &dependency.service;
    if let Some((_, condition)) = order.iter_mut().find(|(other, _)| other == name) {
        if dependency.condition != Condition::Started {
            *condition = dependency.condition;
        }
        return Ok(());
    }
    // An app that another app depends on is deployed by its own name, never as a side effect.
    let Some(accessory) = project.accessories.get(name) else { return Ok(()) };
    if !path.insert(name.clone()) {
        let through = path.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        return Err(PlanRefused::DependencyCycle { service: name.clone(), through });
    }
    for next in &accessory.service.depends_on {
        visit(project, next, path, order)?;
    }
    path.remove(name);
    order.push((name.clone(), dependency.condition));
    Ok(())
}

pub(super) fn is_of(container: &ObservedContainer, project: &Project, service: &AppName) -> bool {
    let labels = &container.labels;
    labels.role == Role::Accessory
        && labels.project.as_ref() == Some(&project.name)
        && labels.service.as_ref() == Some(service)
}

/// The tag under which an accessory's image is kept on the engine.
fn image_tag(project: &Project, service: &Service) -> String {
    format!("deploy-apps/{}-{}:accessory", project.name, service.name.as_str().to_lowercase())
}

/// What its container bears as its identity when it is made as the compose file says.
pub(super) fn wanted_identity(service: &Service, observed: &ObservedState) -> String {
    let image = observed.images.get(&service.name).map_or("", |image| image.identity());
    identity(image, &service.container)
}

/// Waits until it is what those who depend on it ask for.
fn await_it(name: &str, condition: Condition, because: &str) -> Planned {
    let gate = Gate::Engine { condition, timeout: CONDITION_TIMEOUT, monitor: Duration::ZERO };
    Planned::new(Step::AwaitHealthy { name: name.to_owned(), gate }, because)
}

/// The steps up to the created container, the image's among them.
pub(super) fn creation(
    project: &Project,
    service: &Service,
    name: &str,
    observed: &ObservedState,
    because: &str,
) -> Result<(Vec<Planned>, Vec<Planned>), PlanRefused> {
    let tag = image_tag(project, service);
    let image = image_steps(service, observed, &tag)?;
    let labels = OwnLabels {
        role: Role::Accessory,
        proxy: project.proxy.name.clone(),
        project: Some(project.name.clone()),
        service: Some(service.name.clone()),
        release: None,
        replica: None,
        version: None,
        identity: wanted_identity(service, observed),
    };
    let mut steps = Vec::new();
    for (index, hook) in service.container.hooks.pre_start.iter().enumerate() {
        let name = format!("{name}-pre-start-{}", index + 1);
        if observed.engine.container(&name).is_some() {
            steps.push(Planned::new(Step::RemoveContainer { name: name.clone() }, "an interrupted run left it"));
        }
        let once = NewContainer {
            name,
            image: hook.image.clone().unwrap_or_else(|| tag.clone()),
            spec: run_once_spec(service.container.clone(), hook),
            labels: OwnLabels { role: Role::ReleaseCommand, ..labels.clone() },
        };
        steps.extend(run_once(once, hook.timeout, "`pre_start` runs before the accessory is created"));
    }
    let new = NewContainer { name: name.to_owned(), image: tag, spec: service.container.clone(), labels };
    steps.push(Planned::new(Step::CreateContainer(Box::new(new)), because));
    steps.push(Planned::new(Step::StartContainer { name: name.to_owned() }, because));
    steps.extend(post_start(name, &service.container.hooks));
    Ok((image, steps))
}

/// Whose steps it takes that something is there and ready for those who depend on it. One that differs from the
/// compose file stays: it is replaced when it is asked for by name.
fn accessory_steps(
    project: &Project,
    accessory: &Accessory,
    condition: Condition,
    observed: &ObservedState,
) -> Result<(Vec<Planned>, Option<String>), PlanRefused> {
    let service = &accessory.service;
    let because = "an app depends on it";
    // Known by its labels: under a changed `container_name` a second one would write to the same volumes.
    let Some(container) = standing(project, service, observed) else {
        let name = accessory.container(&project.name);
        let (mut steps, create) = creation(project, service, &name, observed, because)?;
        steps.extend(create);
        steps.push(await_it(&name, condition, because));
        return Ok((steps, None));
    };
    let name = &container.name;
    let steps = match container.state {
        ContainerState::Running | ContainerState::Restarting => vec![await_it(name, condition, because)],
        ContainerState::Exited { code: 0, .. } if condition == Condition::CompletedSuccessfully => Vec::new(),
        ContainerState::Paused | ContainerState::Created | ContainerState::Exited { .. } | ContainerState::Dead => {
            let mut steps = start(container, "an app depends on it and it is not running");
            steps.push(await_it(name, condition, because));
            steps
        }
    };
    Ok((steps, differs(container, service, observed)))
}

/// The container that stands for the accessory: after an interrupted replacement there may be two.
pub(super) fn standing<'a>(
    project: &Project,
    service: &Service,
    observed: &'a ObservedState,
) -> Option<&'a ObservedContainer> {
    let wanted = wanted_identity(service, observed);
    let own = observed.engine.containers.iter().filter(|container| is_of(container, project, &service.name));
    own.max_by_key(|container| {
        let runs = matches!(container.state, ContainerState::Running | ContainerState::Restarting);
        (runs, container.labels.identity == wanted, std::cmp::Reverse(&container.name))
    })
}

pub(super) fn start(container: &ObservedContainer, because: &str) -> Vec<Planned> {
    let mut steps = vec![Planned::new(Step::StartContainer { name: container.name.clone() }, because)];
    steps.extend(post_start(&container.name, &container.hooks));
    steps
}

/// The warning about one that is not what the compose file says.
pub(super) fn differs(container: &ObservedContainer, service: &Service, observed: &ObservedState) -> Option<String> {
    let name = &service.name;
    (container.labels.identity != wanted_identity(service, observed)).then(|| {
        format!(
            "accessory `{name}` differs from the compose file and is left as it is; `deploy-apps {name}` replaces it"
        )
    })
}
