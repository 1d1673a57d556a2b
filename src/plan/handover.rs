//! Replaces the proxy: the new nginx takes the connections over from the one that serves, which ends by itself.

use std::time::Duration;

use super::ends::stop_and_remove;
use super::proxy::{address_pool, foundation, plan_proxy, proxy_drift, rebuilt};
use super::proxy_containers::{PROXY_STOP_GRACE, holder, instance, instances};
use super::proxy_image::ProxyImage;
use super::refusal::PlanRefused;
use super::stage::{Planned, Stage, numbered};
use super::step::Step;
use crate::model::{ContainerState, ObservedContainer, ObservedEngine, ProxySpec, UpgradePolicy};

/// nginx is up within a second; a slow disk and a large history take the rest.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// Of one that has no request open any more, or never had any.
const LEFT_GRACE: Duration = Duration::from_secs(2);

/// Which nginx serves and which retire, as the proxy says; nothing when it does not answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Serving {
    pub instance: Option<u32>,
    pub retiring: Vec<u32>,
}

/// How a proxy is replaced.
#[derive(Debug, Clone, PartialEq)]
pub struct ProxyUpgrade {
    pub stages: Vec<Stage>,
    /// The number of the nginx that then serves, and of the one before; `None`: connections are refused meanwhile.
    pub hand_over: Option<(u32, u32)>,
}

/// Why a replacement of the proxy refuses connections for a moment; `None` when it hands over.
#[must_use]
pub fn upgrade_gap(spec: &ProxySpec, image: &ProxyImage, observed: &ObservedEngine) -> Option<&'static str> {
    let container = observed.container(&spec.name.container())?;
    let pool = address_pool(spec, observed).ok()?;
    if !container.labels.is_holder() {
        return Some("the proxy is of a build that cannot hand over");
    }
    if container.labels.identity != holder(spec, image, pool).labels.identity {
        return Some("its published ports, its address or its network change");
    }
    (container.state != ContainerState::Running).then_some("it does not run")
}

/// Whether the proxy is of another build, or set up in another way, than the compose file and this deploy-apps ask for.
#[must_use]
pub fn upgrade_due(spec: &ProxySpec, image: &ProxyImage, observed: &ObservedEngine, build: Option<&str>) -> bool {
    upgrade_gap(spec, image, observed).is_some()
        || build != Some(&image.build_id)
        || !plan_proxy(spec, image, observed).is_ok_and(|stages| stages.is_empty())
        || proxy_drift(spec, observed).is_some()
}

/// The hand-over that a deploy begins with where the compose file says `upgrade: auto`. `None`: nothing is to be replaced, or
/// connections would be refused for it. Nobody's deploy is waited for.
///
/// # Errors
/// When its network cannot be made.
pub fn plan_auto_upgrade(
    spec: &ProxySpec,
    image: &ProxyImage,
    observed: &ObservedEngine,
    build: &str,
    serving: &Serving,
) -> Result<Option<ProxyUpgrade>, PlanRefused> {
    let is_possible = serving.instance.is_some() && upgrade_gap(spec, image, observed).is_none();
    if spec.upgrade != UpgradePolicy::Auto || !is_possible || !upgrade_due(spec, image, observed, Some(build)) {
        return Ok(None);
    }
    let because = "`upgrade: auto`, and the proxy is not as this deploy-apps makes it";
    plan_proxy_upgrade(spec, image, observed, serving, Duration::ZERO, because).map(Some)
}

/// The steps that replace the proxy, keeping its state.
///
/// # Errors
/// When its network cannot be made.
pub fn plan_proxy_upgrade(
    spec: &ProxySpec,
    image: &ProxyImage,
    observed: &ObservedEngine,
    serving: &Serving,
    lock_wait: Duration,
    because: &str,
) -> Result<ProxyUpgrade, PlanRefused> {
    let pool = address_pool(spec, observed)?;
    let foundation = foundation(spec, image, observed, pool);
    let is_new = observed.container(&spec.name.container()).is_none();
    let Some(from) = serving.instance.filter(|_| !is_new && upgrade_gap(spec, image, observed).is_none()) else {
        let because = if is_new { "the host has no proxy yet" } else { because };
        let steps = rebuilt(spec, image, observed, pool, because);
        return Ok(ProxyUpgrade { stages: numbered(vec![foundation, Stage::line(steps)]), hand_over: None });
    };
    let to = instances(&spec.name, observed).last().map_or(from, |(number, _)| from.max(*number)).saturating_add(1);
    let new = instance(spec, image, pool, to);
    let name = new.name.clone();
    let steps = vec![
        Planned::new(Step::CreateContainer(Box::new(new)), because),
        Planned::new(Step::StartContainer { name: name.clone() }, because),
        Planned::new(
            Step::HandOver { name, to, timeout: START_TIMEOUT, lock_wait },
            "new connections go to it from then on",
        ),
    ];
    let left = Stage::beside(left_instances(spec, observed, serving));
    let stages = vec![foundation, left, Stage::line(steps)];
    let stages = stages.into_iter().filter(|stage| !stage.is_empty()).collect();
    Ok(ProxyUpgrade { stages: numbered(stages), hand_over: Some((to, from)) })
}

/// What becomes of nginx containers that neither serve nor retire: an interrupted run left them, or they have ended. Nothing where
/// nobody knows which one serves.
#[must_use]
pub fn left_instances(spec: &ProxySpec, observed: &ObservedEngine, serving: &Serving) -> Vec<Vec<Planned>> {
    let Some(current) = serving.instance else { return Vec::new() };
    let left =
        |container: &ObservedContainer| stop_and_remove(container, Some(LEFT_GRACE), "it neither serves nor retires");
    let own = instances(&spec.name, observed).into_iter();
    own.filter(|(number, _)| *number != current && !serving.retiring.contains(number))
        .map(|(_, container)| left(container))
        .collect()
}

/// Ends the proxy: the nginx first, which lets open requests finish, then what has its port.
pub(super) fn ending(spec: &ProxySpec, observed: &ObservedEngine, because: &str) -> Vec<Planned> {
    let own = instances(&spec.name, observed).into_iter().map(|(_, container)| container);
    let all = own.chain(observed.container(&spec.name.container()));
    all.flat_map(|container| stop_and_remove(container, Some(PROXY_STOP_GRACE), because)).collect()
}
