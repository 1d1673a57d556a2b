//! A proxy that is there already: started, or waited for.

use std::time::Duration;

use super::proxy::{plan_lost_network, starting};
use super::stage::{Planned, Stage, numbered};
use super::step::Step;
use crate::model::{ObservedEngine, ProxyName};

/// How long a proxy that should run may be silent, as while the engine restarts it.
const PROXY_PATIENCE: Duration = Duration::from_secs(20);

/// Starts a proxy that is stopped, taken as it is: routes can be taken out of a running one only.
#[must_use]
pub fn plan_proxy_start(proxy: &ProxyName, observed: &ObservedEngine) -> Vec<Stage> {
    // Whoever starts it would wait for a network that was removed while all was stopped.
    let network = plan_lost_network(proxy, observed).map(|planned| Stage::line(vec![planned]));
    let start = Stage::line(starting(&proxy.container(), "the proxy is not running, and only it can forget routes"));
    numbered(network.into_iter().chain([start]).collect())
}

/// Waits for a proxy that runs and does not answer.
#[must_use]
pub fn plan_proxy_wait(proxy: &ProxyName) -> Vec<Stage> {
    let step = Step::AwaitControl { name: proxy.container(), timeout: PROXY_PATIENCE };
    numbered(vec![Stage::line(vec![Planned::new(step, "it runs, so it is in the middle of a restart")])])
}
