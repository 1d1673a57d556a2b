//! What the parts of a run share: the project's networks and volumes; and what accessories are made of.

use std::time::Duration;

use super::accessory_container::wanted_identity;
use super::hooks::{post_start, run_once};
use super::images::image_steps;
use super::refusal::PlanRefused;
use super::replicas::run_once_spec;
use super::stage::{Planned, Stage};
use super::step::Step;
use crate::model::{
    NewContainer, NewNetwork, ObservedContainer, ObservedEngine, ObservedState, OwnLabels, Project, ResolvedImage,
    Role, Service,
};

/// How long an accessory may take to fulfil what an app waits for; databases may have to recover first.
pub(super) const CONDITION_TIMEOUT: Duration = Duration::from_secs(120);

/// The networks and volumes of the project that are missing.
pub(super) fn shared_stages(project: &Project, observed: &ObservedState) -> Result<Vec<Stage>, PlanRefused> {
    check_externals(project, observed)?;
    Ok(networks_and_volumes(project, observed))
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

/// The tag under which an accessory's image is kept on the engine.
fn image_tag(project: &Project, service: &Service) -> String {
    format!("deploy-apps/{}-{}:accessory", project.name, service.name.as_str().to_lowercase())
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
        tuning: None,
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

pub(super) fn start(container: &ObservedContainer, because: &str) -> Vec<Planned> {
    let mut steps = vec![Planned::new(Step::StartContainer { name: container.name.clone() }, because)];
    steps.extend(post_start(&container.name, &container.hooks));
    steps
}

/// Whether a container is as the compose file says. Of one that docker compose made only the image is known.
pub(super) fn is_wanted(container: &ObservedContainer, service: &Service, observed: &ObservedState) -> bool {
    if container.labels.identity.is_empty() {
        return observed.images.get(&service.name).is_none_or(|image| match image {
            ResolvedImage::Image { id } => *id == container.image_id,
            ResolvedImage::Source { built, .. } => built.as_ref().is_none_or(|id| *id == container.image_id),
        });
    }
    container.labels.identity == wanted_identity(service, observed)
}

/// The warning about one that is not what the compose file says.
pub(super) fn differs(container: &ObservedContainer, service: &Service, observed: &ObservedState) -> Option<String> {
    let name = &service.name;
    (!is_wanted(container, service, observed)).then(|| {
        format!(
            "accessory `{name}` differs from the compose file and is left as it is; `deploy-apps {name}` replaces it"
        )
    })
}
