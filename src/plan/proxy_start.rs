//! A proxy that is there already: started, or waited for.

use std::time::Duration;

use super::proxy::plan_lost_network;
use super::proxy_steps::starting;
use super::stage::{Planned, Stage, numbered};
use super::step::Step;
use crate::model::{ObservedEngine, ProxyName};

/// How long a proxy that should run may be silent, as while the engine restarts it.
const PROXY_PATIENCE: Duration = Duration::from_secs(20);

/// Starts what is stopped of a proxy, taken as it is: routes can be taken out of a running one only. Empty when all of it runs.
#[must_use]
pub fn plan_proxy_start(proxy: &ProxyName, observed: &ObservedEngine) -> Vec<Stage> {
    let steps = starting(proxy, observed, "the proxy is not running, and only it can forget routes");
    if steps.is_empty() {
        return Vec::new();
    }
    // Whoever starts it would wait for a network that was removed while all was stopped.
    let network = plan_lost_network(proxy, observed).map(|planned| Stage::line(vec![planned]));
    numbered(network.into_iter().chain([Stage::line(steps)]).collect())
}

/// Waits for a proxy that runs and does not answer.
#[must_use]
pub fn plan_proxy_wait(proxy: &ProxyName) -> Vec<Stage> {
    let step = Step::AwaitControl { name: proxy.container(), timeout: PROXY_PATIENCE };
    numbered(vec![Stage::line(vec![Planned::new(step, "it runs, so it is in the middle of a restart")])])
}
