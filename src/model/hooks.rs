//! Lifecycle commands of a container: compose's `pre_start`, `post_start` and `pre_stop`.

use std::time::Duration;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::keys::is_default;

/// The hooks of a service, each list in execution order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Hooks {
    /// Run once per release, each in a new container, before any container of the release starts.
    #[serde(skip_serializing_if = "is_default")]
    pub pre_start: Vec<Hook>,
    /// Run in each container between its start and its first probe.
    #[serde(skip_serializing_if = "is_default")]
    pub post_start: Vec<Hook>,
    /// Run in each container between its last request and its stop signal.
    #[serde(skip_serializing_if = "is_default")]
    pub pre_stop: Vec<Hook>,
}

/// One command.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Hook {
    pub command: Vec<String>,
    /// `None` (here and below): the service's value. Only `pre_start` may set another image.
    #[serde(skip_serializing_if = "is_default")]
    pub image: Option<String>,
    #[serde(skip_serializing_if = "is_default")]
    pub user: Option<String>,
    #[serde(skip_serializing_if = "is_default")]
    pub privileged: bool,
    #[serde(skip_serializing_if = "is_default")]
    pub working_dir: Option<String>,
    /// Added to the service's environment.
    #[serde(skip_serializing_if = "is_default")]
    pub environment: IndexMap<String, String>,
    /// The hook is aborted after this.
    pub timeout: Duration,
}

impl Hook {
    /// The command as typed in a shell.
    #[must_use]
    pub fn shown(&self) -> String {
        const MOST: usize = 60;
        let line = self.command.join(" ");
        let mut shown: String = line.chars().take(MOST).map(|c| if c.is_control() { ' ' } else { c }).collect();
        if line.chars().nth(MOST).is_some() {
            shown.push('…');
        }
        shown
    }
}

impl Hooks {
    /// The hooks as a label of the container. They are needed when the container stops, when the compose file may
    /// already be different.
    #[must_use]
    pub fn to_label(&self) -> Option<String> {
        let kept = Self { pre_start: Vec::new(), ..self.clone() };
        if kept == Self::default() { None } else { serde_json::to_string(&kept).ok() }
    }

    /// Parses the label. A format of a later version counts as no hooks.
    #[must_use]
    pub fn from_label(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_default()
    }
}
