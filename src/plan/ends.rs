//! How a container ends that nobody needs any more.

use std::time::Duration;

use super::hooks::pre_stop;
use super::stage::Planned;
use super::step::Step;
use crate::model::{ContainerState, ObservedContainer};

pub(super) fn stop_and_remove(container: &ObservedContainer, grace: Option<Duration>, because: &str) -> Vec<Planned> {
    let name = container.name.clone();
    let runs = matches!(container.state, ContainerState::Running | ContainerState::Paused | ContainerState::Restarting);
    let stop = Step::StopContainer { name: name.clone(), signal: None, grace, restart: None };
    let stop = runs.then(|| Planned::new(stop, because));
    let end = [Planned::new(Step::RemoveContainer { name }, because)];
    pre_stop(container).chain(stop).chain(end).collect()
}
