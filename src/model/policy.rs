//! How an app is rolled. Every default stands here, once, with its reason.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// When a replica counts as healthy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HealthPolicy {
    /// Asked with GET through the proxy; 2xx and 3xx are healthy.
    pub path: String,
    /// Successes in a row before a replica gets traffic.
    pub successes: u32,
    /// From one probe to the next.
    pub interval: Duration,
    /// From the container's start to its last chance; of an app without a port, too, which is not asked.
    pub timeout: Duration,
    /// For a single probe.
    pub probe_timeout: Duration,
}

impl Default for HealthPolicy {
    fn default() -> Self {
        Self {
            path: "/".to_owned(),
            // One success is not enough: an app that answers once and then crashes must not get traffic.
            successes: 2,
            // Short, because a probe costs under a millisecond and every interval is added to the deploy's time.
            interval: Duration::from_millis(25),
            timeout: Duration::from_secs(30),
            probe_timeout: Duration::from_secs(2),
        }
    }
}

/// How long an old replica may go on with what it has begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DrainPolicy {
    pub timeout: Duration,
    /// WebSockets end when their users leave, not when a request ends; so they have a limit of their own.
    pub websocket_timeout: Duration,
    /// For both, while all new requests wait for the old replica's end: with `order: stop-first`.
    pub stop_first_timeout: Duration,
}

impl Default for DrainPolicy {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(60),
            websocket_timeout: Duration::from_secs(300),
            // Nobody is served meanwhile, so a stream that never ends must not decide for how long. Most requests need far less;
            // it is also what an engine gives a container to stop.
            stop_first_timeout: Duration::from_secs(10),
        }
    }
}

/// Which of old and new runs first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// The new replicas run beside the old ones until the flip.
    StartFirst,
    /// The old replicas stop before the new ones start: for a single writer. Requests wait at the proxy.
    StopFirst,
}

/// What becomes of a rollout one of whose new replicas does not pass its gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureAction {
    /// All batches are taken back: one version serves, the old one.
    #[default]
    Rollback,
    /// The batches before stay, the rest is not begun: as many serve as before, in two versions. The next deploy goes on.
    Pause,
}

/// `deploy.update_config`, and `deploy.rollback_config` for a rollback.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolloutPolicy {
    pub order: Order,
    /// Replicas replaced at a time; 0 is all at once, which is quickest and never shows two versions for long.
    pub parallelism: u32,
    /// Between two batches.
    pub delay: Duration,
    /// How long a new replica must stay up after its gate before it gets traffic.
    pub monitor: Duration,
    pub failure_action: FailureAction,
}

impl Default for RolloutPolicy {
    fn default() -> Self {
        Self {
            order: Order::StartFirst,
            parallelism: 0,
            delay: Duration::ZERO,
            monitor: Duration::ZERO,
            failure_action: FailureAction::default(),
        }
    }
}

/// Which of the healthy replicas gets the next request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Balance {
    #[default]
    LeastConnections,
    RoundRobin,
}

/// What the engine gives a container between the stop signal and SIGKILL when nothing else is said.
pub const DEFAULT_STOP_GRACE: Duration = Duration::from_secs(10);
