//! The engine, its machine, and the proxy.

use jiff::SignedDuration;

use super::{EngineFacts, Facts, Finding, clients, clock_gap, is_far, told};
use crate::model::{
    Bytes, ContainerState, DockerHealth, ForgottenProcess, HostRoute, ObservedNetwork, PROXY_DRIFT_REMEDY, PortAnswer,
};

/// Certificates are often renewed by hand, so warn early.
const RENEW_BEFORE: SignedDuration = SignedDuration::from_hours(30 * 24);
/// The limit that the proxy requests. With less it accepts fewer connections.
const OPEN_FILES: u64 = 32_768;
/// The backlog of the proxy's listener.
const BACKLOG: u64 = 4096;

pub(super) fn certificates(facts: &Facts) -> Vec<Finding> {
    let finding = |certificate: &super::Certificate| {
        let path = &certificate.path;
        let renew = "ask whoever runs that engine for a new one";
        match &certificate.not_after {
            Err(why) => Finding::problem("certificates", format!("`{path}` cannot be read: {why}"), renew),
            Ok(end) if *end < facts.now => {
                Finding::problem("certificates", format!("`{path}` has expired on {end}"), renew)
            }
            Ok(end) if facts.now.duration_until(*end) < RENEW_BEFORE => {
                Finding::warning("certificates", format!("`{path}` expires on {end}"), renew)
            }
            Ok(end) => Finding::ok("certificates", format!("`{path}` is valid until {end}")),
        }
    };
    facts.certificates.iter().map(finding).collect()
}

pub(super) fn engine(facts: &Facts, engine: &EngineFacts) -> Vec<Finding> {
    let info = &engine.info;
    let mut findings = vec![Finding::ok(
        "engine",
        format!("version {}, API {}, reached at `{}`", info.version, info.api, info.address),
    )];
    findings.push(match engine.host.system_time.map(|time| clock_gap(facts.now, time)) {
        None => Finding::warning("clock", "the engine does not report its time", "compare `date` on both machines"),
        Some(gap) if is_far(gap) => Finding::warning(
            "clock",
            format!("the engine's clock is {} of this machine's", told(gap)),
            "run a time service such as chrony on both",
        ),
        Some(_) => Finding::ok("clock", "this machine and the engine agree"),
    });
    findings.push(disk(engine));
    findings.extend(networks(facts, engine));
    findings.extend(engine.forgotten.iter().map(|process| {
        let ForgottenProcess { pid, program, container } = process;
        // The short id, as `docker ps` shows it.
        let container = container.get(..12).unwrap_or(container);
        let text = format!("process {pid} (`{program}`) is in container {container}, which the engine has forgotten");
        // PID 1 of a container ignores signals that it does not handle, except SIGKILL.
        Finding::warning("processes", text, format!("`sudo kill -KILL {pid}` ends it"))
    }));
    let warnings =
        engine.host.warnings.iter().filter(|text| text.contains("No swap limit") || text.contains("No memory limit"));
    findings.extend(warnings.map(|text| {
        Finding::warning(
            "limits",
            text.trim_start_matches("WARNING: ").to_lowercase(),
            "`docker info` shows it; the kernel lacks it",
        )
    }));
    findings
}

fn disk(engine: &EngineFacts) -> Finding {
    let Some(disk) = &engine.disk else {
        return Finding::warning(
            "disk",
            "how much is free on the engine's disk cannot be known from here",
            "`df` on that machine; the proxy reports it too, once it runs",
        );
    };
    let minimum = engine.min_free.unwrap_or_else(|| disk.minimum());
    let text = format!("{} of {} free at `{}`", Bytes(disk.free), Bytes(disk.size), disk.path);
    if disk.free < minimum {
        let text = format!("only {text}; builds and pulls want {}", Bytes(minimum));
        return Finding::problem("disk", text, "`deploy-apps prune`, `docker builder prune`");
    }
    if disk.free < disk.size / 10 {
        return Finding::warning("disk", text, "`deploy-apps prune`, `docker builder prune`");
    }
    Finding::ok("disk", text)
}

/// The engine assigns subnets that do not overlap with networks that it knows. It does not know the networks of other
/// machines.
fn networks(facts: &Facts, engine: &EngineFacts) -> Vec<Finding> {
    let name = facts.proxy_name.network();
    let networks = &engine.observed.networks;
    let Some(own) = networks.iter().find(|network| network.name == name) else {
        // Without a proxy container the first deploy creates both.
        let is_lost = engine.observed.container(&facts.proxy_name.container()).is_some();
        let text = format!("network `{name}` was removed, so neither the proxy nor a replica can start");
        let lost = Finding::problem("networks", text, "`deploy-apps --all` makes it again").fixable();
        return is_lost.then_some(lost).into_iter().collect();
    };
    let namesakes = networks.iter().filter(|network| network.name == name).count();
    let others = networks.iter().filter(|network| network.name != name);
    let overlaps = |other: &&crate::model::ObservedNetwork| {
        other.subnets.iter().any(|theirs| own.subnets.iter().any(|ours| ours.overlaps(*theirs)))
    };
    let mut findings: Vec<Finding> = others
        .filter(overlaps)
        .map(|other| {
            let text = format!("network `{}` overlaps the proxy's network `{name}`", other.name);
            Finding::problem("networks", text, format!("`docker network rm {}` if it is not needed", other.name))
        })
        .collect();
    findings.extend(engine.observed.host_routes.iter().filter(|route| is_covered(route, own, networks)).map(|route| {
        let HostRoute { subnet, device } = route;
        let ours = own.subnets.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let text = format!("network `{name}` ({ours}) lies over {subnet}, which this machine reaches by `{device}`");
        let remedy = "set `x-deploy-apps.proxy.subnet` to a free /20, `deploy-apps down --proxy`, then deploy again";
        Finding::warning("networks", text, remedy)
    }));
    if namesakes > 1 {
        let text = format!("{namesakes} networks have the name `{name}`, so the engine refuses to use any");
        findings.push(Finding::problem(
            "networks",
            text,
            "`docker network ls` shows them; remove by id the unused one",
        ));
    }
    if findings.is_empty() {
        let subnets: Vec<String> = own.subnets.iter().map(ToString::to_string).collect();
        findings.push(Finding::ok("networks", format!("`{name}` has {} for itself", subnets.join(", "))));
    }
    findings
}

/// Whether the route leads outside of the engine's networks and overlaps with the proxy's subnet.
fn is_covered(route: &HostRoute, own: &ObservedNetwork, networks: &[ObservedNetwork]) -> bool {
    let is_engines = networks.iter().any(|network| network.subnets.contains(&route.subnet));
    !is_engines && own.subnets.iter().any(|ours| ours.overlaps(route.subnet))
}

pub(super) fn proxy(facts: &Facts, engine: &EngineFacts) -> Vec<Finding> {
    let name = facts.proxy_name.container();
    let Some(container) = engine.observed.container(&name) else {
        let mut findings = vec![Finding::warning(
            "proxy",
            format!("there is no proxy `{}` on this engine", facts.proxy_name),
            "the first deploy makes it",
        )];
        findings.extend(port(facts, engine));
        return findings;
    };
    let mut findings = Vec::new();
    match (container.state, container.health) {
        (ContainerState::Running, Some(DockerHealth::Unhealthy)) => findings.push(Finding::problem(
            "proxy",
            format!("`{name}` runs and its health check fails"),
            format!("`deploy-apps logs proxy` says why; `docker restart {name}`"),
        )),
        (ContainerState::Running, _) if facts.proxy.is_none() => findings.push(Finding::problem(
            "proxy",
            format!("`{name}` runs and does not answer on its control socket"),
            format!("`deploy-apps logs proxy` says why; `docker restart {name}`"),
        )),
        (ContainerState::Running, _) => findings.push(Finding::ok("proxy", running(facts, &name))),
        (ContainerState::Restarting, _) => findings.push(Finding::problem(
            "proxy",
            format!("`{name}` starts again and again"),
            "`deploy-apps logs proxy` says why",
        )),
        (_, _) => {
            let text = format!("`{name}` is not running, so nothing is served");
            // The engine cannot start the proxy without its network.
            let has_network = engine.observed.network(&facts.proxy_name.network()).is_some();
            let remedy = if has_network { format!("`docker start {name}`") } else { "`deploy-apps --all`".to_owned() };
            findings.push(Finding::problem("proxy", text, remedy).fixable());
            findings.extend(port(facts, engine));
        }
    }
    if let Some((why, remedy)) = &engine.differs {
        findings.push(Finding::warning("proxy", format!("{why}, so a deploy is refused"), remedy.as_str()));
    }
    if let Some(drift) = &engine.drift {
        findings.push(Finding::warning("proxy", drift.as_str(), PROXY_DRIFT_REMEDY));
    }
    if let Some(proxy) = &facts.proxy {
        if proxy.build != facts.build_id {
            findings.push(Finding::warning(
                "proxy",
                "it is of another build than this deploy-apps",
                if container.labels.is_holder() {
                    "`deploy-apps proxy upgrade` replaces it; no request is lost"
                } else {
                    "`deploy-apps proxy upgrade` replaces it; this once connections are refused for about a second"
                },
            ));
        }
        findings.extend(inside(facts, proxy));
    }
    findings.extend(published(facts));
    findings.extend(clients::ipv6(facts));
    findings
}

/// The published port, checked as a client would.
fn published(facts: &Facts) -> Option<Finding> {
    let answer = facts.published.as_ref()?;
    Some(match answer {
        PortAnswer::Answers { address } => Finding::ok("ports", format!("the proxy answers at `{address}`")),
        PortAnswer::NotAsked { why } => {
            Finding::ok("ports", format!("whether the published port answers was not checked: {why}"))
        }
        PortAnswer::Silent { .. } => {
            Finding::problem("ports", answer.trouble().unwrap_or_default(), PortAnswer::remedy(&facts.proxy_name))
        }
    })
}

fn running(facts: &Facts, name: &str) -> String {
    let nginx = facts.proxy.as_ref().and_then(|proxy| proxy.nginx.as_ref());
    let nginx = nginx.map(|version| format!(" with nginx {version}")).unwrap_or_default();
    let port = facts.desired.as_ref().map(|desired| format!(" on port {}", desired.http_port)).unwrap_or_default();
    format!("`{name}` runs{nginx}{port}")
}

/// Facts that only the proxy itself can report.
fn inside(facts: &Facts, proxy: &super::ProxyFacts) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(gap) = proxy.clock.map(|clock| clock_gap(facts.now, clock)).filter(|gap| is_far(*gap)) {
        let text = format!("the proxy's clock is {} of this machine's", told(gap));
        findings.push(Finding::warning("clock", text, "run a time service such as chrony on the engine's machine"));
    }
    if let Some(files) = proxy.open_files.filter(|files| *files < OPEN_FILES) {
        let text =
            format!("a process of the proxy may open {files} files; for all its connections it wants {OPEN_FILES}");
        findings.push(Finding::warning("limits", text, "raise `default-ulimits.nofile` in the engine's daemon.json"));
    }
    if let Some(somaxconn) = proxy.somaxconn.filter(|somaxconn| *somaxconn < BACKLOG) {
        let text = format!("net.core.somaxconn is {somaxconn}; bursts of connections want {BACKLOG}");
        findings.push(Finding::warning(
            "limits",
            text,
            format!("`sysctl -w net.core.somaxconn={BACKLOG}` on the engine's machine"),
        ));
    }
    findings
}

fn port(facts: &Facts, engine: &EngineFacts) -> Option<Finding> {
    let desired = facts.desired.as_ref()?;
    let port = desired.http_port;
    Some(match &engine.port_holder {
        Some(holder) => {
            let text = format!("port {port}, which the proxy wants, is held by {holder}");
            Finding::problem("ports", text, "stop that, or set `x-deploy-apps.proxy.http_port` to another port")
        }
        None => Finding::ok("ports", format!("port {port} is free for the proxy")),
    })
}
