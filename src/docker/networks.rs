//! Networks and volumes.

use std::collections::HashMap;

use bollard::models::{Ipam, IpamConfig, NetworkCreateRequest, VolumeCreateRequest};

use super::{DockerEngine, filter};
use crate::model::{Label, NewNetwork};
use crate::ports::{EngineError, EngineErrorKind};

pub(super) async fn create_network(engine: &DockerEngine, network: &NewNetwork) -> Result<(), EngineError> {
    let name = &network.name;
    let doing = format!("create network `{name}`");
    // Engines before 23 keep several networks of one name, and then refuse every use of that name.
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
    let ipam = network.subnet.map(|subnet| Ipam {
        config: Some(vec![IpamConfig {
            subnet: Some(subnet.to_string()),
            ip_range: network.dynamic_range.map(|range| range.to_string()),
            gateway: network.gateway.map(|gateway| gateway.to_string()),
            ..IpamConfig::default()
        }]),
        ..Ipam::default()
    });
    let project = network.project.as_ref().map(|project| (Label::PROJECT.to_owned(), project.to_string()));
    let labels = HashMap::from_iter(project.into_iter().chain([(Label::PROXY.to_owned(), network.proxy.to_string())]));
    NetworkCreateRequest {
        name: network.name.clone(),
        driver: Some("bridge".to_owned()),
        internal: Some(network.internal),
        ipam,
        labels: Some(labels),
        ..NetworkCreateRequest::default()
    }
}

/// An existing volume is left as it is.
pub(super) async fn create_volume(engine: &DockerEngine, name: &str) -> Result<(), EngineError> {
    let request = VolumeCreateRequest { name: Some(name.to_owned()), ..VolumeCreateRequest::default() };
    engine.call(&format!("create volume `{name}`"), engine.client.create_volume(request)).await.map(drop)
}
