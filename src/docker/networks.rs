//! Networks and volumes.

use std::collections::BTreeMap;

use bollard::models::{Ipam, IpamConfig, NetworkCreateRequest, VolumeCreateRequest};
use bollard::query_parameters::RemoveVolumeOptions;

use super::{DockerEngine, filter, present};
use crate::model::{Label, NetworkPool, NewNetwork, NewVolume};
use crate::ports::{EngineError, EngineErrorKind};

pub(super) async fn create_network(engine: &DockerEngine, network: &NewNetwork) -> Result<(), EngineError> {
    let name = &network.name;
    let doing = format!("create network `{name}`");
    // Engines before 23 allow several networks with the same name, and then refuse every use of that name.
    let options =
        bollard::query_parameters::ListNetworksOptionsBuilder::default().filters(&filter("name", name)).build();
    let namesakes = engine.call(&doing, engine.client.list_networks(Some(options))).await?;
    if namesakes.iter().any(|other| other.name.as_deref() == Some(name)) {
        return Err(EngineError::new(
            EngineErrorKind::Conflict,
            format!("could not {doing}: that name exists already"),
        ));
    }
    engine.call(&doing, engine.client.create_network(request(network))).await.map(drop)
}

fn request(network: &NewNetwork) -> NetworkCreateRequest {
    let settings = &network.settings;
    let fixed = network.subnet.map(|subnet| IpamConfig {
        subnet: Some(subnet.to_string()),
        ip_range: network.dynamic_range.map(|range| range.to_string()),
        gateway: network.gateway.map(|gateway| gateway.to_string()),
        ..IpamConfig::default()
    });
    let pools: Vec<IpamConfig> = fixed.into_iter().chain(settings.pools.iter().map(pool)).collect();
    let asks_for_addresses = !pools.is_empty() || settings.ipam_driver.is_some() || !settings.ipam_options.is_empty();
    let ipam = asks_for_addresses.then(|| Ipam {
        driver: settings.ipam_driver.clone(),
        config: Some(pools),
        options: Some(settings.ipam_options.clone().into_iter().collect()),
    });
    let project = network.project.as_ref().map(|project| (Label::PROJECT.to_owned(), project.to_string()));
    let own = project.into_iter().chain([(Label::PROXY.to_owned(), network.proxy.to_string())]);
    NetworkCreateRequest {
        name: network.name.clone(),
        driver: Some(settings.driver.clone().unwrap_or_else(|| "bridge".to_owned())),
        internal: Some(settings.internal),
        attachable: settings.attachable.then_some(true),
        enable_ipv4: settings.enable_ipv4,
        enable_ipv6: settings.enable_ipv6,
        options: Some(settings.driver_opts.clone().into_iter().collect()),
        ipam,
        labels: Some(settings.labels.clone().into_iter().chain(own).collect()),
        ..NetworkCreateRequest::default()
    }
}

fn pool(pool: &NetworkPool) -> IpamConfig {
    IpamConfig {
        subnet: pool.subnet.clone(),
        ip_range: pool.ip_range.clone(),
        gateway: pool.gateway.clone(),
        auxiliary_addresses: Some(pool.aux_addresses.clone().into_iter().collect()),
    }
}

/// Creates a volume; an existing one is left unchanged.
pub(super) async fn create_volume(engine: &DockerEngine, volume: &NewVolume) -> Result<(), EngineError> {
    let map = |map: &BTreeMap<String, String>| (!map.is_empty()).then(|| map.clone().into_iter().collect());
    let request = VolumeCreateRequest {
        name: Some(volume.name.clone()),
        driver: volume.driver.clone(),
        driver_opts: map(&volume.driver_opts),
        labels: map(&volume.labels),
        ..VolumeCreateRequest::default()
    };
    engine.call(&format!("create volume `{}`", volume.name), engine.client.create_volume(request)).await.map(drop)
}

pub(super) async fn remove_network(engine: &DockerEngine, name: &str) -> Result<(), EngineError> {
    let doing = format!("remove network `{name}`");
    present(engine.call(&doing, engine.client.remove_network(name)).await).map(drop).map_err(|error| {
        if !error.message.contains("active endpoints") {
            return error;
        }
        let message = format!("could not {doing}: containers of somebody else are in it");
        EngineError::new(EngineErrorKind::Conflict, message).hint(format!("`docker network inspect {name}` names them"))
    })
}

pub(super) async fn remove_volume(engine: &DockerEngine, name: &str) -> Result<(), EngineError> {
    let doing = format!("remove volume `{name}`");
    let removal = engine.client.remove_volume(name, None::<RemoveVolumeOptions>);
    present(engine.call(&doing, removal).await).map(drop).map_err(|error| {
        if !error.message.contains("volume is in use") {
            return error;
        }
        let message = format!("could not {doing}: a container of somebody else uses it");
        EngineError::new(EngineErrorKind::Conflict, message)
            .hint(format!("`docker ps -a --filter volume={name}` names it"))
    })
}
