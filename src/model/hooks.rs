//! Commands around the life of a container: compose's `pre_start`, `post_start` and `pre_stop`.

use std::time::Duration;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::keys::is_default;

/// The hooks of a service, each list in the order of running.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Hooks {
    /// Each in a container of its own, once per release, before anything of it starts.
    #[serde(skip_serializing_if = "is_default")]
    pub pre_start: Vec<Hook>,
    /// In each container, between its start and its first probe.
    #[serde(skip_serializing_if = "is_default")]
    pub post_start: Vec<Hook>,
    /// In each container, between its last request and its stop signal.
    #[serde(skip_serializing_if = "is_default")]
    pub pre_stop: Vec<Hook>,
}

/// One command.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Hook {
    pub command: Vec<String>,
    /// `None` is the service's own, here and below. Only `pre_start` may name another image.
    #[serde(skip_serializing_if = "is_default")]
    pub image: Option<String>,
    #[serde(skip_serializing_if = "is_default")]
    pub user: Option<String>,
    #[serde(skip_serializing_if = "is_default")]
    pub privileged: bool,
    #[serde(skip_serializing_if = "is_default")]
    pub working_dir: Option<String>,
    /// On top of the service's own.
    #[serde(skip_serializing_if = "is_default")]
    pub environment: IndexMap<String, String>,
    /// It is given up after this.
    pub timeout: Duration,
}

impl Hook {
    /// The command as a person would type it.
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
    /// What a running container must be asked for later, when the compose file may say something else:
    /// kept in a label of the container.
    #[must_use]
    pub fn to_label(&self) -> Option<String> {
        let kept = Self { pre_start: Vec::new(), ..self.clone() };
        if kept == Self::default() { None } else { serde_json::to_string(&kept).ok() }
    }

    /// Reads the label; what a later version wrote and this one does not understand is no hook.
    #[must_use]
    pub fn from_label(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_default()
    }
}
