//! Observes the engine and converts its state to our own types.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use bollard::models::{ContainerSummary, ContainerSummaryStateEnum, ImageSummary, MountPoint, Network};
use bollard::query_parameters::{
    ListContainersOptionsBuilder, ListImagesOptionsBuilder, ListNetworksOptions, ListVolumesOptions,
};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::inherited::Inherited;
use super::{DockerEngine, built, containers, filter, routes};
use crate::model::{
    ComposeContainer, ComposeLabel, ContainerState, DockerHealth, Hooks, Label, ObservedContainer, ObservedEngine,
    ObservedImage, ObservedNetwork, OwnLabels, ProjectName, ProxyName, Role,
};
use crate::ports::{EngineError, Resident};

/// Concurrent inspects: enough to hide round trips, without slowing down the engine for others.
const INSPECTS_AT_ONCE: usize = 8;
/// The tags of our releases and accessories.
const OWN_TAGS: &str = "deploy-apps/*";

pub(super) async fn observe(engine: &DockerEngine, proxy: &ProxyName) -> Result<ObservedEngine, EngineError> {
    let (containers, composed, networks, volumes, images) = tokio::try_join!(
        Box::pin(containers_of(engine, proxy)),
        Box::pin(composed(engine, proxy)),
        Box::pin(networks(engine)),
        Box::pin(volumes(engine)),
        Box::pin(images(engine))
    )?;
    let (volumes, project_volumes) = volumes;
    // A local socket belongs to the engine of this machine, or to one in a container here, which is reached through
    // this machine.
    let host_routes = if engine.info.local { routes::host_routes() } else { Vec::new() };
    Ok(ObservedEngine { networks, volumes, project_volumes, containers, images, host_routes, composed })
}

async fn containers_of(engine: &DockerEngine, proxy: &ProxyName) -> Result<Vec<ObservedContainer>, EngineError> {
    let own = filter("label", format!("{}={proxy}", Label::PROXY));
    let options = ListContainersOptionsBuilder::default().all(true).filters(&own).build();
    let (listed, inherited) = tokio::try_join!(
        engine.call("list the containers", engine.client.list_containers(Some(options))),
        Inherited::of(engine)
    )?;
    let mut containers: Vec<ObservedContainer> = stream::iter(listed)
        .map(|summary| observed(engine, proxy, summary, &inherited))
        .buffer_unordered(INSPECTS_AT_ONCE)
        .try_filter_map(|container| std::future::ready(Ok(container)))
        .try_collect()
        .await?;
    containers.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(containers)
}

/// All of our containers, of all proxies.
pub(super) async fn residents(engine: &DockerEngine) -> Result<Vec<Resident>, EngineError> {
    let options = ListContainersOptionsBuilder::default().all(true).filters(&filter("label", Label::PROXY)).build();
    let (listed, inherited) = tokio::try_join!(
        engine.call("list the containers", engine.client.list_containers(Some(options))),
        Inherited::of(engine)
    )?;
    Ok(listed.iter().filter_map(|summary| resident(summary, &inherited)).collect())
}

fn resident(summary: &ContainerSummary, inherited: &Inherited) -> Option<Resident> {
    let labels: BTreeMap<String, String> = summary.labels.clone().unwrap_or_default().into_iter().collect();
    let labels = OwnLabels::from_map(&labels).filter(|labels| !inherited.is_all_of(summary, labels))?;
    let ports: BTreeSet<u16> = summary.ports.iter().flatten().filter_map(|port| port.public_port).collect();
    Some(Resident {
        labels,
        running: summary.state == Some(ContainerSummaryStateEnum::RUNNING),
        ports: ports.into_iter().collect(),
    })
}

/// Containers of docker compose on this host: they belong to services that we may deploy.
async fn composed(engine: &DockerEngine, proxy: &ProxyName) -> Result<Vec<ComposeContainer>, EngineError> {
    let made = filter("label", ComposeLabel::PROJECT);
    let options = ListContainersOptionsBuilder::default().all(true).filters(&made).build();
    let listed = engine.call("list the containers of compose", engine.client.list_containers(Some(options))).await?;
    let mut all: Vec<ComposeContainer> = stream::iter(listed)
        .map(|summary| composed_one(engine, proxy, summary))
        .buffer_unordered(INSPECTS_AT_ONCE)
        .try_filter_map(|container| std::future::ready(Ok(container)))
        .try_collect()
        .await?;
    all.sort_by(|a, b| a.container.name.cmp(&b.container.name));
    Ok(all)
}

async fn composed_one(
    engine: &DockerEngine,
    proxy: &ProxyName,
    summary: ContainerSummary,
) -> Result<Option<ComposeContainer>, EngineError> {
    let labels: BTreeMap<String, String> = summary.labels.clone().unwrap_or_default().into_iter().collect();
    // A container with our labels is ours, even with labels of compose.
    let own = labels.contains_key(Label::ROLE);
    let Some((project, service)) = ComposeLabel::service_of(&labels).filter(|_| !own) else { return Ok(None) };
    let labels = OwnLabels {
        role: Role::Accessory,
        proxy: proxy.clone(),
        project: Some(project),
        service: Some(service),
        release: None,
        replica: None,
        version: None,
        identity: String::new(),
        tuning: None,
    };
    let ports = summary.ports.iter().flatten().filter_map(|port| port.public_port).collect::<BTreeSet<_>>();
    let container = with_state(engine, proxy, summary, labels, Hooks::default()).await?;
    Ok(container.map(|container| ComposeContainer { container, ports: ports.into_iter().collect() }))
}

async fn observed(
    engine: &DockerEngine,
    proxy: &ProxyName,
    summary: ContainerSummary,
    inherited: &Inherited,
) -> Result<Option<ObservedContainer>, EngineError> {
    let labels: BTreeMap<String, String> = summary.labels.clone().unwrap_or_default().into_iter().collect();
    let hooks = labels.get(Label::HOOKS).map(|text| Hooks::from_label(text)).unwrap_or_default();
    let labels = OwnLabels::from_map(&labels).filter(|labels| !inherited.is_all_of(&summary, labels));
    let Some(labels) = labels else { return Ok(None) };
    with_state(engine, proxy, summary, labels, hooks).await
}

/// The list is sufficient for a running container; how another one ended needs an inspect.
async fn with_state(
    engine: &DockerEngine,
    proxy: &ProxyName,
    summary: ContainerSummary,
    labels: OwnLabels,
    hooks: Hooks,
) -> Result<Option<ObservedContainer>, EngineError> {
    let Some(id) = summary.id.clone() else { return Ok(None) };
    let state = match summary.state {
        Some(ContainerSummaryStateEnum::RUNNING) => ContainerState::Running,
        Some(ContainerSummaryStateEnum::CREATED) => ContainerState::Created,
        _ => match containers::inspect(engine, &id).await?.and_then(|container| container.state) {
            Some(state) => containers::phase(&state),
            // Removed since the list was made.
            None => return Ok(None),
        },
    };
    let name = summary.names.iter().flatten().next().map(|name| name.trim_start_matches('/').to_owned());
    let published = summary.ports.iter().flatten().filter_map(|port| Some((port.private_port, port.public_port?)));
    Ok(Some(ObservedContainer {
        name: name.unwrap_or_else(|| id.clone()),
        image_id: summary.image_id.clone().unwrap_or_default(),
        health: summary.status.as_deref().and_then(health),
        address: address(&summary, proxy),
        hooks,
        volumes: summary.mounts.iter().flatten().filter_map(volume_of).collect(),
        // Of the proxy's ports that of plain HTTP is the lower one inside.
        published: published.min().map(|(_, public)| public),
        id,
        labels,
        state,
    }))
}

/// The engine appends it in brackets to the uptime, with these words since version 1.12.
fn health(status: &str) -> Option<DockerHealth> {
    match status.rsplit_once('(')?.1 {
        "healthy)" => Some(DockerHealth::Healthy),
        "unhealthy)" => Some(DockerHealth::Unhealthy),
        "health: starting)" => Some(DockerHealth::Starting),
        _ => None,
    }
}

/// The fixed address, which a stopped container keeps. A dynamic address counts while it runs.
fn address(summary: &ContainerSummary, proxy: &ProxyName) -> Option<Ipv4Addr> {
    let endpoint = summary.network_settings.as_ref()?.networks.as_ref()?.get(&proxy.network())?;
    let fixed = endpoint.ipam_config.as_ref().and_then(|config| config.ipv4_address.as_deref());
    [fixed, endpoint.ip_address.as_deref()].into_iter().flatten().find_map(|address| address.parse().ok())
}

/// Only volumes have a name; binds have a source.
fn volume_of(mount: &MountPoint) -> Option<String> {
    mount.name.clone().filter(|name| !name.is_empty())
}

async fn networks(engine: &DockerEngine) -> Result<Vec<ObservedNetwork>, EngineError> {
    let listed = engine.call("list the networks", engine.client.list_networks(None::<ListNetworksOptions>)).await?;
    Ok(listed.into_iter().filter_map(observed_network).collect())
}

/// IPv6 subnets are left out: they cannot overlap with ours.
fn observed_network(network: Network) -> Option<ObservedNetwork> {
    let configs = network.ipam.and_then(|ipam| ipam.config).unwrap_or_default();
    let subnets = configs.iter().filter_map(|config| config.subnet.as_deref()?.parse().ok()).collect();
    let project = network.labels.unwrap_or_default().remove(Label::PROJECT).and_then(|name| name.parse().ok());
    Some(ObservedNetwork { id: network.id?, name: network.name?, subnets, project })
}

/// All names, and the projects of those that we created for one.
type Volumes = (BTreeSet<String>, BTreeMap<String, ProjectName>);

async fn volumes(engine: &DockerEngine) -> Result<Volumes, EngineError> {
    let listed = engine.call("list the volumes", engine.client.list_volumes(None::<ListVolumesOptions>)).await?;
    let (mut names, mut projects) = (BTreeSet::new(), BTreeMap::new());
    for volume in listed.volumes.unwrap_or_default() {
        if let Some(project) = volume.labels.get(Label::PROJECT).and_then(|name| name.parse().ok()) {
            projects.insert(volume.name.clone(), project);
        }
        names.insert(volume.name);
    }
    Ok((names, projects))
}

/// Images that we built, and pulled images with one of our tags.
async fn images(engine: &DockerEngine) -> Result<Vec<ObservedImage>, EngineError> {
    let labelled = listed_images(engine, "label", Label::SOURCE);
    // Pulled images have no labels of ours, only the tags of their releases.
    let (mut images, tagged) = tokio::try_join!(labelled, listed_images(engine, "reference", OWN_TAGS))?;
    images.retain(|image| image.source.is_some());
    images.extend(tagged.into_iter().filter(|image| image.source.is_none()));
    Ok(images)
}

async fn listed_images(engine: &DockerEngine, key: &str, value: &str) -> Result<Vec<ObservedImage>, EngineError> {
    let options = ListImagesOptionsBuilder::default().filters(&filter(key, value)).build();
    let listed = engine.call("list the images", engine.client.list_images(Some(options))).await?;
    Ok(listed.into_iter().map(observed_image).collect())
}

fn observed_image(mut image: ImageSummary) -> ObservedImage {
    image.repo_tags.retain(|tag| tag != "<none>:<none>");
    let source = built::source(&image.labels, &image.repo_tags);
    image.repo_tags.retain(|tag| !built::is_built_tag(tag));
    ObservedImage { id: image.id, tags: image.repo_tags, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_is_read_from_the_status_text() {
        assert_eq!(health("Up 5 seconds (healthy)"), Some(DockerHealth::Healthy));
        assert_eq!(health("Up 2 minutes (unhealthy)"), Some(DockerHealth::Unhealthy));
        assert_eq!(health("Up 1 second (health: starting)"), Some(DockerHealth::Starting));
        assert_eq!(health("Up 5 seconds"), None);
        assert_eq!(health("Exited (137) 3 seconds ago"), None);
        assert_eq!(health("Up 5 seconds (Paused)"), None);
    }
}
