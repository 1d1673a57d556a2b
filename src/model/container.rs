//! The desired state of a container: the engine-independent form of everything compose can say about it.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::address::Subnet;
use super::files::ContainerFile;
use super::hooks::Hooks;
use super::keys::{Dns, EndpointOptions, HostAccess, MountOptions, NetworkSettings, Shares, is_default};
use super::label::Label;
use super::names::{AppName, ProjectName, ProxyName, ReleaseNumber};
use super::tuning::ProxyTuning;

/// The part of a service that is sent to the engine. Equal specs create equal containers, so its hash is half of a
/// release's identity.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerSpec {
    /// `None` keeps the image's entrypoint; an empty list clears it.
    pub entrypoint: Option<Vec<String>>,
    pub command: Option<Vec<String>>,
    pub environment: IndexMap<String, String>,
    pub user: Option<String>,
    pub working_dir: Option<String>,
    pub hostname: Option<String>,
    pub init: bool,
    pub read_only: bool,
    pub labels: IndexMap<String, String>,
    pub mounts: Vec<Mount>,
    pub tmpfs: Vec<Tmpfs>,
    pub networks: Vec<NetworkAttachment>,
    /// `name:address` entries, as the engine expects them.
    pub extra_hosts: Vec<String>,
    pub cap_add: Vec<String>,
    pub cap_drop: Vec<String>,
    pub security_opt: Vec<String>,
    pub ulimits: Vec<Ulimit>,
    pub sysctls: BTreeMap<String, String>,
    pub logging: Option<Logging>,
    /// Set when the service has no `logging` and the engine writes logs to local files.
    #[serde(skip_serializing_if = "is_default")]
    pub log_limit: Option<LogLimit>,
    pub resources: Resources,
    pub restart: Restart,
    /// `None`: the image's signal, or SIGTERM.
    pub stop_signal: Option<String>,
    /// From the stop signal to SIGKILL; `None`: the engine's default of 10 s.
    pub stop_grace: Option<Duration>,
    pub healthcheck: Option<Healthcheck>,
    /// Published host ports. Empty for a rolled app, whose replicas would compete for them.
    pub ports: Vec<PortBinding>,
    #[serde(skip_serializing_if = "is_default")]
    pub annotations: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "is_default")]
    pub dns: Dns,
    #[serde(skip_serializing_if = "is_default")]
    pub host: HostAccess,
    #[serde(skip_serializing_if = "is_default")]
    pub shares: Shares,
    /// Such as `linux/arm64`; `None`: the engine's platform.
    #[serde(skip_serializing_if = "is_default")]
    pub platform: Option<String>,
    #[serde(skip_serializing_if = "is_default")]
    pub tty: bool,
    #[serde(skip_serializing_if = "is_default")]
    pub stdin_open: bool,
    /// `container` or `container:ro` entries.
    #[serde(skip_serializing_if = "is_default")]
    pub volumes_from: Vec<String>,
    /// Files of secrets and configs.
    #[serde(skip_serializing_if = "is_default")]
    pub files: Vec<ContainerFile>,
    #[serde(skip_serializing_if = "is_default")]
    pub hooks: Hooks,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    pub source: MountSource,
    pub target: String,
    pub read_only: bool,
    #[serde(default, skip_serializing_if = "is_default")]
    pub options: MountOptions,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MountSource {
    /// The volume's name on the engine, including the project prefix.
    Volume(String),
    /// An absolute path on the engine's host.
    Bind(String),
    /// An image reference.
    Image(String),
    /// A new volume for each container.
    #[default]
    Anonymous,
}

impl Mount {
    /// The host path of a bind mount.
    #[must_use]
    pub fn bind_source(&self) -> Option<&str> {
        match &self.source {
            MountSource::Bind(path) => Some(path),
            MountSource::Volume(_) | MountSource::Image(_) | MountSource::Anonymous => None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tmpfs {
    pub target: String,
    /// Mount options such as `size=64m,mode=1777`; may be empty.
    pub options: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkAttachment {
    /// The network's name on the engine, including the project prefix.
    pub network: String,
    pub aliases: Vec<String>,
    /// Set by the plan for a replica, and by the compose file for an accessory.
    pub address: Option<Ipv4Addr>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub options: EndpointOptions,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ulimit {
    pub name: String,
    pub soft: i64,
    pub hard: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logging {
    /// Empty: the engine's default.
    pub driver: String,
    pub options: BTreeMap<String, String>,
}

/// Log rotation: the number of files, and the size of each in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLimit {
    pub files: u32,
    pub file_bytes: u64,
}

/// Resource limits; `None` is unlimited.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// CPUs in units of 10⁻⁹.
    pub nano_cpus: Option<i64>,
    pub memory_bytes: Option<i64>,
    pub memory_reservation_bytes: Option<i64>,
    pub pids: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    #[default]
    No,
    Always,
    UnlessStopped,
    OnFailure(Option<u32>),
}

/// The engine's health check, from compose's `healthcheck`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Healthcheck {
    /// Disables the check of the image.
    Disabled,
    Test {
        /// `["CMD", …]` or `["CMD-SHELL", "…"]`; empty keeps the image's test and changes only its timing.
        test: Vec<String>,
        interval: Option<Duration>,
        timeout: Option<Duration>,
        retries: Option<u32>,
        start_period: Option<Duration>,
        start_interval: Option<Duration>,
    },
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortBinding {
    /// `None`: all addresses of the host.
    pub host_ip: Option<String>,
    /// `None`: the engine picks a port.
    pub host_port: Option<u16>,
    /// End of a range: the engine picks the first free port from `host_port` to this one.
    #[serde(default, skip_serializing_if = "is_default")]
    pub host_port_end: Option<u16>,
    pub container_port: u16,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
}

/// The purpose of one of our containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    Replica,
    Accessory,
    ReleaseCommand,
    /// Created by `deploy-apps run`. It never serves requests, and deploys ignore it.
    OneOff,
    /// Has the published ports; a proxy of before is nothing but this.
    Proxy,
    /// Gets certificates by ACME for the proxy.
    Certificates,
    /// An nginx that serves behind it.
    ProxyInstance,
}

/// Our labels on a container, in typed form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnLabels {
    pub role: Role,
    pub proxy: ProxyName,
    /// `None` for the proxy, which belongs to the host.
    pub project: Option<ProjectName>,
    pub service: Option<AppName>,
    pub release: Option<ReleaseNumber>,
    pub replica: Option<u32>,
    pub version: Option<String>,
    /// Hash of image and effective configuration; see [`super::release::identity`].
    pub identity: String,
    /// Set for the proxy only.
    #[serde(default, skip_serializing_if = "is_default")]
    pub tuning: Option<ProxyTuning>,
}

impl OwnLabels {
    /// The number of the container that has a proxy's ports; those of its nginx containers count from 1.
    pub const HOLDER: u32 = 0;

    /// Whether it has a proxy's ports for nginx containers, and is none itself.
    #[must_use]
    pub fn is_holder(&self) -> bool {
        self.role == Role::Proxy && self.replica == Some(Self::HOLDER)
    }

    /// The labels as stored on the engine.
    #[must_use]
    pub fn to_map(&self) -> BTreeMap<String, String> {
        let role = match self.role {
            Role::Replica => "replica",
            Role::Accessory => "accessory",
            Role::ReleaseCommand => "release-command",
            Role::OneOff => "one-off",
            Role::Proxy => "proxy",
            Role::Certificates => "certificates",
            Role::ProxyInstance => "proxy-instance",
        };
        let optional = [
            (Label::PROJECT, self.project.as_ref().map(ToString::to_string)),
            (Label::SERVICE, self.service.as_ref().map(ToString::to_string)),
            (Label::RELEASE, self.release.map(|release| release.0.to_string())),
            (Label::REPLICA, self.replica.map(|replica| replica.to_string())),
            (Label::VERSION, self.version.clone()),
            (Label::TUNING, self.tuning.map(|tuning| tuning.to_string())),
        ];
        let fixed = [
            (Label::ROLE, role.to_owned()),
            (Label::PROXY, self.proxy.to_string()),
            (Label::IDENTITY, self.identity.clone()),
        ];
        let present = optional.into_iter().filter_map(|(key, value)| Some((key, value?)));
        fixed.into_iter().chain(present).map(|(key, value)| (key.to_owned(), value)).collect()
    }

    /// Parses a container's labels; `None` when it is not one of ours, or its format is unknown.
    #[must_use]
    pub fn from_map(labels: &BTreeMap<String, String>) -> Option<Self> {
        let role = match labels.get(Label::ROLE)?.as_str() {
            "replica" => Role::Replica,
            "accessory" => Role::Accessory,
            "release-command" => Role::ReleaseCommand,
            "one-off" => Role::OneOff,
            "proxy" => Role::Proxy,
            "certificates" => Role::Certificates,
            "proxy-instance" => Role::ProxyInstance,
            _ => return None,
        };
        Some(Self {
            role,
            proxy: labels.get(Label::PROXY)?.parse().ok()?,
            project: labels.get(Label::PROJECT).and_then(|text| text.parse().ok()),
            service: labels.get(Label::SERVICE).and_then(|text| text.parse().ok()),
            release: labels.get(Label::RELEASE).and_then(|text| text.parse().ok()).map(ReleaseNumber),
            replica: labels.get(Label::REPLICA).and_then(|text| text.parse().ok()),
            version: labels.get(Label::VERSION).cloned(),
            identity: labels.get(Label::IDENTITY).cloned().unwrap_or_default(),
            tuning: labels.get(Label::TUNING).and_then(|text| text.parse().ok()),
        })
    }
}

/// The complete description of a container to create.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewContainer {
    pub name: String,
    /// A tag or id that exists on the engine when the container is created.
    pub image: String,
    pub spec: ContainerSpec,
    pub labels: OwnLabels,
}

/// A network to create.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewNetwork {
    pub name: String,
    pub project: Option<ProjectName>,
    pub proxy: ProxyName,
    /// `None`: the engine picks one, as for a project's networks.
    pub subnet: Option<Subnet>,
    pub dynamic_range: Option<Subnet>,
    pub gateway: Option<Ipv4Addr>,
    pub settings: NetworkSettings,
}
