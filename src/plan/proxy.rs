//! Brings the host's proxy up: its network, its volume, its image and its container.

use std::collections::BTreeMap;
use std::time::Duration;

use indexmap::IndexMap;

use super::refusal::PlanRefused;
use super::stage::{Planned, Stage, numbered};
use super::step::Step;
use crate::model::{
    AddressPool, BuildSpec, ContainerSpec, ContainerState, LogLimit, Mount, MountSource, NetworkAttachment,
    NetworkSettings, NewContainer, NewNetwork, ObservedContainer, ObservedEngine, OwnLabels, PortBinding, ProxyName,
    ProxySpec, ProxyTuning, Resources, Restart, Role, Subnet, Tmpfs, identity,
};

/// The embedded proxy image: its id and how it is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyImage {
    /// The digest of the `nginx/` folder.
    pub build_id: String,
    pub build: BuildSpec,
}

impl ProxyImage {
    #[must_use]
    pub fn tag(&self) -> String {
        format!("deploy-apps/proxy:{}", self.build_id)
    }
}

/// Of its listeners, as `nginx/start.sh` writes them. Apps come to the first one, whatever the published port speaks.
const HTTP_PORT: u16 = 80;
const PROXY_PROTOCOL_PORT: u16 = 8081;
const HTTPS_PORT: u16 = 443;
const HTTPS_PROXY_PROTOCOL_PORT: u16 = 8443;
/// nginx is up within a second; a slow disk and a large history take the rest.
const PROXY_START_TIMEOUT: Duration = Duration::from_secs(60);
/// The image's user, who is not root.
const PROXY_TMPFS: &str = "uid=10001,gid=10001,mode=0750";
/// A line for each request would fill the disk of a busy host within a day. This is some 300,000 of them.
const PROXY_LOG: LogLimit = LogLimit { files: 5, file_bytes: 20_000_000 };
/// Long enough for open requests when the proxy itself is replaced.
pub(super) const PROXY_STOP_GRACE: Duration = Duration::from_secs(30);

/// The steps after which the proxy runs. Empty when it does.
///
/// # Errors
/// When its network cannot be made, or when it runs with other settings than `spec` asks for.
pub fn plan_proxy(spec: &ProxySpec, image: &ProxyImage, observed: &ObservedEngine) -> Result<Vec<Stage>, PlanRefused> {
    bring_up(spec, image, observed).map(numbered)
}

fn bring_up(spec: &ProxySpec, image: &ProxyImage, observed: &ObservedEngine) -> Result<Vec<Stage>, PlanRefused> {
    let pool = address_pool(spec, observed)?;
    let wanted = proxy_container(spec, image, pool);
    let name = &wanted.name;
    let Some(container) = observed.container(name) else {
        return Ok(vec![
            foundation(spec, image, observed, pool),
            Stage::line(creation(wanted, "the host has no proxy yet")),
        ]);
    };
    if is_interim(container, spec, image, observed) && spec.http_port != INTERIM_PORT {
        // A takeover was interrupted after compose's container had gone.
        let steps = replacement(wanted, "it runs without its port, which is free now");
        return Ok(vec![foundation(spec, image, observed, pool), Stage::line(steps)]);
    }
    let differs = container.labels.identity != wanted.labels.identity;
    let runs = matches!(container.state, ContainerState::Running | ContainerState::Restarting);
    if differs && spec.http_port == INTERIM_PORT && !runs {
        return Ok(vec![
            foundation(spec, image, observed, pool),
            Stage::line(replacement(wanted, "another container still has its port")),
        ]);
    }
    if differs {
        let port = container.published.filter(|port| *port != spec.http_port).map(|port| (port, spec.http_port));
        return Err(PlanRefused::ProxyDiffers { proxy: spec.name.to_string(), port });
    }
    match container.state {
        ContainerState::Running | ContainerState::Restarting => Ok(Vec::new()),
        ContainerState::Paused | ContainerState::Created | ContainerState::Exited { .. } => {
            let network = network(&spec.name, observed, pool).map(|planned| Stage::line(vec![planned]));
            Ok(network.into_iter().chain([Stage::line(starting(name, "the proxy is not running"))]).collect())
        }
        ContainerState::Dead => Ok(vec![Stage::line(replacement(wanted, "the proxy's container is dead"))]),
    }
}

/// The port of a proxy that has none yet: the engine chooses one.
const INTERIM_PORT: u16 = 0;

/// The proxy as it begins while another container has its port.
pub(super) fn interim_spec(spec: &ProxySpec) -> ProxySpec {
    ProxySpec { http_port: INTERIM_PORT, bind: Some("127.0.0.1".to_owned()), ..spec.clone() }
}

/// Whether it was made so.
pub(super) fn is_interim(
    proxy: &ObservedContainer,
    spec: &ProxySpec,
    image: &ProxyImage,
    observed: &ObservedEngine,
) -> bool {
    let pool = address_pool(spec, observed);
    pool.is_ok_and(|pool| proxy_container(&interim_spec(spec), image, pool).labels.identity == proxy.labels.identity)
}

/// How the proxy's limits and log differ from what `spec` asks for. A deploy goes on with them as they are.
#[must_use]
pub fn proxy_drift(spec: &ProxySpec, observed: &ObservedEngine) -> Option<String> {
    let proxy = observed.container(&spec.name.container())?;
    let difference = proxy.labels.tuning.unwrap_or(ProxyTuning::BEFORE).difference(spec.tuning())?;
    Some(format!("the proxy `{}` has {difference}", spec.name))
}

/// The steps up to the proxy's new container, with its port; then those that start it.
pub(super) fn proxy_swap(
    spec: &ProxySpec,
    image: &ProxyImage,
    observed: &ObservedEngine,
) -> Result<(Vec<Planned>, Vec<Planned>), PlanRefused> {
    let wanted = proxy_container(spec, image, address_pool(spec, observed)?);
    let name = wanted.name.clone();
    let because = "it gets its port";
    let stop = Step::StopContainer { name: name.clone(), signal: None, grace: Some(PROXY_STOP_GRACE), restart: None };
    let made = vec![
        Planned::new(stop, "nobody but this run has reached it yet"),
        Planned::new(Step::RemoveContainer { name: name.clone() }, "its name is needed"),
        Planned::new(Step::CreateContainer(Box::new(wanted)), because),
    ];
    Ok((made, starting(&name, because)))
}

/// Replaces the proxy's container, keeping its state. Connections in this moment are refused, not lost: the state
/// volume holds every route.
///
/// # Errors
/// When its network cannot be made.
pub fn plan_proxy_upgrade(
    spec: &ProxySpec,
    image: &ProxyImage,
    observed: &ObservedEngine,
) -> Result<Vec<Stage>, PlanRefused> {
    let pool = address_pool(spec, observed)?;
    let wanted = proxy_container(spec, image, pool);
    let steps = match observed.container(&wanted.name) {
        Some(_) => replacement(wanted, "the upgrade was asked for"),
        None => creation(wanted, "the host has no proxy yet"),
    };
    Ok(numbered(vec![foundation(spec, image, observed, pool), Stage::line(steps)]))
}

/// The addresses of the proxy's network, existing or to be made.
///
/// # Errors
/// When the network exists and is not one of ours, or no subnet is free.
pub fn address_pool(spec: &ProxySpec, observed: &ObservedEngine) -> Result<AddressPool, PlanRefused> {
    let network = spec.name.network();
    if let Some(existing) = observed.network(&network) {
        let found = || existing.subnets.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        return existing
            .subnets
            .iter()
            .find_map(|subnet| AddressPool::new(*subnet))
            .ok_or_else(|| PlanRefused::ForeignNetwork { network, found: found() });
    }
    let taken = taken(observed);
    match spec.subnet {
        Some(subnet) => {
            AddressPool::new(subnet).ok_or_else(|| PlanRefused::ForeignNetwork { network, found: subnet.to_string() })
        }
        None => lost_pool(&spec.name, observed)
            .or_else(|| AddressPool::free(spec.name.as_str(), &taken))
            .ok_or_else(|| PlanRefused::NoSubnet { taken: taken_text(&taken) }),
    }
}

/// What a new network must not lie over: other networks of the engine, and what its machine reaches elsewhere.
fn taken(observed: &ObservedEngine) -> Vec<Subnet> {
    let networks = observed.networks.iter().flat_map(|network| network.subnets.iter().copied());
    networks.chain(observed.host_routes.iter().map(|route| route.subnet)).collect()
}

/// The widest ones, which leave the least.
fn taken_text(taken: &[Subnet]) -> String {
    const SHOWN: usize = 4;
    let mut sorted = taken.to_vec();
    sorted.sort_by_key(|subnet| subnet.prefix());
    sorted.dedup();
    let shown: Vec<String> = sorted.iter().take(SHOWN).map(ToString::to_string).collect();
    let more = sorted.len().saturating_sub(SHOWN);
    if more > 0 { format!("{} and {more} more", shown.join(", ")) } else { shown.join(", ") }
}

/// The addresses of a network that was removed while its containers were stopped: they and the routes go on with them.
fn lost_pool(proxy: &ProxyName, observed: &ObservedEngine) -> Option<AddressPool> {
    let own = observed.container(&proxy.container());
    let address = own.into_iter().chain(&observed.containers).find_map(|container| container.address)?;
    AddressPool::around(address).filter(|pool| pool.is_free(&taken(observed)))
}

/// The step that makes the proxy's network again, as its containers remember it; `None` when it is there, or nobody remembers.
#[must_use]
pub fn plan_lost_network(proxy: &ProxyName, observed: &ObservedEngine) -> Option<Planned> {
    network(proxy, observed, lost_pool(proxy, observed)?)
}

fn network(proxy: &ProxyName, observed: &ObservedEngine, pool: AddressPool) -> Option<Planned> {
    if observed.network(&proxy.network()).is_some() {
        return None;
    }
    let network = NewNetwork {
        name: proxy.network(),
        project: None,
        proxy: proxy.clone(),
        subnet: Some(pool.subnet()),
        dynamic_range: Some(pool.dynamic_range()),
        gateway: Some(pool.gateway()),
        settings: NetworkSettings::default(),
    };
    Some(Planned::new(Step::CreateNetwork(network), "replicas get fixed addresses in it"))
}

fn foundation(spec: &ProxySpec, image: &ProxyImage, observed: &ObservedEngine, pool: AddressPool) -> Stage {
    let mut lanes = Vec::new();
    lanes.extend(network(&spec.name, observed, pool).map(|planned| vec![planned]));
    if !observed.volumes.contains(&spec.name.volume()) {
        lanes.push(vec![Planned::new(
            Step::CreateVolume(spec.name.volume().as_str().into()),
            "routes and history outlive the proxy",
        )]);
    }
    if !observed.images.iter().any(|other| other.tags.contains(&image.tag())) {
        let step =
            Step::BuildImage { tag: image.tag(), digest: image.build_id.clone(), build: Box::new(image.build.clone()) };
        lanes.push(vec![Planned::new(step, "the engine has no image of this proxy")]);
    }
    Stage::beside(lanes)
}

fn creation(wanted: NewContainer, because: &str) -> Vec<Planned> {
    let name = wanted.name.clone();
    let mut steps = vec![Planned::new(Step::CreateContainer(Box::new(wanted)), because)];
    steps.extend(starting(&name, because));
    steps
}

pub(super) fn starting(name: &str, because: &str) -> Vec<Planned> {
    vec![
        Planned::new(Step::StartContainer { name: name.to_owned() }, because),
        // Its HEALTHCHECK would say so too, but only at the engine's next look, seconds later.
        Planned::new(
            Step::AwaitControl { name: name.to_owned(), timeout: PROXY_START_TIMEOUT },
            "nothing flips without it",
        ),
    ]
}

fn replacement(wanted: NewContainer, because: &str) -> Vec<Planned> {
    let name = wanted.name.clone();
    let stop = Step::StopContainer { name: name.clone(), signal: None, grace: Some(PROXY_STOP_GRACE), restart: None };
    let mut steps = vec![
        Planned::new(stop, "its port is needed"),
        Planned::new(Step::RemoveContainer { name }, "its name is needed"),
    ];
    steps.extend(creation(wanted, because));
    steps
}

/// Only what is asked for, so that a proxy of before goes on as it is.
fn trust(spec: &ProxySpec, pool: AddressPool) -> IndexMap<String, String> {
    let mut environment = IndexMap::new();
    if !spec.trusted_proxies.is_empty() {
        let ranges: Vec<String> = spec.trusted_proxies.iter().map(|trusted| trusted.range(pool.gateway())).collect();
        environment.insert("TRUSTED_PROXIES".to_owned(), ranges.join(","));
    }
    if spec.proxy_protocol {
        environment.insert("PROXY_PROTOCOL".to_owned(), "on".to_owned());
    }
    if let Some(port) = spec.https_port {
        environment.insert("HTTPS_PORT".to_owned(), port.to_string());
    }
    environment
}

/// HTTP, and HTTPS where it is asked for. While another container has the port of the one, it may have that of the other.
fn ports(spec: &ProxySpec) -> Vec<PortBinding> {
    let plain = if spec.proxy_protocol { PROXY_PROTOCOL_PORT } else { HTTP_PORT };
    let secure = if spec.proxy_protocol { HTTPS_PROXY_PROTOCOL_PORT } else { HTTPS_PORT };
    let is_interim = spec.http_port == INTERIM_PORT;
    let published = |host_port: u16, container_port: u16| PortBinding {
        host_ip: spec.bind.clone(),
        host_port: Some(host_port).filter(|_| !is_interim),
        container_port,
        protocol: "tcp".to_owned(),
        ..PortBinding::default()
    };
    let secure = spec.https_port.map(|port| published(port, secure));
    std::iter::once(published(spec.http_port, plain)).chain(secure).collect()
}

/// The proxy's container: no capability, no writable file but its state and its sockets.
fn proxy_container(spec: &ProxySpec, image: &ProxyImage, pool: AddressPool) -> NewContainer {
    let mut container = ContainerSpec {
        read_only: true,
        cap_drop: vec!["ALL".to_owned()],
        security_opt: vec!["no-new-privileges:true".to_owned()],
        // Lets the unprivileged nginx listen on port 80, where apps expect each other.
        sysctls: BTreeMap::from([("net.ipv4.ip_unprivileged_port_start".to_owned(), "0".to_owned())]),
        tmpfs: vec![
            Tmpfs { target: "/run/deploy-apps".to_owned(), options: PROXY_TMPFS.to_owned() },
            Tmpfs { target: "/tmp".to_owned(), options: PROXY_TMPFS.to_owned() },
        ],
        mounts: vec![Mount {
            source: MountSource::Volume(spec.name.volume()),
            target: "/var/lib/deploy-apps".to_owned(),
            ..Mount::default()
        }],
        networks: vec![NetworkAttachment {
            network: spec.name.network(),
            aliases: Vec::new(),
            address: Some(pool.proxy()),
            ..NetworkAttachment::default()
        }],
        restart: Restart::UnlessStopped,
        stop_grace: Some(PROXY_STOP_GRACE),
        ports: ports(spec),
        environment: trust(spec, pool),
        logging: spec.logging.clone(),
        ..ContainerSpec::default()
    };
    // The build is left out: another build of the same control API goes on serving until it is upgraded.
    let identity = identity("proxy", &container);
    // So are these: a proxy of before goes on without, and `proxy_drift` says so.
    container.log_limit = Some(PROXY_LOG);
    container.resources = Resources { memory_bytes: Some(spec.memory_bytes), ..Resources::default() };
    container.environment.insert("ACCESS_LOG".to_owned(), spec.access_log.to_string());
    if let Some(connections) = spec.connections_per_client {
        container.environment.insert("CONNECTIONS_PER_CLIENT".to_owned(), connections.to_string());
    }
    let labels = OwnLabels {
        role: Role::Proxy,
        proxy: spec.name.clone(),
        project: None,
        service: None,
        release: None,
        replica: None,
        version: Some(image.build_id.clone()),
        identity,
        tuning: Some(spec.tuning()),
    };
    NewContainer { name: spec.name.container(), image: image.tag(), spec: container, labels }
}
