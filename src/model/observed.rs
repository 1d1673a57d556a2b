//! The observed state: one snapshot of engine and proxy, in our own types.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use super::address::Subnet;
use super::certificate::ObservedCertificate;
use super::composed::ComposeContainer;
use super::features::Features;
use super::names::{AppKey, AppName, Generation, ProjectName, ReleaseNumber};
use super::observed_container::ObservedContainer;
use super::record::AppRecord;
use super::stored::StoredRelease;

/// Everything that the planner knows about the current state.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ObservedState {
    pub engine: ObservedEngine,
    pub proxy: ObservedProxy,
    /// The image of each service, as far as it is known before a build.
    pub images: BTreeMap<AppName, ResolvedImage>,
    /// The stored releases of each selected app, highest number first.
    #[serde(default)]
    pub releases: BTreeMap<AppKey, Vec<StoredRelease>>,
    /// The targets of bind mounts, by path; empty when the engine runs on another machine.
    #[serde(default)]
    pub host_files: BTreeMap<String, HostFile>,
}

/// What exists at a path of the engine's host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostFile {
    Missing,
    /// A regular file with the digest of its content; `None` when it is too large for a configuration file.
    File(Option<String>),
    /// A folder, a socket, a device.
    Other,
}

/// The state of the engine. It includes containers of other projects on the same proxy, as they hold addresses.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ObservedEngine {
    pub networks: Vec<ObservedNetwork>,
    pub volumes: BTreeSet<String>,
    /// The volumes that were created for a project, with the project.
    pub project_volumes: BTreeMap<String, ProjectName>,
    pub containers: Vec<ObservedContainer>,
    /// Images with our labels or tags.
    pub images: Vec<ObservedImage>,
    /// Routes of the engine's host; empty when it is another machine.
    #[serde(default)]
    pub host_routes: Vec<HostRoute>,
    /// Containers created by docker compose, of all projects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub composed: Vec<ComposeContainer>,
}

/// A network that the host reaches, and through which device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostRoute {
    pub subnet: Subnet,
    pub device: String,
}

/// A running container on the proxy's network, created by us or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbour {
    pub name: String,
    pub address: Ipv4Addr,
}

impl ObservedEngine {
    #[must_use]
    pub fn container(&self, name: &str) -> Option<&ObservedContainer> {
        let composed = self.composed.iter().map(|one| &one.container);
        self.containers.iter().chain(composed).find(|container| container.name == name)
    }

    #[must_use]
    pub fn network(&self, name: &str) -> Option<&ObservedNetwork> {
        self.networks.iter().find(|network| network.name == name)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineInfo {
    /// Such as `26.1.5`.
    pub version: String,
    /// Such as `1.45`.
    pub api: String,
    /// The address used, such as `unix:///var/run/docker.sock`.
    pub address: String,
    /// The host name or address of a remote engine; `None` for a local socket.
    pub host: Option<String>,
    /// Whether published ports are reachable at `localhost`.
    pub local: bool,
}

/// Disk space of the engine's host, in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskSpace {
    /// A path on the disk, on the engine's host.
    pub path: String,
    pub size: u64,
    /// Free space for unprivileged processes.
    pub free: u64,
}

impl DiskSpace {
    /// Enough for most builds and pulls. On a small disk, 1/20 of it is enough.
    const WANTED: u64 = 1 << 30;

    /// The default for the bytes that must be free before a build or a pull starts.
    #[must_use]
    pub fn minimum(&self) -> u64 {
        Self::WANTED.min(self.size / 20)
    }
}

/// Facts about the engine's host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostFacts {
    pub name: String,
    pub system_time: Option<jiff::Timestamp>,
    /// Whether the engine runs on this machine.
    pub is_here: bool,
    /// Warnings as reported by the engine.
    pub warnings: Vec<String>,
}

/// A process in a container that the engine no longer knows. It is left when the engine is killed while it starts a
/// container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForgottenProcess {
    pub pid: u32,
    /// The program without its arguments, which may contain secrets.
    pub program: String,
    /// The container's id, which the engine no longer lists.
    pub container: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedNetwork {
    pub id: String,
    pub name: String,
    pub subnets: Vec<Subnet>,
    /// The project that it was created for.
    pub project: Option<ProjectName>,
}

/// A foreign container at the address of a replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stranger {
    pub container: String,
    pub address: Ipv4Addr,
    /// The replica that the proxy expects there, and its app.
    pub peer: String,
    pub app: AppKey,
}

/// The neighbours that receive a replica's requests without being that replica.
#[must_use]
pub fn strangers_among(proxy: &ObservedProxy, neighbours: &[Neighbour]) -> Vec<Stranger> {
    let records = proxy.apps.iter().filter_map(|(key, known)| Some((key, known.record.as_ref()?)));
    let peers = records.flat_map(|(key, record)| record.peers.iter().map(move |peer| (key, peer)));
    let stranger = |(key, peer): (&AppKey, &super::record::Peer)| {
        let other = neighbours.iter().find(|other| other.address == peer.address && other.name != peer.id)?;
        let (container, address) = (other.name.clone(), other.address);
        Some(Stranger { container, address, peer: peer.id.clone(), app: key.clone() })
    };
    peers.filter_map(stranger).collect()
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedImage {
    pub id: String,
    pub tags: Vec<String>,
    /// The digest of the source, for images that we built.
    pub source: Option<String>,
}

/// The image of a service at planning time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResolvedImage {
    /// Built from a source with this digest; `built` is set when the image exists.
    Source { digest: String, built: Option<String> },
    /// An image that exists on the engine.
    Image { id: String },
}

impl ResolvedImage {
    /// The image part of a release's identity.
    #[must_use]
    pub fn identity(&self) -> &str {
        match self {
            Self::Source { digest, .. } => digest,
            Self::Image { id } => id,
        }
    }
}

/// The proxy's state; empty when there is no proxy yet.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ObservedProxy {
    pub generation: Generation,
    pub apps: BTreeMap<AppKey, ObservedApp>,
    /// Open requests by peer id, also of peers that get no new requests.
    pub in_flight: BTreeMap<String, InFlight>,
    /// What it knows besides the first version of the control API.
    #[serde(default)]
    pub features: Features,
    /// By host.
    #[serde(default)]
    pub certificates: BTreeMap<String, ObservedCertificate>,
}

impl ObservedProxy {
    /// It keeps releases and the number that `scale` has set. One of an older build does neither.
    #[must_use]
    pub fn keeps_releases(&self) -> bool {
        self.features.knows(Features::RELEASES)
    }

    /// It serves HTTPS and keeps certificates. One of an older build does neither.
    #[must_use]
    pub fn keeps_certificates(&self) -> bool {
        self.features.knows(Features::CERTIFICATES)
    }

    /// It works with a container that gets certificates by ACME.
    #[must_use]
    pub fn knows_acme(&self) -> bool {
        self.features.knows(Features::ACME)
    }

    /// Those of this project's hosts.
    pub fn certificates_of(&self, project: &ProjectName) -> impl Iterator<Item = &ObservedCertificate> {
        let routed = |host: &str| {
            let apps = self.apps.iter().filter(|(key, _)| key.project == *project);
            let mut routes = apps.filter_map(|(_, known)| known.record.as_ref()).flat_map(|record| &record.routes);
            routes.any(|route| route.host.as_deref() == Some(host))
        };
        let own = move |one: &&ObservedCertificate| one.project.as_ref() == Some(project) || routed(&one.host);
        self.certificates.values().filter(own)
    }
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ObservedApp {
    pub generation: Generation,
    /// The highest release number that was ever used.
    pub last_release: ReleaseNumber,
    /// The releases that have served, at most the last 50, the latest last.
    #[serde(default)]
    pub served: Vec<ReleaseNumber>,
    /// `None` when the app has only history.
    pub record: Option<AppRecord>,
}

/// Numbers of open requests and WebSockets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InFlight {
    pub requests: u64,
    pub websockets: u64,
}

impl InFlight {
    #[must_use]
    pub fn is_zero(self) -> bool {
        self.requests == 0 && self.websockets == 0
    }

    /// The part of these that ended by itself, when `cut` were left. A request that was upgraded to a WebSocket
    /// meanwhile counts as the request that was open before.
    #[must_use]
    pub fn finished(self, cut: Self) -> Self {
        let upgraded = cut.websockets.saturating_sub(self.websockets);
        Self {
            requests: self.requests.saturating_sub(cut.requests).saturating_sub(upgraded),
            websockets: self.websockets.saturating_sub(cut.websockets),
        }
    }
}

impl std::iter::Sum for InFlight {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), |sum, next| Self {
            requests: sum.requests.saturating_add(next.requests),
            websockets: sum.websockets.saturating_add(next.websockets),
        })
    }
}
