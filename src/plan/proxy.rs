//! Brings the host's proxy up: its network, its volume, its image and its container.

use super::ends::stop_and_remove;
use super::proxy_containers::{
    INTERIM_PORT, PROXY_STOP_GRACE, holder, instance, instances, nginx_container, single_identity,
};
use super::proxy_image::ProxyImage;
use super::proxy_steps::{controlled, created, started, starting};
use super::refusal::PlanRefused;
use super::stage::{Planned, Stage, numbered};
use super::step::Step;
use crate::model::{
    AddressPool, ContainerState, NetworkSettings, NewNetwork, ObservedContainer, ObservedEngine, ProxyName, ProxySpec,
    ProxyTuning, Subnet,
};

/// The steps after which the proxy runs. Empty when it does.
///
/// # Errors
/// When its network cannot be made, or when it runs with other settings than `spec` asks for.
pub fn plan_proxy(spec: &ProxySpec, image: &ProxyImage, observed: &ObservedEngine) -> Result<Vec<Stage>, PlanRefused> {
    bring_up(spec, image, observed).map(numbered)
}

fn bring_up(spec: &ProxySpec, image: &ProxyImage, observed: &ObservedEngine) -> Result<Vec<Stage>, PlanRefused> {
    let pool = address_pool(spec, observed)?;
    let name = spec.name.container();
    let whole = |because: &str| {
        let stages =
            [foundation(spec, image, observed, pool), Stage::line(rebuilt(spec, image, observed, pool, because))];
        stages.into_iter().filter(|stage| !stage.is_empty()).collect()
    };
    let Some(container) = observed.container(&name) else {
        return Ok(whole("the host has no proxy yet"));
    };
    if is_interim(container, spec, image, observed) && spec.http_port != INTERIM_PORT {
        // A takeover was interrupted after compose's container had gone.
        return Ok(whole("it runs without its port, which is free now"));
    }
    let differs = differs(container, spec, image, observed, pool);
    let runs = matches!(container.state, ContainerState::Running | ContainerState::Restarting);
    if differs && spec.http_port == INTERIM_PORT && !runs {
        return Ok(whole("another container still has its port"));
    }
    if differs {
        let port = container.published.filter(|port| *port != spec.http_port).map(|port| (port, spec.http_port));
        let gap = container.labels.identity != holder(spec, image, pool).labels.identity;
        return Err(PlanRefused::ProxyDiffers { proxy: spec.name.to_string(), port, gap });
    }
    let is_alone = container.labels.is_holder() && instances(&spec.name, observed).is_empty();
    if container.state == ContainerState::Dead || is_alone {
        return Ok(whole(if is_alone { "it has no nginx" } else { "the proxy's container is dead" }));
    }
    let steps = starting(&spec.name, observed, "the proxy is not running");
    if steps.is_empty() {
        return Ok(Vec::new());
    }
    let network = network(&spec.name, observed, pool).map(|planned| Stage::line(vec![planned]));
    Ok(network.into_iter().chain([Stage::line(steps)]).collect())
}

/// Whether the proxy runs with other settings than `spec` asks for.
fn differs(
    container: &ObservedContainer,
    spec: &ProxySpec,
    image: &ProxyImage,
    observed: &ObservedEngine,
    pool: AddressPool,
) -> bool {
    if !container.labels.is_holder() {
        return container.labels.identity != single_identity(spec, pool);
    }
    let newest = instances(&spec.name, observed).last().map(|(_, newest)| newest.labels.identity.as_str());
    let wanted = instance(spec, image, pool, 0).labels.identity;
    container.labels.identity != holder(spec, image, pool).labels.identity
        || newest.is_some_and(|newest| newest != wanted)
}

fn next_number(instances: &[(u32, &ObservedContainer)]) -> u32 {
    instances.last().map_or(1, |(number, _)| number.saturating_add(1))
}

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
    let interim = interim_spec(spec);
    address_pool(spec, observed).is_ok_and(|pool| {
        let identity = if proxy.labels.is_holder() {
            holder(&interim, image, pool).labels.identity
        } else {
            single_identity(&interim, pool)
        };
        identity == proxy.labels.identity
    })
}

/// How the proxy's limits and log differ from what `spec` asks for. A deploy goes on with them as they are.
#[must_use]
pub fn proxy_drift(spec: &ProxySpec, observed: &ObservedEngine) -> Option<String> {
    let proxy = nginx_container(&spec.name, observed)?;
    let difference = proxy.labels.tuning.unwrap_or(ProxyTuning::BEFORE).difference(spec.tuning())?;
    Some(format!("the proxy `{}` has {difference}", spec.name))
}

/// The steps up to the proxy's new container, with its port; then those that start it.
pub(super) fn proxy_swap(
    spec: &ProxySpec,
    image: &ProxyImage,
    observed: &ObservedEngine,
) -> Result<(Vec<Planned>, Vec<Planned>), PlanRefused> {
    let pool = address_pool(spec, observed)?;
    let because = "it gets its port";
    let steps = rebuilt(spec, image, observed, pool, because);
    let first = steps.iter().position(|planned| matches!(planned.step, Step::StartContainer { .. }));
    let mut made = steps;
    let start = made.split_off(first.unwrap_or(made.len()));
    Ok((made, start))
}

/// The proxy from nothing, or instead of what there is.
pub(super) fn rebuilt(
    spec: &ProxySpec,
    image: &ProxyImage,
    observed: &ObservedEngine,
    pool: AddressPool,
    because: &str,
) -> Vec<Planned> {
    let name = spec.name.container();
    let own = instances(&spec.name, observed);
    let number = next_number(&own);
    // What takes time comes before the port is free.
    let mut steps = vec![created(instance(spec, image, pool, number), because)];
    let before = own.iter().map(|(_, container)| *container).chain(observed.container(&name));
    for container in before {
        steps.extend(stop_and_remove(container, Some(PROXY_STOP_GRACE), "its place is needed"));
    }
    steps.push(created(holder(spec, image, pool), because));
    let nginx = spec.name.instance(number);
    steps.extend([started(&name, because), started(&nginx, because), controlled(&nginx)]);
    steps
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

pub(super) fn foundation(spec: &ProxySpec, image: &ProxyImage, observed: &ObservedEngine, pool: AddressPool) -> Stage {
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
