//! Engine queries that only `doctor` uses.

use std::collections::HashMap;
use std::path::Path;

use bollard::models::RestartPolicyNameEnum;
use bollard::query_parameters::ListContainersOptionsBuilder;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::io::AsyncReadExt;

use super::connect::CertificateInfo;
use super::containers;
use super::exec::ExecDial;
use super::forgotten::forgotten;
use super::{CALL_LIMIT, DockerEngine};
use crate::model::{ForgottenProcess, HostFacts, Neighbour, ObservedEngine, ProxyName, Role};
use crate::ports::{Dial, EngineError};

impl DockerEngine {
    /// Facts about the engine's host.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn host_facts(&self) -> Result<HostFacts, EngineError> {
        let info = self.call("ask the engine about its machine", self.client.info()).await?;
        let here = rustix::system::uname();
        let same =
            |known: Option<&str>, ours: &std::ffi::CStr| known.is_some_and(|known| ours.to_bytes() == known.as_bytes());
        let is_here =
            same(info.name.as_deref(), here.nodename()) && same(info.kernel_version.as_deref(), here.release());
        Ok(HostFacts {
            name: info.name.unwrap_or_default(),
            system_time: info.system_time.and_then(|text| text.parse().ok()),
            is_here,
            warnings: info.warnings.unwrap_or_default(),
        })
    }

    /// Replicas and proxies that do not start after a reboot, with their restart policy.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn not_restarted(&self, observed: &ObservedEngine) -> Result<Vec<(String, String)>, EngineError> {
        let mut found = Vec::new();
        let is_long = |role| matches!(role, Role::Replica | Role::Proxy | Role::ProxyInstance);
        let long = observed.containers.iter().filter(|container| is_long(container.labels.role));
        for container in long {
            let Some(inspected) = containers::inspect(self, &container.name).await? else { continue };
            let policy = inspected.host_config.and_then(|config| config.restart_policy).and_then(|policy| policy.name);
            match policy {
                Some(RestartPolicyNameEnum::ALWAYS | RestartPolicyNameEnum::UNLESS_STOPPED) => {}
                Some(other @ RestartPolicyNameEnum::ON_FAILURE) => {
                    found.push((container.name.clone(), other.to_string()))
                }
                _ => found.push((container.name.clone(), "no".to_owned())),
            }
        }
        Ok(found)
    }

    /// Processes in containers that the engine has lost. The engine must run on this machine.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn forgotten(&self) -> Result<Vec<ForgottenProcess>, EngineError> {
        let listed = self.call("list the containers", self.client.list_containers(None)).await?;
        let running = listed.into_iter().filter_map(|container| container.id).collect();
        let look = tokio::task::spawn_blocking(move || forgotten(Path::new("/proc"), &running));
        // If the search is aborted, nothing was found; it changes nothing either.
        Ok(look.await.unwrap_or_default())
    }

    /// The container that publishes this host port.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn publisher(&self, port: u16) -> Result<Option<String>, EngineError> {
        let filters = HashMap::from([("publish", vec![port.to_string()])]);
        let options = ListContainersOptionsBuilder::default().filters(&filters).build();
        let listed = self.call("list the containers", self.client.list_containers(Some(options))).await?;
        let name = listed.into_iter().filter_map(|container| container.names).flatten().next();
        Ok(name.map(|name| name.trim_start_matches('/').to_owned()))
    }

    /// The running containers on the proxy's network.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn neighbours(&self, proxy: &ProxyName) -> Result<Vec<Neighbour>, EngineError> {
        let network = proxy.network();
        let filters = HashMap::from([("network", vec![network.clone()])]);
        let options = ListContainersOptionsBuilder::default().filters(&filters).build();
        let listed = self.call("list the containers", self.client.list_containers(Some(options))).await?;
        let neighbour = |container: bollard::models::ContainerSummary| {
            let networks = container.network_settings?.networks?;
            let address = networks.get(&network)?.ip_address.as_deref()?.parse().ok()?;
            let name = container.names?.first()?.trim_start_matches('/').to_owned();
            Some(Neighbour { name, address })
        };
        Ok(listed.into_iter().filter_map(neighbour).collect())
    }

    /// The output of a script in the proxy's container; `None` when it does not run.
    pub async fn in_proxy(&self, proxy: &ProxyName, script: &str) -> Option<String> {
        let command = ["sh", "-c", script].map(str::to_owned).to_vec();
        let dial = ExecDial::new(self.clone(), proxy.container(), command);
        let mut text = String::new();
        let read = async {
            let mut output = dial.dial().await.ok()?;
            output.read_to_string(&mut text).await.ok()
        };
        tokio::time::timeout(CALL_LIMIT, read).await.ok()??;
        Some(text)
    }
}

/// The expiry of the certificate in a PEM file.
///
/// # Errors
/// Why it cannot be read.
pub fn certificate_end(path: &Path) -> Result<jiff::Timestamp, String> {
    let certificate = CertificateDer::from_pem_file(path).map_err(|error| error.to_string())?;
    let info = CertificateInfo::read(path, &certificate).ok_or_else(|| "it is no X.509 certificate".to_owned())?;
    Ok(info.not_after)
}
