//! New containers of an app, complete with names, addresses and environment.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use super::app_diff::AppDiff;
use super::hosts::lead_to_proxy;
use super::refusal::PlanRefused;
use super::step::Gate;
use crate::model::{
    AddressPool, App, AppName, Condition, ContainerSpec, Healthcheck, Hook, Hooks, NetworkAttachment, NewContainer,
    ObservedContainer, ObservedState, OwnLabels, Peer, Project, Release, Restart, Role,
};

/// How long a container that nobody can probe must stay up before it counts as started.
pub(super) const SETTLE: Duration = Duration::from_secs(1);

/// A replica to create: its container and its place in the proxy's record.
#[derive(Debug, Clone)]
pub(super) struct NewReplica {
    pub container: NewContainer,
    pub peer: Peer,
}

/// Everything about an app's containers that does not differ from replica to replica.
///
/// The proxy's network comes last, so that an app's own networks keep their order.
pub(super) fn effective_spec(project: &Project, app: &App, pool: AddressPool) -> ContainerSpec {
    let mut spec = app.service.container.clone();
    // Apps reach each other through the proxy, so that a deploy of one is not felt by the others.
    lead_to_proxy(&mut spec.extra_hosts, project.hosts.iter().map(AppName::as_str), pool);
    spec.environment.insert("DEPLOY_APPS_PROJECT".to_owned(), project.name.to_string());
    spec.environment.insert("DEPLOY_APPS_APP".to_owned(), app.service.name.to_string());
    spec.networks.push(NetworkAttachment { network: project.proxy.name.network(), ..NetworkAttachment::default() });
    spec
}

/// `count` replicas with numbers that nothing of this release has right now: neither a container, running or not, nor a
/// peer whose container is gone, nor what still has requests open. So no count of one is ever taken for another's.
#[expect(clippy::too_many_arguments, reason = "what a replica is made from, each a thing of its own")]
pub(super) fn new_replicas(
    project: &Project,
    app: &App,
    observed: &ObservedState,
    situation: &AppDiff<'_>,
    release: &Release,
    count: u32,
    pool: AddressPool,
    taken: &mut BTreeSet<Ipv4Addr>,
) -> Result<Vec<NewReplica>, PlanRefused> {
    let of_release = |container: &&ObservedContainer| container.labels.release == Some(release.number);
    let existing = situation.keep.iter().chain(&situation.leftovers).copied();
    let outgoing = situation.outgoing.iter().filter_map(|outgoing| outgoing.container);
    let existing = existing.chain(outgoing).filter(of_release).filter_map(|container| container.labels.replica);
    let peers = situation.record.iter().flat_map(|record| &record.peers);
    let peers = peers.filter(|peer| peer.release == release.number).map(|peer| peer.replica);
    let prefix = format!("{}-{}-{}-", project.name, app.service.name, release.number);
    let busy = observed.proxy.in_flight.iter().filter(|(_, open)| !open.is_zero());
    let busy = busy.filter_map(|(id, _)| id.strip_prefix(&prefix)?.parse().ok());
    let used = existing.chain(peers).chain(busy).max().unwrap_or(0);
    (used + 1..=used + count)
        .map(|number| {
            let name = format!("{}-{}-{}-{number}", project.name, app.service.name, release.number);
            let address = pool
                .replica(&name, taken)
                .ok_or_else(|| PlanRefused::NoAddress { app: situation.key.clone(), subnet: pool.subnet() })?;
            taken.insert(address);
            Ok(replica(project, app, situation, release, number, name, address))
        })
        .collect()
}

fn replica(
    project: &Project,
    app: &App,
    situation: &AppDiff<'_>,
    release: &Release,
    number: u32,
    name: String,
    address: Ipv4Addr,
) -> NewReplica {
    let mut spec = situation.spec.clone();
    for (key, value) in
        [("RELEASE", release.number.to_string()), ("VERSION", release.version.clone()), ("REPLICA", number.to_string())]
    {
        spec.environment.insert(format!("DEPLOY_APPS_{key}"), value);
    }
    if let Some(attachment) = spec.networks.last_mut() {
        attachment.address = Some(address);
    }
    let peer = Peer {
        id: name.clone(),
        address,
        port: app.port,
        release: release.number,
        replica: number,
        version: release.version.clone(),
    };
    let container = NewContainer {
        name,
        image: release.image.clone(),
        spec,
        labels: labels(project, situation, release, Role::Replica, Some(number)),
    };
    NewReplica { container, peer }
}

/// The container that runs the release command: the new image with the app's own environment, networks and volumes,
/// without an address and without a restart.
pub(super) fn release_command(
    project: &Project,
    app: &App,
    situation: &AppDiff<'_>,
    release: &Release,
    command: &[String],
) -> NewContainer {
    let hook = Hook { command: command.to_vec(), ..Hook::default() };
    once(project, app, situation, release, "release", &hook)
}

/// The container of the `number`th `pre_start`: as that of a release command, in another image if it names one.
pub(super) fn pre_start_of(
    project: &Project,
    app: &App,
    situation: &AppDiff<'_>,
    release: &Release,
    number: usize,
    hook: &Hook,
) -> NewContainer {
    once(project, app, situation, release, &format!("pre-start-{number}"), hook)
}

fn once(
    project: &Project,
    app: &App,
    situation: &AppDiff<'_>,
    release: &Release,
    what: &str,
    hook: &Hook,
) -> NewContainer {
    let mut spec = situation.spec.clone();
    for (key, value) in [("RELEASE", release.number.to_string()), ("VERSION", release.version.clone())] {
        spec.environment.insert(format!("DEPLOY_APPS_{key}"), value);
    }
    NewContainer {
        name: format!("{}-{}-{}-{what}", project.name, app.service.name, release.number),
        image: hook.image.clone().unwrap_or_else(|| release.image.clone()),
        spec: run_once_spec(spec, hook),
        labels: labels(project, situation, release, Role::ReleaseCommand, None),
    }
}

/// A service's container that runs one command and ends: without an address, a restart, ports or hooks.
pub(super) fn run_once_spec(mut spec: ContainerSpec, hook: &Hook) -> ContainerSpec {
    spec.command = (!hook.command.is_empty()).then(|| hook.command.clone()).or(spec.command);
    spec.restart = Restart::No;
    spec.healthcheck = Some(Healthcheck::Disabled);
    spec.ports = Vec::new();
    spec.hooks = Hooks::default();
    spec.host.privileged |= hook.privileged;
    if hook.image.is_some() {
        // The service's entrypoint is a program of the service's image.
        spec.entrypoint = None;
    }
    if hook.user.is_some() {
        spec.user.clone_from(&hook.user);
    }
    if hook.working_dir.is_some() {
        spec.working_dir.clone_from(&hook.working_dir);
    }
    spec.environment.extend(hook.environment.clone());
    for network in &mut spec.networks {
        network.address = None;
        network.options = crate::model::EndpointOptions::default();
    }
    spec
}

fn labels(
    project: &Project,
    situation: &AppDiff<'_>,
    release: &Release,
    role: Role,
    replica: Option<u32>,
) -> OwnLabels {
    OwnLabels {
        role,
        proxy: project.proxy.name.clone(),
        project: Some(project.name.clone()),
        service: Some(situation.key.app.clone()),
        release: Some(release.number),
        replica,
        version: Some(release.version.clone()),
        identity: situation.identity.clone(),
        tuning: None,
    }
}

/// When this peer of the app is good. An old one may have listened elsewhere, or not at all.
pub(super) fn gate(app: &App, peer: &Peer) -> Gate {
    let monitor = app.rollout.monitor;
    match peer.port {
        Some(port) => {
            let host = app.routes.iter().filter_map(|route| route.host.as_deref()).find(|host| !host.starts_with('*'));
            Gate::Probe {
                address: peer.address,
                port,
                host: host.unwrap_or(app.service.name.as_str()).to_owned(),
                policy: app.health.clone(),
                monitor,
            }
        }
        None => Gate::Engine {
            condition: match app.service.container.healthcheck {
                Some(Healthcheck::Test { .. }) => Condition::Healthy,
                Some(Healthcheck::Disabled) | None => Condition::Started,
            },
            timeout: app.health.timeout,
            monitor: monitor.max(SETTLE),
        },
    }
}
