//! A container as reported by the engine.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use super::container::OwnLabels;
use super::hooks::Hooks;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ObservedContainer {
    pub id: String,
    pub name: String,
    pub image_id: String,
    pub labels: OwnLabels,
    pub state: ContainerState,
    /// `None` when the container has no health check.
    pub health: Option<DockerHealth>,
    /// Its fixed address on the proxy's network, also while it is stopped.
    pub address: Option<Ipv4Addr>,
    /// The hooks that it was created with.
    pub hooks: Hooks,
    /// Names of the mounted volumes.
    pub volumes: Vec<String>,
    /// The first host port that is published for it while it runs.
    #[serde(default)]
    pub published: Option<u16>,
}

impl ObservedContainer {
    /// Running, and not known to be unhealthy.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.state == ContainerState::Running && self.health != Some(DockerHealth::Unhealthy)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContainerState {
    Created,
    Running,
    Paused,
    Restarting,
    Exited {
        code: i64,
        oom_killed: bool,
    },
    /// Being removed, or in a state that only allows removal.
    Dead,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DockerHealth {
    Starting,
    Healthy,
    Unhealthy,
}
