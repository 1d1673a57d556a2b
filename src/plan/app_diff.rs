//! How an app stands: what serves, what may stay, what must go, and which release it shall be.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::desired::kept;
use super::images::release_of_tag;
use super::mounted::changed;
use crate::model::{
    App, AppKey, AppRecord, ContainerSpec, Features, Generation, ObservedApp, ObservedContainer, ObservedState, Peer,
    Project, ReleaseNumber, Role, StoredRelease, identity,
};

/// One app's reality, sorted by what it means for the desired state.
#[derive(Debug)]
pub(super) struct AppDiff<'a> {
    pub key: AppKey,
    /// What serves, or would serve again if this run were undone.
    pub record: Option<AppRecord>,
    /// Nothing serves at the moment: the proxy holds the requests since a stop-first run was killed.
    pub held: bool,
    pub generation: Generation,
    /// The identity that the wanted release has.
    pub identity: String,
    /// What its containers look like, without what differs from replica to replica.
    pub spec: ContainerSpec,
    /// Serving replicas of the wanted release, fit to go on, newest first.
    pub keep: Vec<&'a ObservedContainer>,
    /// Peers in the record that shall no longer serve, whether their container still exists or not.
    pub outgoing: Vec<Outgoing<'a>>,
    /// Containers of the app that do not serve: what an interrupted run has left.
    pub leftovers: Vec<&'a ObservedContainer>,
    /// The release that serves, or served last.
    pub from: Option<ReleaseNumber>,
    /// The release that shall serve.
    pub release: ReleaseNumber,
    /// Whether `release` is a number that was never used.
    pub is_new: bool,
    /// What runs has higher numbers than the proxy has ever given: its state is older, as after a restored volume.
    pub is_ahead: bool,
    /// A file that is mounted read-only, and that is another one since the release was made that would be kept else.
    pub changed_file: Option<String>,
}

/// A peer that goes.
#[derive(Debug)]
pub(super) struct Outgoing<'a> {
    pub id: String,
    pub container: Option<&'a ObservedContainer>,
}

impl<'a> AppDiff<'a> {
    pub(super) fn of(
        project: &Project,
        app: &App,
        spec: ContainerSpec,
        observed: &'a ObservedState,
        force: bool,
        replicas: u32,
        pinned: Option<&StoredRelease>,
    ) -> Self {
        let key = project.key(&app.service.name);
        let known = observed.proxy.apps.get(&key);
        // Another run's canary is none of this one's: it ends with the lease that this run gets.
        let stable = known.and_then(|known| known.record.as_ref()).map(AppRecord::without_canary);
        let record = stable.as_ref();
        let image = observed.images.get(&app.service.name).map_or("", |image| image.identity());
        // A kept release stays what it was, also where the project around it has changed since.
        let identity = pinned.map_or_else(|| identity(image, &spec), |stored| stored.identity.clone());

        let own: Vec<&ObservedContainer> =
            observed.engine.containers.iter().filter(|container| belongs(container, &key)).collect();
        let serves = |container: &ObservedContainer| record.is_some_and(|record| record.serves(&container.name));
        // An interrupted batch leaves two releases serving; the newer one of the wanted identity is resumed.
        let current = own
            .iter()
            .filter(|container| !force && serves(container) && container.labels.identity == identity)
            .filter_map(|container| container.labels.release)
            .max();
        // Scaled to zero there is no container left to tell the identity, only what is kept of the release.
        let differs = |release| kept(&key, observed, release).is_some_and(|stored| stored.identity != identity);
        let at_rest = record.filter(|record| replicas == 0 && record.peers.is_empty() && !force);
        let at_rest = at_rest.map(|record| record.release).filter(|release| !differs(*release));
        let current = pinned.map(|stored| stored.number).or(current).or(at_rest);
        // Written by others alone, such a file is part of the configuration; one that the app may write changes by itself.
        let changed_file = current.filter(|_| pinned.is_none()).and_then(|release| {
            let stored = kept(&key, observed, release)?;
            let path = changed(stored, &spec, observed).find(|mount| mount.read_only)?.bind_source()?;
            Some(path.to_owned())
        });
        let current = current.filter(|_| changed_file.is_none());
        let mut keep: Vec<&ObservedContainer> = own
            .iter()
            .copied()
            .filter(|container| !force && current.is_some() && serves(container))
            .filter(|container| container.labels.release == current)
            .filter(|container| container.labels.identity == identity && container.is_well())
            .filter(|container| record.is_some_and(|record| record.reaches(container)))
            .collect();
        // The newest stay: the highest number is then always in sight, so that no replica's name is used twice.
        keep.sort_by_key(|container| Reverse(container.labels.replica));
        keep.truncate(replicas as usize);

        let by_name: BTreeMap<&str, &ObservedContainer> =
            own.iter().map(|container| (container.name.as_str(), *container)).collect();
        let ahead: Vec<&ObservedContainer> =
            own.iter().copied().filter(|container| is_ahead(container, known) && container.is_well()).collect();
        let restored = match ahead.is_empty() {
            true => record.map(|record| restored(record, app, &own)),
            false => Some(caught_up(project, record, app, &ahead, &observed.proxy.features)),
        };
        let outgoing = restored
            .iter()
            .flat_map(|record| &record.peers)
            .filter(|peer| !keep.iter().any(|container| container.name == peer.id))
            .map(|peer| Outgoing { id: peer.id.clone(), container: by_name.get(peer.id.as_str()).copied() })
            .collect();
        let goes =
            |container: &ObservedContainer| !restored.as_ref().is_some_and(|record| record.serves(&container.name));
        let leftovers = own.iter().copied().filter(|container| goes(container)).collect();

        let used = last_release(&key, observed, &own);
        Self {
            from: restored.as_ref().map(|record| record.release),
            is_ahead: !ahead.is_empty(),
            changed_file,
            held: record.is_some_and(|record| record.peers.is_empty() && record.hold_ms > 0),
            record: restored,
            generation: known
                .map_or(Generation(0), |known| if known.record.is_some() { known.generation } else { Generation(0) }),
            identity,
            spec,
            keep,
            outgoing,
            leftovers,
            release: current.unwrap_or_else(|| used.next()),
            is_new: current.is_none(),
            key,
        }
    }
}

/// A stop-first run that was killed while the proxy held the requests has left a record without peers. The replicas
/// that it was about to stop and that still run count as its peers: the next run takes them out in its turn, and
/// should it fail, they serve again.
fn restored(record: &AppRecord, app: &App, own: &[&ObservedContainer]) -> AppRecord {
    if !record.peers.is_empty() || record.hold_ms == 0 {
        return record.clone();
    }
    let before = own.iter().filter(|container| {
        let labels = &container.labels;
        labels.role == Role::Replica && labels.release == Some(record.release) && container.is_well()
    });
    let peers: Vec<Peer> = before.filter_map(|container| peer(container, app)).collect();
    let hold_ms = if peers.is_empty() { record.hold_ms } else { 0 };
    AppRecord { peers, hold_ms, ..record.clone() }
}

fn peer(container: &ObservedContainer, app: &App) -> Option<Peer> {
    Some(Peer {
        id: container.name.clone(),
        address: container.address?,
        port: app.port,
        release: container.labels.release?,
        replica: container.labels.replica?,
        version: container.labels.version.clone()?,
    })
}

/// Whether a replica is of a release that the proxy has never heard of. A number is written into the proxy's history before
/// anything of the release is made, so the proxy's state was lost, or an older one was restored: the labels know better.
pub(super) fn is_ahead(container: &ObservedContainer, known: Option<&ObservedApp>) -> bool {
    let told = known.map_or(ReleaseNumber(0), |known| known.last_release);
    container.labels.role == Role::Replica && container.labels.release.is_some_and(|release| release > told)
}

/// The record as it would be, had the proxy's state not been lost: with the replicas that run. They get no traffic by it,
/// as nobody has seen them healthy; but they go only when others have taken their place.
fn caught_up(
    project: &Project,
    record: Option<&AppRecord>,
    app: &App,
    ahead: &[&ObservedContainer],
    features: &Features,
) -> AppRecord {
    let peers: Vec<Peer> = ahead.iter().filter_map(|container| peer(container, app)).collect();
    let newest = peers.iter().max_by_key(|peer| peer.release);
    let (release, version) = newest.map(|peer| (peer.release, peer.version.clone())).unwrap_or_default();
    match record {
        Some(record) => AppRecord {
            release,
            version,
            hold_ms: 0,
            peers: record.peers.iter().cloned().chain(peers).collect(),
            ..record.clone()
        },
        None => AppRecord {
            routes: app.routes.clone(),
            settings: app.settings.known_to(features),
            peers,
            ..AppRecord::new(project.key(&app.service.name), release, version)
        },
    }
}

/// Whether it is a replica or a release command of the app.
pub(super) fn belongs(container: &ObservedContainer, key: &AppKey) -> bool {
    let labels = &container.labels;
    matches!(labels.role, Role::Replica | Role::ReleaseCommand)
        && labels.project.as_ref() == Some(&key.project)
        && labels.service.as_ref() == Some(&key.app)
}

/// The highest number that any trace of the app shows: a number is never used twice, not even after a failure.
fn last_release(key: &AppKey, observed: &ObservedState, own: &[&ObservedContainer]) -> ReleaseNumber {
    let in_history = observed.proxy.apps.get(key).map(|known| known.last_release);
    let in_containers = own.iter().filter_map(|container| container.labels.release);
    let in_tags =
        observed.engine.images.iter().flat_map(|image| &image.tags).filter_map(|tag| release_of_tag(key, tag));
    in_history.into_iter().chain(in_containers).chain(in_tags).max().unwrap_or_default()
}
