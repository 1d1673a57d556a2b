//! Containers whose networks were removed while they were stopped. The engine remembers a network by its id, and another one of the
//! same name is not the same to it.

use std::collections::BTreeMap;

use bollard::models::{EndpointSettings, NetworkConnectRequest, NetworkDisconnectRequest};
use bollard::query_parameters::ListNetworksOptions;

use super::{DockerEngine, containers};
use crate::ports::{EngineError, EngineErrorKind};

/// How much of its id a container has as an alias, by older engines.
const SHORT_ID: usize = 12;

/// Whether the engine has refused a start because a network of the container is gone.
pub(super) fn is_due(error: &EngineError) -> bool {
    error.message.contains("network ") && error.message.contains("not found")
}

/// Connects the container to the networks that have the names of those that are gone, at its addresses of before.
///
/// # Errors
/// When one of them has not been made again.
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

/// What somebody asked for, without what the engine has found for it.
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
