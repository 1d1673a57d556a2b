//! What there is: one look at the engine and the proxy, in our own types.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use super::address::Subnet;
use super::composed::ComposeContainer;
use super::names::{AppKey, AppName, Generation, ProjectName, ReleaseNumber};
use super::observed_container::ObservedContainer;
use super::record::AppRecord;
use super::stored::StoredRelease;

/// Everything the planner may know of reality.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ObservedState {
    pub engine: ObservedEngine,
    pub proxy: ObservedProxy,
    /// Per service of the project: the image it would run, as far as it is known before a build.
    pub images: BTreeMap<AppName, ResolvedImage>,
    /// Per app that is looked at: what the proxy keeps of its releases, highest first.
    #[serde(default)]
    pub releases: BTreeMap<AppKey, Vec<StoredRelease>>,
    /// What bind mounts of the services lead to, by path; empty where the engine's host is not this machine.
    #[serde(default)]
    pub host_files: BTreeMap<String, HostFile>,
}

/// What there is at a path of the engine's host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostFile {
    Missing,
    /// A regular file with the digest of its content; `None` for one that is too large to be a configuration.
    File(Option<String>),
    /// A folder, a socket, a device.
    Other,
}

/// What the engine has. Containers of other projects on the same proxy are listed too: they hold addresses.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ObservedEngine {
    pub networks: Vec<ObservedNetwork>,
    pub volumes: BTreeSet<String>,
    /// Those of `volumes` that were made for a project, and for which.
    pub project_volumes: BTreeMap<String, ProjectName>,
    pub containers: Vec<ObservedContainer>,
    /// Images with our labels or our tags.
    pub images: Vec<ObservedImage>,
    /// Of the engine's machine, where that is this one; elsewhere they are not known.
    #[serde(default)]
    pub host_routes: Vec<HostRoute>,
    /// Those that docker compose made, of every project.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub composed: Vec<ComposeContainer>,
}

/// A network that the machine itself reaches, by which of its devices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostRoute {
    pub subnet: Subnet,
    pub device: String,
}

/// A running container on the proxy's network, whoever made it.
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
    /// How it was reached, such as `unix:///var/run/docker.sock`.
    pub address: String,
    /// The name or address of its host as we reach it; `None` for a socket of this machine.
    pub host: Option<String>,
    /// Whether published ports are reachable as `localhost` from here.
    pub local: bool,
}

/// A disk of the engine's host, in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskSpace {
    /// What lies on it, on the engine's host.
    pub path: String,
    pub size: u64,
    /// What an ordinary process may still write.
    pub free: u64,
}

impl DiskSpace {
    /// A build or a pull of less than this is rare. On a small disk a twentieth must do.
    const WANTED: u64 = 1 << 30;

    /// Bytes that must be free before a build or a pull begins, when nobody says another number.
    #[must_use]
    pub fn minimum(&self) -> u64 {
        Self::WANTED.min(self.size / 20)
    }
}

/// What an engine tells of its machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostFacts {
    pub name: String,
    pub system_time: Option<jiff::Timestamp>,
    /// The engine runs on this very machine.
    pub is_here: bool,
    /// In the engine's own words.
    pub warnings: Vec<String>,
}

/// A process in a container that its engine does not know any more; an engine killed in the middle of a start leaves such.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForgottenProcess {
    pub pid: u32,
    /// Without its arguments, which may hold secrets.
    pub program: String,
    /// The engine's id of it, in no list now.
    pub container: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedNetwork {
    pub id: String,
    pub name: String,
    pub subnets: Vec<Subnet>,
    /// The project that it was made for.
    pub project: Option<ProjectName>,
}

/// Something else at the address of a replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stranger {
    pub container: String,
    pub address: Ipv4Addr,
    /// The replica that the proxy takes it for, and its app.
    pub peer: String,
    pub app: AppKey,
}

/// Of what runs on the proxy's network, everything that gets a replica's requests without being it.
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
    /// The digest of the source that it was built from, for images that we built.
    pub source: Option<String>,
}

/// The image of a service before the plan is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResolvedImage {
    /// To be built from a source of this digest, or built already.
    Source { digest: String, built: Option<String> },
    /// Present on the engine under this id.
    Image { id: String },
}

impl ResolvedImage {
    /// The image's half of a release's identity.
    #[must_use]
    pub fn identity(&self) -> &str {
        match self {
            Self::Source { digest, .. } => digest,
            Self::Image { id } => id,
        }
    }
}

/// The proxy's state. Empty when there is no proxy yet.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ObservedProxy {
    pub generation: Generation,
    pub apps: BTreeMap<AppKey, ObservedApp>,
    /// Per peer id, for every peer with open requests, also those that get no new ones.
    pub in_flight: BTreeMap<String, InFlight>,
    /// It keeps releases and the number that `scale` has set. One of an older build does neither.
    #[serde(default)]
    pub keeps_releases: bool,
    /// It takes a record's `metrics`, and lists the replicas for a scraper. One of an older build refuses such a record.
    #[serde(default)]
    pub lists_targets: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ObservedApp {
    pub generation: Generation,
    /// The highest release number ever used.
    pub last_release: ReleaseNumber,
    /// The releases that ever got traffic, at most the last 50; the one that came last is at the end.
    #[serde(default)]
    pub served: Vec<ReleaseNumber>,
    /// `None` when the app has only history.
    pub record: Option<AppRecord>,
}

/// Open requests and open WebSockets.
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

    /// What of this came to its end by itself, where `cut` was left. A request that has become a WebSocket meanwhile is
    /// among those that were open as requests.
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
