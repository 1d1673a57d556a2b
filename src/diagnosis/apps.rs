//! Compares the proxy's records with the engine's containers.

use std::collections::BTreeSet;

use super::{EngineFacts, Facts, Finding, ProxyFacts};
use crate::model::{
    AppKey, ContainerState, ObservedCertificate, ObservedContainer, Orphan, Peer, ReleaseNumber, Role, Stranger,
    Unstable, days_left, strangers_among,
};

/// A deploy that holds its lease longer than this hangs, or drains long WebSockets.
const LONG_LEASE_MINUTES: i64 = 30;

pub(super) fn replicas(engine: &EngineFacts, proxy: &ProxyFacts) -> Vec<Finding> {
    let records = proxy.state.apps.iter().filter_map(|(key, known)| Some((key, known.record.as_ref()?)));
    let peers: Vec<_> = records.flat_map(|(key, record)| record.peers.iter().map(move |peer| (key, peer))).collect();
    let mut findings = Vec::new();
    for (key, peer) in &peers {
        findings.extend(match engine.observed.container(&peer.id) {
            None => {
                let text = format!("`{}` of `{key}` is routed to and does not exist", peer.id);
                Some(Finding::problem("replicas", text, format!("`deploy-apps {}` makes another", key.app)))
            }
            Some(container) => unhealthy(container, peer),
        });
    }
    let named: BTreeSet<&str> = peers.iter().map(|(_, peer)| peer.id.as_str()).collect();
    let ours = engine.observed.containers.iter().filter(|container| {
        matches!(container.labels.role, Role::Replica | Role::ReleaseCommand)
            && !named.contains(container.name.as_str())
    });
    for container in ours {
        let labels = &container.labels;
        let key = labels.project.clone().zip(labels.service.clone()).map(|(project, app)| AppKey { project, app });
        let told = key.as_ref().and_then(|key| proxy.state.apps.get(key)).map(|known| known.last_release);
        if let (Some(key), true) = (&key, is_ahead(container, told)) {
            let known = told.map_or_else(|| "nothing of it".to_owned(), |last| format!("releases up to {last}"));
            let text = format!("`{}` of `{key}` runs, and the proxy knows {known}: its state is older", container.name);
            let remedy = format!("`deploy-apps {}` brings its traffic back, and only then removes it", key.app);
            findings.push(Finding::problem("replicas", text, remedy));
            continue;
        }
        let open = proxy.state.in_flight.get(&container.name).is_some_and(|open| !open.is_zero());
        let (text, remedy) =
            (format!("`{}` is left of an interrupted run", container.name), "the next deploy removes it");
        findings.push(match open {
            true => Finding::warning("leftovers", format!("{text} and finishes open requests"), remedy),
            false => Finding::warning("leftovers", text, remedy).fixable(),
        });
    }
    let idle = engine.observed.containers.iter().filter(|container| {
        let ended =
            matches!(container.state, ContainerState::Created | ContainerState::Exited { .. } | ContainerState::Dead);
        container.labels.role == Role::OneOff && ended
    });
    findings.extend(idle.map(|container| {
        let text = format!("`{}` is left of a `deploy-apps run` that was killed", container.name);
        Finding::warning("leftovers", text, "the next `run` or `prune` of its project removes it").fixable()
    }));
    findings.extend(engine.not_restarted.iter().map(|(name, policy)| {
        let text = format!("`{name}` has the restart policy `{policy}`, so it stays down after a reboot");
        Finding::warning("restarts", text, "set `restart: unless-stopped` for its service, then deploy")
    }));
    if findings.is_empty() {
        let apps: BTreeSet<_> = peers.iter().map(|(key, _)| *key).collect();
        let text =
            format!("{} of {} run as the proxy routes", counted(peers.len(), "replica"), counted(apps.len(), "app"));
        findings.push(Finding::ok("replicas", text));
    }
    findings
}

/// The proxy stores a release number before anything of that release is created. A higher number on a container means
/// that the proxy's volume was lost or an older one restored.
fn is_ahead(container: &ObservedContainer, told: Option<ReleaseNumber>) -> bool {
    let is_newer = container.labels.release.is_some_and(|release| release > told.unwrap_or_default());
    container.labels.role == Role::Replica && container.state == ContainerState::Running && is_newer
}

fn counted(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

fn unhealthy(container: &ObservedContainer, peer: &Peer) -> Option<Finding> {
    let name = &container.name;
    match container.state {
        ContainerState::Running if container.address.is_some_and(|address| address != peer.address) => {
            let found = container.address.map(|address| address.to_string()).unwrap_or_default();
            let text = format!("`{name}` is at {found}, and the proxy sends its requests to {}", peer.address);
            Some(Finding::problem("replicas", text, "redeploy its app with `--force`"))
        }
        ContainerState::Running if !container.is_well() => {
            let text = format!("`{name}` is routed to and its health check fails");
            Some(Finding::problem("replicas", text, format!("`docker logs {name}` says why; a deploy replaces it")))
        }
        ContainerState::Running => None,
        ContainerState::Restarting => {
            let text = format!("`{name}` is routed to and starts again and again");
            Some(Finding::problem("replicas", text, format!("`docker logs {name}` says why")))
        }
        ContainerState::Paused => {
            let text = format!("`{name}` is routed to and paused");
            Some(Finding::problem("replicas", text, format!("`docker unpause {name}`")))
        }
        ContainerState::Created | ContainerState::Exited { .. } => {
            let text = format!("`{name}` is routed to and not running");
            Some(Finding::problem("replicas", text, format!("`docker start {name}`, or a deploy")).fixable())
        }
        ContainerState::Dead => {
            let text = format!("`{name}` is routed to and dead");
            Some(Finding::problem("replicas", text, "a deploy replaces it"))
        }
    }
}

/// One finding for each restarting container, with the last line of its log.
pub(super) fn unstable(engine: &EngineFacts) -> Vec<Finding> {
    let finding = |one: &Unstable| {
        let said = one.log.last().map(|line| format!("; its last log line: {line}")).unwrap_or_default();
        Finding::problem("restarts", format!("{one}{said}"), one.remedy.clone())
    };
    engine.unstable.iter().map(finding).collect()
}

/// A container at a replica's address gets that replica's requests, whatever it is.
pub(super) fn strangers(engine: &EngineFacts, proxy: &ProxyFacts) -> Vec<Finding> {
    let network = engine.observed.containers.iter().find(|container| container.labels.role == Role::Proxy);
    let network = network.map(|proxy| proxy.labels.proxy.network()).unwrap_or_default();
    let finding = |stranger: Stranger| {
        let Stranger { container, address, peer, app } = stranger;
        let text = format!("`{container}` has the address {address} of `{peer}`, so it gets requests for `{app}`");
        let remedy = format!("`docker network disconnect {network} {container}`, then `deploy-apps doctor --fix`");
        Finding::problem("replicas", text, remedy)
    };
    strangers_among(&proxy.state, &engine.neighbours).into_iter().map(finding).collect()
}

pub(super) fn leases(facts: &Facts, proxy: &ProxyFacts) -> Vec<Finding> {
    let finding = |lease: &crate::model::HeldLease| {
        let minutes = lease.since.duration_until(facts.now).as_mins();
        let text = format!(
            "`{}` is held by `{}` on `{}` ({}) for {minutes} min",
            lease.app, lease.owner, lease.host, lease.purpose
        );
        match minutes >= LONG_LEASE_MINUTES {
            true => Finding::warning("leases", text, "if it hangs, end that process: its lease is free at once"),
            false => Finding::ok("leases", text),
        }
    };
    proxy.leases.iter().map(finding).collect()
}

pub(super) fn orphans(orphans: &[Orphan]) -> Vec<Finding> {
    let text = |orphan: &Orphan| orphan.to_string().trim_start_matches("orphan: ").to_owned();
    orphans.iter().map(|orphan| Finding::warning("orphans", text(orphan), orphan.remedy())).collect()
}

pub(super) fn images(engine: &EngineFacts) -> Vec<Finding> {
    let used: BTreeSet<&str> = engine.observed.containers.iter().map(|container| container.image_id.as_str()).collect();
    let images = engine.observed.images.iter();
    let dangling = images
        .filter(|image| image.tags.is_empty() && image.source.is_some() && !used.contains(image.id.as_str()))
        .count();
    if dangling == 0 {
        return Vec::new();
    }
    let text = format!("{} without a tag", counted(dangling, "image"));
    vec![Finding::warning("images", text, "`deploy-apps prune` removes them").fixable()]
}
/// What the proxy serves hosts with.
pub(super) fn certificates(facts: &Facts, proxy: &ProxyFacts) -> Vec<Finding> {
    const OF_FILE: &str = "put a new one into its file and deploy its app: nothing else is replaced then";
    const AUTOMATIC: &str = "`deploy-apps certificates renew` orders it now, and says what the CA says";
    let all = &proxy.state.certificates;
    let findings: Vec<Finding> = all
        .values()
        .filter_map(|one| {
            let trouble = one.trouble(facts.now)?;
            let is_useless = one.expires().is_none_or(|at| at <= facts.now);
            let make = if is_useless { Finding::problem } else { Finding::warning };
            let remedy = if one.is_automatic() { AUTOMATIC } else { OF_FILE };
            Some(make("certificates", trouble, remedy))
        })
        .collect();
    if !findings.is_empty() || all.is_empty() {
        return findings;
    }
    let least = all.values().filter_map(ObservedCertificate::expires).map(|at| days_left(at, facts.now)).min();
    let count = if all.len() == 1 { "1 certificate is".to_owned() } else { format!("{} certificates are", all.len()) };
    vec![Finding::ok("certificates", format!("{count} valid for {} days or more", least.unwrap_or_default()))]
}
