//! What the user asked for besides the compose file.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{AccessoryChange, AppName, CanaryPolicy, CanaryStep, ReleaseNumber, Share};

/// Which release of each app it is about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Intent {
    /// What the compose file says.
    #[default]
    Deploy,
    /// What serves now, with so many replicas.
    Scale(BTreeMap<AppName, u32>),
    /// What served before. An app without a number goes back to the highest release before the serving one.
    Rollback { to: BTreeMap<AppName, ReleaseNumber>, release_command: bool },
    /// What serves now, in new containers.
    Restart,
    /// Nothing runs, and the proxy answers for it; what served is remembered.
    Stop,
    /// What served before it was stopped.
    Start,
}

impl Intent {
    /// What becomes of an accessory that is named, where its configuration stays as it is.
    pub(super) fn of_accessories(&self) -> Option<AccessoryChange> {
        match self {
            Self::Restart => Some(AccessoryChange::Restart),
            Self::Stop => Some(AccessoryChange::Stop),
            Self::Start => Some(AccessoryChange::Start),
            Self::Deploy | Self::Scale(_) | Self::Rollback { .. } => None,
        }
    }

    /// As leases and the history name it.
    #[must_use]
    pub fn purpose(&self) -> &'static str {
        match self {
            Self::Deploy => "deploy",
            Self::Scale(_) => "scale",
            Self::Rollback { .. } => "rollback",
            Self::Restart => "restart",
            Self::Stop => "stop",
            Self::Start => "start",
        }
    }
}

/// Whether a new release is tried on a part of the traffic first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CanaryChoice {
    /// As the compose file says.
    #[default]
    File,
    Off,
    /// Also where the file has none. Without weights the steps are the file's, or the usual ones.
    On {
        weights: Vec<Share>,
        duration: Option<Duration>,
    },
}

impl CanaryChoice {
    /// What becomes of the compose file's policy.
    pub(super) fn of(&self, file: Option<&CanaryPolicy>) -> Option<CanaryPolicy> {
        match self {
            Self::File => file.cloned(),
            Self::Off => None,
            Self::On { weights, duration } => {
                let mut policy = file.cloned().unwrap_or_default();
                if !weights.is_empty() {
                    let step = |weight: &Share| CanaryStep { weight: *weight, duration: CanaryStep::DEFAULT_DURATION };
                    policy.steps = weights.iter().map(step).collect();
                }
                for step in &mut policy.steps {
                    step.duration = duration.unwrap_or(step.duration);
                }
                Some(policy)
            }
        }
    }
}

/// What the user asked for besides the compose file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeployOptions {
    /// Replace the replicas even where nothing has changed.
    pub force: bool,
    /// All named apps flip in one call, or none.
    pub atomic: bool,
    /// Scale to this number at the same time.
    pub replicas: Option<u32>,
    /// Leave accessories that are there as they are, even where the compose file has changed.
    pub keep_accessories: bool,
    /// Replace accessories without their backup.
    pub no_backup: bool,
    /// How many releases a rollback can go back to after a deploy; older ones go. `None` leaves all.
    pub keep: Option<u32>,
    pub intent: Intent,
    pub canary: CanaryChoice,
    /// The image of a proxy that is to be made.
    #[serde(skip)]
    pub proxy_image: String,
}
