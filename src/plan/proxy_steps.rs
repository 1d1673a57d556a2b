//! The steps that make a proxy's containers and start them.

use std::time::Duration;

use super::proxy_containers::instances;
use super::stage::Planned;
use super::step::Step;
use crate::model::{ContainerState, NewContainer, ObservedContainer, ObservedEngine, ProxyName};

/// nginx is up within a second; a slow disk and a large history take the rest.
const PROXY_START_TIMEOUT: Duration = Duration::from_secs(60);

pub(super) fn created(container: NewContainer, because: &str) -> Planned {
    Planned::new(Step::CreateContainer(Box::new(container)), because)
}

pub(super) fn started(name: &str, because: &str) -> Planned {
    Planned::new(Step::StartContainer { name: name.to_owned() }, because)
}

pub(super) fn controlled(name: &str) -> Planned {
    // Its HEALTHCHECK would say so too, but only at the engine's next look, seconds later.
    let step = Step::AwaitControl { name: name.to_owned(), timeout: PROXY_START_TIMEOUT };
    Planned::new(step, "nothing flips without it")
}

fn runs(container: &ObservedContainer) -> bool {
    matches!(container.state, ContainerState::Running | ContainerState::Restarting)
}

/// The steps that start what is stopped of a proxy: the container that has its ports, and the nginx containers where none runs.
pub(super) fn starting(proxy: &ProxyName, observed: &ObservedEngine, because: &str) -> Vec<Planned> {
    let name = proxy.container();
    let Some(container) = observed.container(&name) else { return Vec::new() };
    let mut steps: Vec<Planned> = if runs(container) { Vec::new() } else { vec![started(&name, because)] };
    let own = instances(proxy, observed);
    if !own.iter().any(|(_, one)| runs(one)) {
        steps.extend(own.iter().map(|(_, one)| started(&one.name, because)));
    }
    let last = steps.last().and_then(|planned| planned.step.subject()).map(str::to_owned);
    steps.extend(last.map(|last| controlled(&last)));
    steps
}
