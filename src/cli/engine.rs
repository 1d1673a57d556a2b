//! Connects to the engine, and through it to the proxy's control socket.

use std::sync::Arc;

use super::common::CommonArgs;
use crate::docker::{self, DockerEngine, EngineChoice, SocketDial};
use crate::model::ProxyName;
use crate::ports::EngineError;
use crate::proxy::{CONTROL_SOCKET, ControlClient};

/// Connects to the engine named by the command line or the environment.
///
/// # Errors
/// When it is not reachable, access is denied, or it is too old.
pub(super) async fn connect(args: &CommonArgs) -> Result<DockerEngine, EngineError> {
    let chosen = EngineChoice { host: args.host.clone(), context: args.context.clone() };
    docker::connect_to(&chosen, |name| std::env::var(name).ok()).await
}

pub fn control_client(engine: &DockerEngine, proxy: &ProxyName) -> ControlClient {
    ControlClient::new(proxy, Arc::new(SocketDial::new(engine.clone(), proxy.container(), CONTROL_SOCKET)))
}
