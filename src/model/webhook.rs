//! Who is told of a run's end.

use std::fmt;
use std::time::Duration;

use indexmap::IndexMap;
use serde::{Serialize, Serializer};

/// A text that must not be shown, such as a URL with a token in it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself, for where it is used.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("•••")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("•••")
    }
}

/// One `notify` entry of `x-deploy-apps`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Webhook {
    pub url: Secret,
    /// The URL's host and port: all of it that may be shown.
    pub place: String,
    pub on_success: bool,
    pub on_failure: bool,
    /// Names are shown, values are not.
    pub headers: IndexMap<String, Secret>,
    pub format: WebhookFormat,
    /// For one try.
    pub timeout: Duration,
}

impl Webhook {
    /// Long enough for a busy chat service, short enough that nobody waits long for one that hangs.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WebhookFormat {
    /// Everything, as `docs/schema/notify.json` says.
    #[default]
    Json,
    /// One `text`, as chat services take it.
    Slack,
}
