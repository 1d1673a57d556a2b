//! The steps of compose's hooks.

use std::time::Duration;

use super::stage::Planned;
use super::step::Step;
use crate::model::{ContainerState, Hook, Hooks, NewContainer, ObservedContainer};

/// Right after the start of a container, before anything asks whether it is healthy.
pub(super) fn post_start(name: &str, hooks: &Hooks) -> Vec<Planned> {
    let step = |hook: &Hook| Step::PostStart { name: name.to_owned(), hook: hook.clone() };
    hooks.post_start.iter().map(|hook| Planned::new(step(hook), "`post_start` runs before the first probe")).collect()
}

/// Right before the stop signal, as the container itself was made with: the file may say something else by now.
pub(super) fn pre_stop(container: &ObservedContainer) -> impl Iterator<Item = Planned> {
    let runs = container.state == ContainerState::Running;
    let (name, hooks) = (container.name.clone(), container.hooks.pre_stop.clone());
    hooks.into_iter().filter(move |_| runs).map(move |hook| {
        Planned::new(Step::PreStop { name: name.clone(), hook }, "`pre_stop` runs before its stop signal")
    })
}

/// How long hooks that run one after the other may take.
pub(super) fn limits(hooks: &[Hook]) -> Duration {
    hooks.iter().map(|hook| hook.timeout).sum()
}

/// A container that does one thing and goes.
pub(super) fn run_once(container: NewContainer, timeout: Duration, because: &'static str) -> [Planned; 4] {
    let name = container.name.clone();
    [
        Planned::new(Step::CreateContainer(Box::new(container)), because),
        Planned::new(Step::StartContainer { name: name.clone() }, because),
        Planned::new(Step::AwaitExit { name: name.clone(), timeout }, because),
        Planned::new(Step::RemoveContainer { name }, "it has done its work"),
    ]
}
