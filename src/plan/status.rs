//! How the apps stand right now, for people and programs who ask; what a deploy would make of it is [`super::drift`].

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::accessory_container::{is_of, standing as standing_container};
use super::drift::{Drift, drift};
use super::orphans::accessories_on_host;
use crate::model::{
    AppKey, AppName, AppRecord, AppTraffic, Canary, ContainerState, DockerHealth, HeldLease, InFlight, Lifetime,
    Maintenance, ObservedContainer, ObservedState, Pause, Project, ProxyOverview, ReleaseNumber, ReplicaCount,
    ReplicaSource, Role, identity,
};

/// What there is to know. Without an answer of the proxy it is not known who serves.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    pub observed: &'a ObservedState,
    /// By container id.
    pub lifetimes: &'a BTreeMap<String, Lifetime>,
    pub proxy: Option<&'a ProxyOverview>,
    /// Apps whose sources were compared.
    pub compared: &'a BTreeSet<AppName>,
}

/// In one word, how an app does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AppState {
    /// As many replicas as wanted, all well.
    Serving,
    /// Some serve, but fewer than wanted.
    Degraded,
    /// It shall serve, and no replica is well.
    Down,
    /// A stop-first deploy is between old and new: its requests wait at the proxy.
    Holding,
    /// Scaled to zero.
    AtRest,
    /// By `stop`; it would have replicas.
    Stopped,
    NotDeployed,
    /// The proxy does not answer.
    Unknown,
}

/// What a container is to its app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    Serving,
    /// Of a deploy under way, and not flipped in yet.
    Starting,
    /// Of a deploy under way, and flipped out.
    Draining,
    /// Nobody's: an interrupted run has left it, and the next one removes it.
    Leftover,
    /// The proxy does not answer.
    Unknown,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ReplicaStatus {
    pub name: String,
    pub part: Part,
    pub release: Option<ReleaseNumber>,
    pub version: Option<String>,
    /// `None` for what runs a release command.
    pub replica: Option<u32>,
    /// `None` when its container is gone although the proxy still routes to it.
    pub state: Option<ContainerState>,
    pub health: Option<DockerHealth>,
    /// The proxy could not reach it and leaves it out.
    pub ejected: bool,
    /// False: its container is not on the proxy's network, or not at the address that its requests are sent to.
    pub reachable: bool,
    pub lifetime: Lifetime,
    pub in_flight: InFlight,
}

impl ReplicaStatus {
    /// Whether requests that come to it are answered, as far as anybody can tell.
    #[must_use]
    pub fn is_well(&self) -> bool {
        let is_ill = self.health == Some(DockerHealth::Unhealthy) || self.ejected || !self.reachable;
        self.state == Some(ContainerState::Running) && !is_ill
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct AppStatus {
    pub app: AppKey,
    pub state: AppState,
    pub in_file: bool,
    /// The file has it no more, not even in a profile that is not chosen.
    pub orphan: bool,
    /// What serves, or served last.
    pub release: Option<ReleaseNumber>,
    pub version: Option<String>,
    /// `None` for what the compose file does not know any more.
    pub wanted: Option<ReplicaCount>,
    /// How many are well and get requests.
    pub serving: u32,
    /// Serving ones first, newest first.
    pub replicas: Vec<ReplicaStatus>,
    pub in_flight: InFlight,
    pub traffic: Option<AppTraffic>,
    /// `None` when it was not looked at, or could not be known in time.
    pub drift: Option<Vec<Drift>>,
    pub lease: Option<HeldLease>,
    /// What somebody has switched on.
    pub maintenance: Option<Maintenance>,
    /// It may be over by now.
    pub pause: Option<Pause>,
    /// The release on trial, which gets a share of the requests.
    pub canary: Option<Canary>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessoryStatus {
    pub service: AppName,
    /// `None` when it does not exist yet.
    pub state: Option<ContainerState>,
    pub health: Option<DockerHealth>,
    pub lifetime: Lifetime,
    pub in_file: bool,
    /// As of an app.
    pub orphan: bool,
    /// The compose file says other than what runs. A deploy leaves an accessory as it is. `None`: not known.
    pub differs: Option<bool>,
}

/// The apps of the file in its order, then those that only the host knows.
#[must_use]
pub fn app_statuses(project: &Project, seen: &Seen<'_>) -> Vec<AppStatus> {
    names(project, seen.observed).iter().map(|name| app_standing(project, name, seen)).collect()
}

/// Every app of this project, whether the file has it or only the host.
fn names(project: &Project, observed: &ObservedState) -> Vec<AppName> {
    let mut names: Vec<AppName> = project.apps.keys().cloned().collect();
    let recorded = observed.proxy.apps.iter().filter(|(_, known)| known.record.is_some()).map(|(key, _)| key);
    let recorded = recorded.filter(|key| key.project == project.name).map(|key| &key.app);
    let containers = observed.engine.containers.iter().filter_map(key_of);
    let containers: BTreeSet<AppKey> = containers.filter(|key| key.project == project.name).collect();
    let others: BTreeSet<&AppName> = recorded.chain(containers.iter().map(|key| &key.app)).collect();
    names.extend(others.into_iter().filter(|name| !project.apps.contains_key(*name)).cloned());
    names
}

fn key_of(container: &ObservedContainer) -> Option<AppKey> {
    let labels = &container.labels;
    let is_apps = matches!(labels.role, Role::Replica | Role::ReleaseCommand);
    let (Some(project), Some(app), true) = (&labels.project, &labels.service, is_apps) else { return None };
    Some(AppKey { project: project.clone(), app: app.clone() })
}

fn app_standing(project: &Project, name: &AppName, seen: &Seen<'_>) -> AppStatus {
    let key = project.key(name);
    let record = seen.observed.proxy.apps.get(&key).and_then(|known| known.record.as_ref());
    let file = project.apps.get(name);
    let memory = record.and_then(|record| record.scale);
    let wanted = file.map(|app| ReplicaCount::wanted(app.file_replicas(), memory));
    let lease = seen.proxy.and_then(|proxy| proxy.leases.iter().find(|lease| lease.app == key)).cloned();
    let replicas = replicas(&key, record, lease.is_some(), seen);
    let well = replicas.iter().filter(|replica| replica.part == Part::Serving && replica.is_well()).count();
    let serving = u32::try_from(well).unwrap_or(u32::MAX);
    let traffic = seen.proxy.and_then(|proxy| proxy.traffic.as_ref());
    AppStatus {
        // Without an answer and without a container there is nothing that could serve.
        state: state(record, wanted, serving, seen.proxy.is_some() || replicas.is_empty()),
        in_file: file.is_some(),
        orphan: is_orphan(project, name),
        release: record.map(|record| record.release),
        version: record.map(|record| record.version.clone()),
        wanted,
        serving,
        in_flight: replicas.iter().map(|replica| replica.in_flight).sum(),
        replicas,
        traffic: traffic.map(|traffic| traffic.apps.get(&key).cloned().unwrap_or_default()),
        drift: (seen.proxy.is_some() && seen.compared.contains(name)).then(|| drift(project, name, seen.observed)),
        lease,
        maintenance: record.and_then(|record| record.maintenance.clone()),
        pause: record.and_then(|record| record.pause.clone()),
        canary: record.and_then(|record| record.canary.clone()),
        app: key,
    }
}

fn state(record: Option<&AppRecord>, wanted: Option<ReplicaCount>, serving: u32, is_known: bool) -> AppState {
    let Some(record) = record else {
        return if is_known { AppState::NotDeployed } else { AppState::Unknown };
    };
    if record.peers.is_empty() {
        return match wanted {
            _ if record.hold_ms > 0 => AppState::Holding,
            Some(wanted) if wanted.count > 0 => AppState::Stopped,
            _ => AppState::AtRest,
        };
    }
    let recorded = u32::try_from(record.peers.len()).unwrap_or(u32::MAX);
    // Before a deploy has seen the file's new number, the old one is what shall serve.
    let scaled = wanted.filter(|wanted| wanted.source == ReplicaSource::Scaled).map_or(0, |wanted| wanted.count);
    match serving {
        0 => AppState::Down,
        serving if serving < recorded.max(scaled) => AppState::Degraded,
        _ => AppState::Serving,
    }
}

fn replicas(key: &AppKey, record: Option<&AppRecord>, is_leased: bool, seen: &Seen<'_>) -> Vec<ReplicaStatus> {
    let containers = seen.observed.engine.containers.iter().filter(|container| key_of(container).as_ref() == Some(key));
    let mut found: Vec<ReplicaStatus> = containers
        .map(|container| ReplicaStatus {
            name: container.name.clone(),
            part: part(container, record, is_leased, seen.proxy.is_some()),
            release: container.labels.release,
            version: container.labels.version.clone(),
            replica: container.labels.replica,
            state: Some(container.state),
            health: container.health,
            ejected: is_ejected(&container.name, seen),
            reachable: record.is_none_or(|record| !record.serves(&container.name) || record.reaches(container)),
            lifetime: seen.lifetimes.get(&container.id).copied().unwrap_or_default(),
            in_flight: in_flight(&container.name, seen),
        })
        .collect();
    let gone = record.iter().flat_map(|record| &record.peers);
    let gone: Vec<ReplicaStatus> = gone
        .filter(|peer| found.iter().all(|replica| replica.name != peer.id))
        .map(|peer| ReplicaStatus {
            name: peer.id.clone(),
            part: Part::Serving,
            release: Some(peer.release),
            version: Some(peer.version.clone()),
            replica: Some(peer.replica),
            state: None,
            health: None,
            ejected: is_ejected(&peer.id, seen),
            reachable: true,
            lifetime: Lifetime::default(),
            in_flight: in_flight(&peer.id, seen),
        })
        .collect();
    found.extend(gone);
    found.sort_by_key(|replica| (replica.part != Part::Serving, std::cmp::Reverse(replica.release), replica.replica));
    found
}

fn is_ejected(name: &str, seen: &Seen<'_>) -> bool {
    seen.proxy.is_some_and(|proxy| proxy.ejected.contains(name))
}

fn in_flight(name: &str, seen: &Seen<'_>) -> InFlight {
    seen.observed.proxy.in_flight.get(name).copied().unwrap_or_default()
}

fn part(container: &ObservedContainer, record: Option<&AppRecord>, is_leased: bool, is_known: bool) -> Part {
    if !is_known {
        return Part::Unknown;
    }
    if record.is_some_and(|record| record.serves(&container.name)) {
        return Part::Serving;
    }
    let newest = record.map(|record| record.release);
    match (is_leased, container.labels.release) {
        (false, _) => Part::Leftover,
        // Numbers rise, except for a rollback, whose old release is then the one that the record names.
        (true, release) if release < newest => Part::Draining,
        (true, _) => Part::Starting,
    }
}

fn is_orphan(project: &Project, name: &AppName) -> bool {
    !project.remembered && project.service(name).is_none() && !project.dormant.contains(name)
}

/// The accessories of the file, in its order; then those that only the host has.
#[must_use]
pub fn accessory_statuses(project: &Project, seen: &Seen<'_>) -> Vec<AccessoryStatus> {
    let standing = |(name, accessory): (&AppName, &crate::model::Accessory)| {
        // By its labels: a replacement counts on, and a `container_name` is any name.
        let container = standing_container(project, &accessory.service, seen.observed);
        let image = seen.observed.images.get(name);
        let differs = container.zip(image).map(|(container, image)| {
            // Of one that docker compose made only the image is known.
            let composed = container.labels.identity.is_empty();
            if composed {
                false
            } else {
                container.labels.identity != identity(image.identity(), &accessory.service.container)
            }
        });
        AccessoryStatus {
            service: name.clone(),
            state: container.map(|container| container.state),
            health: container.and_then(|container| container.health),
            lifetime: container.and_then(|container| seen.lifetimes.get(&container.id)).copied().unwrap_or_default(),
            in_file: true,
            orphan: false,
            differs,
        }
    };
    let engine = &seen.observed.engine;
    let others = accessories_on_host(&project.name, engine).into_iter();
    let others = others.filter(|name| !project.accessories.contains_key(*name)).filter_map(|name| {
        let own = engine.containers.iter().filter(|container| is_of(container, project, name));
        let container = own.max_by_key(|container| container.state == ContainerState::Running)?;
        Some(AccessoryStatus {
            service: name.clone(),
            state: Some(container.state),
            health: container.health,
            lifetime: seen.lifetimes.get(&container.id).copied().unwrap_or_default(),
            in_file: false,
            orphan: is_orphan(project, name),
            differs: None,
        })
    });
    project.accessories.iter().map(standing).chain(others).collect()
}
