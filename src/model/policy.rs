//! Rollout policies of an app. All defaults are defined here, with their reasons.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// When a replica counts as healthy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HealthPolicy {
    /// Requested with GET through the proxy; 2xx and 3xx are healthy.
    pub path: String,
    /// Consecutive successes before a replica gets traffic.
    pub successes: u32,
    /// Pause between two probes.
    pub interval: Duration,
    /// From the container's start to the failure of its gate. Also applies to an app without a port, which is not
    /// probed.
    pub timeout: Duration,
    /// Timeout of one probe.
    pub probe_timeout: Duration,
}

impl Default for HealthPolicy {
    fn default() -> Self {
        Self {
            path: "/".to_owned(),
            // One success is not enough: an app that answers once and then crashes must not get traffic.
            successes: 2,
            // Short, because a probe costs less than a millisecond and every interval adds to the duration of the
            // deploy.
            interval: Duration::from_millis(25),
            timeout: Duration::from_secs(30),
            probe_timeout: Duration::from_secs(2),
        }
    }
}

/// How long an old replica may finish its open requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DrainPolicy {
    pub timeout: Duration,
    /// WebSockets end when their users leave, not when a request ends, so they have a separate limit.
    pub websocket_timeout: Duration,
    /// For both with `order: stop-first`, where new requests wait until the old replica has stopped.
    pub stop_first_timeout: Duration,
}

impl Default for DrainPolicy {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(60),
            websocket_timeout: Duration::from_secs(300),
            // No request is served meanwhile, so an endless stream must not set the duration. Most requests need far
            // less; it is also the engine's default stop grace period.
            stop_first_timeout: Duration::from_secs(10),
        }
    }
}

/// Whether the old or the new replicas run first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// The new replicas run concurrently with the old ones until the flip.
    StartFirst,
    /// The old replicas stop before the new ones start, for a single writer. Requests wait at the proxy.
    StopFirst,
}

/// What happens when a new replica does not pass its gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureAction {
    /// All batches are rolled back, so only the old version serves.
    #[default]
    Rollback,
    /// Completed batches stay and the rest is not started: the number of replicas is unchanged, in two versions. The
    /// next deploy continues.
    Pause,
}

/// `deploy.update_config`, or `deploy.rollback_config` for a rollback.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolloutPolicy {
    pub order: Order,
    /// Replicas replaced at a time; 0: all at once, which is fastest and keeps the time with two versions short.
    pub parallelism: u32,
    /// Pause between two batches.
    pub delay: Duration,
    /// How long a new replica must stay healthy after its gate before it gets traffic.
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

/// How the next replica is picked among the healthy ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Balance {
    #[default]
    LeastConnections,
    RoundRobin,
}

/// The engine's default for the time between the stop signal and SIGKILL.
pub const DEFAULT_STOP_GRACE: Duration = Duration::from_secs(10);
