//! What the world consists of.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use deploy_apps::model::{
    AppKey, AppName, AppRecord, CanaryOrder, ContainerState, Dependency, DiskSpace, DockerHealth, DrainPolicy,
    Generation, Healthcheck, HostFile, InFlight, MountSource, NewContainer, ObservedApp, ObservedCertificate,
    ProjectName, ReleaseNumber, Role, StoredRelease, Subnet,
};
use deploy_apps::plan::Serving;
use tokio::time::Instant;

use super::Behaviour;

#[derive(Clone, Default)]
pub struct State {
    pub containers: BTreeMap<String, Container>,
    /// From tag to image id.
    pub tags: BTreeMap<String, String>,
    /// From the id of an image that we built to the digest of its source.
    pub built: BTreeMap<String, String>,
    /// What a registry would give for a reference.
    pub registry: BTreeMap<String, String>,
    pub published: BTreeMap<String, u32>,
    pub networks: BTreeMap<String, Vec<Subnet>>,
    pub volumes: BTreeSet<String>,
    /// From a network or volume to the project that it was made for.
    pub owners: BTreeMap<String, ProjectName>,
    /// What bind mounts lead to.
    pub host_files: BTreeMap<String, HostFile>,
    /// `None`: nobody can tell.
    pub disk: Option<DiskSpace>,
    /// How often an app's source was edited, by the last part of its context.
    pub sources: BTreeMap<String, u32>,

    pub generation: u64,
    pub apps: BTreeMap<AppKey, ObservedApp>,
    /// What the apps of the last flip had before it.
    pub before_flip: BTreeMap<AppKey, Option<AppRecord>>,
    /// What is kept of each release.
    pub stored: BTreeMap<(AppKey, ReleaseNumber), StoredRelease>,
    pub certificates: BTreeMap<String, ObservedCertificate>,
    /// What the CA says to the next orders; nothing: it gives what is asked for.
    pub ca_says: Vec<String>,
    /// The proxy is of a build that keeps no releases.
    pub proxy_is_old: bool,
    /// Requests a second to each release, and the releases of which every tenth fails.
    pub traffic: u64,
    pub failing: BTreeSet<ReleaseNumber>,
    pub counted_from: Option<Instant>,
    pub orders: BTreeMap<AppKey, CanaryOrder>,
    pub history: Vec<(AppKey, ReleaseNumber, String)>,
    /// From app to the token that holds it.
    pub leases: BTreeMap<AppKey, u64>,
    pub tokens: u64,
    pub open: Vec<Open>,
    /// The containers that were started, in order.
    pub starts: Vec<String>,
    /// Of each service of the run's project: what it depends on.
    pub depends: BTreeMap<AppName, Vec<Dependency>>,
    /// What the run was asked for by name; `None`: dependencies are not judged.
    pub named: Option<BTreeSet<AppName>>,
    pub proxy_down_until: Option<Instant>,
    /// The nginx that the last hand-over went to.
    pub serves: Option<u32>,

    pub scripts: Vec<(String, Behaviour)>,
    pub load_requests: Vec<Duration>,
    pub load_websockets: Vec<Duration>,
    pub wants: BTreeMap<AppKey, Desired>,
    /// Apps that shall serve no more.
    pub going: BTreeSet<AppKey>,
    /// Peers that were in a record and left it, and when.
    pub left: BTreeMap<String, Instant>,
    pub breaches: Vec<String>,
    /// The commands that were run in containers, in order, with the container's name.
    pub hooked: Vec<(String, String)>,
}

/// An open request or WebSocket.
#[derive(Debug, Clone)]
pub struct Open {
    pub peer: String,
    pub websocket: bool,
    pub ends: Instant,
}

/// What the laws need to know of an app's desired.
#[derive(Debug, Clone)]
pub struct Desired {
    pub start_first: bool,
    pub replicas: u32,
    pub drain: DrainPolicy,
    pub successes: u32,
    /// Nothing of it served when the run began, so an undo may lead back to that.
    pub first: bool,
    /// The peers that were dead already when the run began; an undo puts them back as they were.
    pub dead: BTreeSet<String>,
    /// What served together when the run began. To bring that back is no new writer.
    pub together: BTreeSet<String>,
}

#[derive(Debug, Clone)]
pub struct Container {
    pub new: NewContainer,
    pub image_id: String,
    pub behaviour: Behaviour,
    pub started: Option<Instant>,
    /// Known in advance, with its code.
    pub ends: Option<(Instant, i64)>,
    /// Probes in a row that the app answered well, since the last start.
    pub probed: u32,
    /// The engine was asked for its state since the last start, and said that it runs.
    pub asked: bool,
}

/// How long a container that nobody probes must be up before it counts as good.
const SETTLE: Duration = Duration::from_secs(1);

impl Container {
    pub fn state(&self, now: Instant) -> ContainerState {
        match (self.started, self.ends) {
            (None, _) => ContainerState::Created,
            (Some(_), Some((end, code))) if end <= now => ContainerState::Exited { code, oom_killed: false },
            (Some(_), _) => ContainerState::Running,
        }
    }

    pub fn runs(&self, now: Instant) -> bool {
        self.state(now) == ContainerState::Running
    }

    pub fn restarts(&self, now: Instant) -> u64 {
        let again = self.started.zip(self.behaviour.restarts_after).map(|(started, after)| started + after);
        again.is_some_and(|again| again <= now).into()
    }

    /// Whether the app in it answers well.
    pub fn healthy(&self, now: Instant) -> bool {
        let Some(started) = self.started.filter(|_| self.runs(now)) else { return false };
        let up = now - started;
        self.behaviour.healthy_after.is_some_and(|after| up >= after)
            && self.behaviour.ill_after.is_none_or(|after| up < after)
    }

    /// `None` without a HEALTHCHECK.
    pub fn health(&self, now: Instant) -> Option<DockerHealth> {
        let has_check = matches!(self.new.spec.healthcheck, Some(Healthcheck::Test { .. }))
            || matches!(self.new.labels.role, Role::Proxy | Role::ProxyInstance);
        let running = has_check && self.runs(now);
        running.then(|| if self.healthy(now) { DockerHealth::Healthy } else { DockerHealth::Starting })
    }

    pub fn address(&self) -> Option<Ipv4Addr> {
        self.new.spec.networks.iter().find_map(|network| network.address)
    }

    /// The named ones that it mounts.
    pub fn volumes(&self) -> impl Iterator<Item = &str> {
        self.new.spec.mounts.iter().filter_map(|mount| match &mount.source {
            MountSource::Volume(name) => Some(name.as_str()),
            MountSource::Bind(_) | MountSource::Image(_) | MountSource::Anonymous => None,
        })
    }

    pub fn settled(&self, now: Instant) -> bool {
        self.runs(now) && self.started.is_some_and(|started| now - started >= SETTLE)
    }

    pub fn key(&self) -> Option<AppKey> {
        let labels = &self.new.labels;
        let ours = matches!(labels.role, Role::Replica | Role::ReleaseCommand);
        ours.then(|| Some(AppKey { project: labels.project.clone()?, app: labels.service.clone()? })).flatten()
    }

    /// Counts from 0.
    pub fn begin(&mut self, now: Instant) {
        self.started = Some(now);
        self.ends = self.behaviour.exits_after.map(|(after, code)| (now + after, code));
        self.probed = 0;
        self.asked = false;
    }
}

impl State {
    pub fn record(&self, key: &AppKey) -> Option<&AppRecord> {
        self.apps.get(key)?.record.as_ref()
    }

    /// The app that has this container as a peer.
    pub fn server_of(&self, container: &str) -> Option<&AppKey> {
        self.apps
            .iter()
            .find(|(_, app)| app.record.as_ref().is_some_and(|record| record.serves(container)))
            .map(|x| x.0)
    }

    pub fn dead_peers(&self, key: &AppKey) -> BTreeSet<String> {
        self.peers_that(key, |container| !container.is_some_and(|container| container.runs(Instant::now())))
    }

    pub fn living_peers(&self, key: &AppKey) -> BTreeSet<String> {
        self.peers_that(key, |container| container.is_some_and(|container| container.runs(Instant::now())))
    }

    fn peers_that(&self, key: &AppKey, are: impl Fn(Option<&Container>) -> bool) -> BTreeSet<String> {
        let peers = self.record(key).into_iter().flat_map(|record| &record.peers).map(|peer| peer.id.clone());
        peers.filter(|peer| are(self.containers.get(peer))).collect()
    }

    pub fn in_flight(&self, peers: &[String]) -> InFlight {
        let now = Instant::now();
        let open = self.open.iter().filter(|open| open.ends > now && peers.contains(&open.peer));
        let (websockets, requests): (Vec<&Open>, Vec<&Open>) = open.partition(|open| open.websocket);
        InFlight { requests: requests.len() as u64, websockets: websockets.len() as u64 }
    }

    pub fn behaviour(&self, name: &str) -> Behaviour {
        let script = self.scripts.iter().rev().find(|(part, _)| name.contains(part.as_str()));
        match script {
            Some((_, behaviour)) => behaviour.clone(),
            // A release command does its work and ends.
            None if name.ends_with("-release") || name.contains("-pre-start-") => {
                Behaviour::exits_after(Duration::from_millis(100), 0)
            }
            None => Behaviour::default(),
        }
    }

    /// Which nginx serves: the one that was handed over to, else the first that there is.
    pub fn serving(&self) -> Serving {
        let numbers = self.containers.values().filter(|container| container.new.labels.role == Role::ProxyInstance);
        let first = numbers.filter_map(|container| container.new.labels.replica).min();
        Serving { instance: self.serves.or(first), retiring: Vec::new() }
    }

    pub fn proxy_answers(&self) -> bool {
        let now = Instant::now();
        let up = |role| {
            let mut all = self.containers.values();
            all.any(|container| container.new.labels.role == role && container.healthy(now))
        };
        up(Role::Proxy) && up(Role::ProxyInstance) && self.proxy_down_until.is_none_or(|until| until <= now)
    }

    pub fn generation_of(&self, key: &AppKey) -> Generation {
        self.apps.get(key).filter(|app| app.record.is_some()).map_or(Generation(0), |app| app.generation)
    }
}
