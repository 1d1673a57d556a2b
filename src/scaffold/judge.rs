//! Classifies the services of an existing project: app, worker, one-shot job or accessory.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::clues::{asked_by_check, port_in_command, port_in_variables, usual_port};
use super::known::{self, Known};
use super::look::{health_path, instructions, port_of};
use crate::model::{Healthcheck, ImageSource, PortBinding, Service};

/// A service with additional information about it.
#[derive(Debug, Clone)]
pub struct Candidate<'a> {
    pub service: &'a Service,
    /// Whether another service waits for it to complete.
    pub is_awaited: bool,
    pub expose: Vec<u16>,
    /// The text of its Dockerfile, if it is built.
    pub dockerfile: Option<String>,
    /// The folder of its sources, if it is built.
    pub folder: Option<PathBuf>,
    /// Services that its configuration names, such as the upstreams of a reverse proxy.
    pub passes_to: BTreeSet<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Routed, probed and drained by the proxy.
    App(Web),
    /// Rolled, but not routed. `alone`: two instances would do the work twice.
    Worker { alone: bool },
    /// Exits when its work is done.
    Job,
    /// Created when an app depends on it.
    Accessory,
}

impl Kind {
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::App(_) => "app",
            Self::Worker { .. } => "worker",
            Self::Job => "one-shot",
            Self::Accessory => "accessory",
        }
    }

    /// Whether it gets an `x-deploy-apps` block.
    #[must_use]
    pub fn is_rolled(&self) -> bool {
        matches!(self, Self::App(_) | Self::Worker { .. })
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Web {
    pub port: u16,
    /// The source of the port, such as `` `ports` ``; `None`: a guess.
    pub from: Option<String>,
    /// A path and its source.
    pub health: Option<(String, String)>,
    /// The host port at which users reach it today.
    pub published: Option<PortBinding>,
    /// Other published ports that the proxy does not serve and that are not needed.
    pub lost: Vec<PortBinding>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    pub service: String,
    pub kind: Kind,
    pub because: String,
    /// Why a service that looks like an app is not one, with the key that prevents it.
    pub obstacle: Option<(&'static str, String)>,
}

impl Judged {
    fn new(candidate: &Candidate<'_>, kind: Kind, because: impl Into<String>) -> Self {
        Self { service: candidate.service.name.to_string(), kind, because: because.into(), obstacle: None }
    }

    fn hindered(mut self, key: &'static str, why: String) -> Self {
        self.obstacle = Some((key, why));
        self
    }
}

/// Classifies all services together, since some depend on the others.
#[must_use]
pub fn judge(candidates: &[Candidate<'_>]) -> Vec<Judged> {
    let is_front = |candidate: &&Candidate<'_>| known_as(candidate) == Some(Known::Front);
    let mut apps: BTreeSet<String> = BTreeSet::new();
    let mut judged: Vec<Judged> = Vec::new();
    // Reverse proxies come last: they depend on the kinds of their upstreams.
    let ordered = candidates.iter().filter(|one| !is_front(one)).chain(candidates.iter().filter(is_front));
    for candidate in ordered {
        let one = one(candidate, candidates, &apps);
        if matches!(one.kind, Kind::App(_)) {
            apps.insert(one.service.clone());
        }
        judged.push(one);
    }
    // In a project with only such pages, they are the apps.
    if !judged.iter().any(|one| one.kind.is_rolled()) {
        for candidate in candidates.iter().filter(|one| known_as(one) == Some(Known::Console)) {
            let place = judged.iter_mut().find(|one| one.service == candidate.service.name.as_str());
            if let Some(place) = place {
                *place = served(candidate);
            }
        }
    }
    let position = |one: &Judged| candidates.iter().position(|other| other.service.name.as_str() == one.service);
    judged.sort_by_key(position);
    judged
}

/// By its image, or by the final base image of its Dockerfile.
fn known_as(candidate: &Candidate<'_>) -> Option<Known> {
    match (&candidate.service.image, &candidate.dockerfile) {
        (ImageSource::Pull { reference, .. }, _) => Known::of(reference),
        (ImageSource::Build(_), Some(text)) => Known::of(&last_base(text)?),
        (ImageSource::Build(_), None) => None,
    }
}

fn last_base(dockerfile: &str) -> Option<String> {
    let last = instructions(dockerfile).filter(|(word, _)| word == "FROM").last()?.1;
    last.split_whitespace().find(|word| !word.starts_with("--")).map(str::to_owned)
}

fn is_built(candidate: &Candidate<'_>) -> bool {
    matches!(candidate.service.image, ImageSource::Build(_))
}

/// Entrypoint and command as one line; from the Dockerfile if the service sets none.
fn command(candidate: &Candidate<'_>) -> String {
    let container = &candidate.service.container;
    let own: Vec<&str> = container.entrypoint.iter().chain(&container.command).flatten().map(String::as_str).collect();
    own.join(" ")
}

fn dockerfile_command(candidate: &Candidate<'_>) -> String {
    let Some(text) = &candidate.dockerfile else { return String::new() };
    let all: Vec<(String, String)> = instructions(text).collect();
    let last = |wanted: &str| all.iter().rev().find(|(word, _)| word == wanted).map(|(_, rest)| rest.clone());
    [last("ENTRYPOINT"), last("CMD")].into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// Whether it speaks FastCGI, which an HTTP proxy does not forward.
fn is_fastcgi(candidate: &Candidate<'_>) -> bool {
    let base = match &candidate.service.image {
        ImageSource::Pull { reference, .. } => Some(reference.clone()),
        ImageSource::Build(_) => candidate.dockerfile.as_deref().and_then(last_base),
    };
    let by_image = base.is_some_and(|base| base.contains("-fpm") || base.ends_with(":fpm") || base.contains("php-fpm"));
    by_image || command(candidate).contains("php-fpm") || dockerfile_command(candidate).contains("php-fpm")
}

fn one(candidate: &Candidate<'_>, all: &[Candidate<'_>], apps: &BTreeSet<String>) -> Judged {
    let name = candidate.service.name.as_str();
    let container = &candidate.service.container;
    let accessory = |why: &str| Judged::new(candidate, Kind::Accessory, why);
    let command = command(candidate);
    if candidate.is_awaited {
        return Judged::new(candidate, Kind::Job, "others wait for its end");
    }
    if container.ports.is_empty() {
        let named = known::names_a_job(name) && !known::is_worker("", &command);
        let ends = container.restart == crate::model::Restart::No && container.healthcheck.is_none();
        if (named && (ends || !command.is_empty() || !is_built(candidate))) || known::runs_a_job(&command) {
            return Judged::new(candidate, Kind::Job, "its name or command is that of a task which ends");
        }
        if ends && candidate.expose.is_empty() {
            return Judged::new(candidate, Kind::Job, "`restart: no` and no port: it ends");
        }
    }
    match known_as(candidate) {
        Some(Known::Front) => {
            let behind: Vec<&str> = candidate.passes_to.intersection(apps).map(String::as_str).collect();
            if !behind.is_empty() {
                let why = format!(
                    "passes requests on to `{}`, which is the proxy's work now; remove it, or let it ask `http://{}` with that name as `Host`",
                    behind.join("`, `"),
                    behind[0]
                );
                return accessory(Known::Front.reason()).hindered("ports", why);
            }
        }
        Some(known) => return accessory(known.reason()),
        None => {}
    }
    if known::is_worker(name, &command) && container.ports.is_empty() && candidate.expose.is_empty() {
        let alone = known::is_clock(name, &command);
        return Judged::new(candidate, Kind::Worker { alone }, "its name or command is that of a worker");
    }
    if is_fastcgi(candidate) {
        let why = "speaks FastCGI, and the proxy HTTP; its web server may become the app".to_owned();
        return accessory("speaks FastCGI").hindered(if is_built(candidate) { "build" } else { "image" }, why);
    }
    let mounts_engine = container.mounts.iter().any(|mount| mount.target.ends_with("/docker.sock"));
    if mounts_engine && !is_built(candidate) {
        return accessory("works on the engine itself");
    }
    if is_built(candidate) || !container.ports.is_empty() || !candidate.expose.is_empty() || has_host_label(candidate) {
        return served(candidate);
    }
    // The same image with another command: a worker of a web app.
    let image = |other: &Candidate<'_>| {
        other.service.name != candidate.service.name && other.service.image == candidate.service.image
    };
    if !command.is_empty() && all.iter().any(|other| image(other) && !other.service.container.ports.is_empty()) {
        return Judged::new(
            candidate,
            Kind::Worker { alone: known::is_clock(name, &command) },
            "it runs the image of an app, without a port",
        );
    }
    accessory("it has no port, and its image is not built here")
}

/// Labels and variables that other reverse proxies use for routing.
fn has_host_label(candidate: &Candidate<'_>) -> bool {
    let container = &candidate.service.container;
    let routed = container.labels.keys().any(|label| label.starts_with("traefik.http.routers.") || label == "caddy");
    routed || container.environment.contains_key("VIRTUAL_HOST")
}

/// The port it listens on, from the first source that has one.
fn port(candidate: &Candidate<'_>, tcp: &[&PortBinding]) -> Option<(u16, Option<String>)> {
    let container = &candidate.service.container;
    let said = |text: &str| Some(text.to_owned());
    let label = || {
        let label = container.labels.iter().find(|(label, _)| label.ends_with(".loadbalancer.server.port"))?;
        Some((label.1.parse().ok()?, said("a label for Traefik")))
    };
    let variables = || {
        let pairs = container.environment.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        port_in_variables(pairs).map(|(port, name)| (port, Some(format!("the variable `{name}`"))))
    };
    let line = command(candidate);
    let image = dockerfile_command(candidate);
    let text = candidate.dockerfile.as_deref().unwrap_or_default();
    let hints: [Option<(u16, Option<String>)>; 8] = [
        label(),
        port_in_command(&line).map(|port| (port, said("`command`"))),
        variables(),
        candidate.expose.first().map(|port| (*port, said("`expose`"))),
        check(candidate).map(|(port, _)| (port, said("`healthcheck`"))),
        Some(port_of(text)).and_then(|port| Some((port.number, said(port.from?)))),
        port_in_command(&image).map(|port| (port, said("CMD of the Dockerfile"))),
        usual_port(if line.is_empty() { &image } else { &line })
            .map(|(port, program)| (port, Some(format!("what `{program}` does by default")))),
    ];
    let published = |port: u16| tcp.iter().any(|binding| binding.container_port == port);
    let hints = || hints.iter().flatten().filter(|(port, _)| known::is_http(*port) || published(*port));
    if tcp.is_empty() {
        return hints().next().cloned();
    }
    // A published port is one that the container listens on. Of several, prefer one that another source names too.
    let named = hints().find(|(port, _)| published(*port));
    let likely = tcp.iter().min_by_key(|binding| known::rank(binding.container_port));
    let port = named.map(|(port, _)| *port).or(likely.map(|binding| binding.container_port))?;
    Some((port, said("`ports`")))
}

/// Port and path of the service's health check.
fn check(candidate: &Candidate<'_>) -> Option<(u16, String)> {
    let own = match &candidate.service.container.healthcheck {
        Some(Healthcheck::Test { test, .. }) if !test.is_empty() => Some(test.join(" ")),
        _ => None,
    };
    let image = || {
        let text = candidate.dockerfile.as_deref()?;
        instructions(text).find(|(word, _)| word == "HEALTHCHECK").map(|(_, rest)| rest)
    };
    asked_by_check(&own.or_else(image)?)
}

fn health(candidate: &Candidate<'_>, port: u16) -> Option<(String, String)> {
    if let Some((asked, path)) = check(candidate)
        && (asked == port || asked == 80)
        && path != "/"
    {
        return Some((path, "the health check asks it".to_owned()));
    }
    if let ImageSource::Pull { reference, .. } = &candidate.service.image {
        return known::health_of(reference).map(|path| (path.to_owned(), "the image has it".to_owned()));
    }
    let (path, file) = health_path(candidate.folder.as_deref()?)?;
    Some((path.to_owned(), format!("{} names it", file.display())))
}

/// A service that answers requests, if a port can be found.
fn served(candidate: &Candidate<'_>) -> Judged {
    let container = &candidate.service.container;
    // A debugger port is the app's port if there is no other: n8n listens on 5678.
    let alone = container.ports.iter().all(|port| known::is_debugger(port.container_port));
    let debugs = |port: &PortBinding| known::is_debugger(port.container_port);
    let http = |port: &PortBinding| known::is_http(port.container_port) || (alone && debugs(port));
    let tcp: Vec<&PortBinding> = container.ports.iter().filter(|port| port.protocol == "tcp" && http(port)).collect();
    if let Some(port) = container.ports.iter().find(|port| port.protocol != "tcp" || !(http(port) || debugs(port))) {
        let number = format!("{}/{}", port.container_port, port.protocol);
        let judged = Judged::new(candidate, Kind::Accessory, format!("publishes {number}, which is not plain HTTP"));
        // A third-party image that does not speak HTTP is not an app.
        if tcp.is_empty() && !is_built(candidate) {
            return judged;
        }
        let why = format!("publishes port {number}, which is not plain HTTP, and the proxy carries nothing else");
        return judged.hindered("ports", why);
    }
    if let Some(mode) = container.host.network.as_deref().filter(|mode| *mode != "bridge") {
        let why = format!("has `network_mode: {mode}`, and the proxy reaches an app over a network");
        return Judged::new(candidate, Kind::Accessory, "is not on a network").hindered("network_mode", why);
    }
    let Some((port, from)) = port(candidate, &tcp) else {
        if is_built(candidate) && !has_host_label(candidate) {
            let alone = known::is_clock(candidate.service.name.as_str(), &command(candidate));
            return Judged::new(
                candidate,
                Kind::Worker { alone },
                "nothing says that it listens on a port; if it does, add `port` and `routes`",
            );
        }
        return served_at(candidate, 8080, None, &tcp);
    };
    served_at(candidate, port, from, &tcp)
}

fn served_at(candidate: &Candidate<'_>, port: u16, from: Option<String>, tcp: &[&PortBinding]) -> Judged {
    let published = tcp.iter().find(|binding| binding.container_port == port).map(|binding| (*binding).clone());
    let lost =
        candidate.service.container.ports.iter().filter(|binding| binding.container_port != port).cloned().collect();
    let because = match &from {
        Some(from) => format!("listens on port {port}: {from}"),
        None => format!("a guess: listens on port {port}"),
    };
    let web = Web { port, from, health: health(candidate, port), published, lost };
    Judged::new(candidate, Kind::App(web), because)
}
