//! Webhooks that are notified when a run ends.

use std::fmt;
use std::time::Duration;

use indexmap::IndexMap;
use serde::{Serialize, Serializer};

/// Text that must not be shown, such as a URL with a token.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text, for its actual use.
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
    /// The URL's host and port, the only parts that may be shown.
    pub place: String,
    pub on_success: bool,
    pub on_failure: bool,
    /// Header names may be shown, values may not.
    pub headers: IndexMap<String, Secret>,
    pub format: WebhookFormat,
    /// Timeout of one try.
    pub timeout: Duration,
}

impl Webhook {
    /// Long enough for a busy chat service, short enough not to delay a pipeline when one hangs.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WebhookFormat {
    /// All fields, as in `docs/schema/notify.json`.
    #[default]
    Json,
    /// A single `text` field, as chat services expect.
    Slack,
}
