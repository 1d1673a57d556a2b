//! Reconnects containers whose networks were removed while they were stopped. The engine refers to a network by its id,
//! so a new network of the same name does not count as the same.

use std::collections::BTreeMap;

use bollard::models::{EndpointSettings, NetworkConnectRequest, NetworkDisconnectRequest};
use bollard::query_parameters::ListNetworksOptions;

use super::{DockerEngine, containers};
use crate::ports::{EngineError, EngineErrorKind};

/// Older engines add this many characters of the container's id as an alias.
const SHORT_ID: usize = 12;

/// Whether the engine refused a start because a network of the container no longer exists.
pub(super) fn is_due(error: &EngineError) -> bool {
    error.message.contains("network ") && error.message.contains("not found")
}

/// Connects the container to the new networks with the same names, at its previous addresses.
///
/// # Errors
/// When one of the networks has not been created again.
pub(super) async fn reattach(engine: &DockerEngine, name: &str) -> Result<(), EngineError> {
    let Some(container) = containers::inspect(engine, name).await? else { return Ok(()) };
    let id = container.id.unwrap_or_default();
    let attached = container.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
    let listed = engine.call("list the networks", engine.client.list_networks(None::<ListNetworksOptions>)).await?;
    let present: BTreeMap<String, String> =
        listed.into_iter().filter_map(|network| Some((network.id?, network.name?))).collect();
    for (network, endpoint) in attached {
        let remembered = endpoint.network_id.as_deref().filter(|id| !id.is_empty());
        if remembered.is_none_or(|id| present.contains_key(id)) {
            continue;
        }
        if !present.values().any(|other| *other == network) {
            let message = format!("could not start container `{name}`: its network `{network}` no longer exists");
            return Err(EngineError::new(EngineErrorKind::NotFound, message)
                .hint("`deploy-apps --all` makes the project's networks again"));
        }
        let doing = format!("connect container `{name}` to network `{network}` again");
        let leave = NetworkDisconnectRequest { container: name.to_owned(), force: Some(true) };
        engine.call(&doing, engine.client.disconnect_network(&network, leave)).await?;
        let join = NetworkConnectRequest { container: name.to_owned(), endpoint_config: Some(wanted(endpoint, &id)) };
        engine.call(&doing, engine.client.connect_network(&network, join)).await?;
    }
    Ok(())
}

/// The requested settings, without those that the engine added.
fn wanted(endpoint: EndpointSettings, id: &str) -> EndpointSettings {
    let own = id.get(..SHORT_ID).unwrap_or(id);
    let aliases = endpoint.aliases.map(|aliases| aliases.into_iter().filter(|alias| alias != own).collect());
    EndpointSettings {
        ipam_config: endpoint.ipam_config,
        links: endpoint.links,
        aliases,
        driver_opts: endpoint.driver_opts,
        gw_priority: endpoint.gw_priority,
        ..EndpointSettings::default()
    }
}
