//! What a deploy does with a selected accessory.

use serde::Serialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AccessoryChange {
    /// It does not exist.
    Create,
    /// It exists and is stopped.
    Start,
    /// The compose file has changed. The old container is only stopped until the new one is healthy, and can be
    /// restarted.
    Replace,
    /// Like `Replace` for a service with `container_name`: the name must be unique, so the old container is removed
    /// first.
    Recreate,
    /// A one-shot service that has not completed yet for this image and configuration.
    Run,
    /// It runs and is kept as it is.
    Leave,
    /// The same container is restarted on request.
    Restart,
    /// It is stopped on request; its container is kept.
    Stop,
    /// Its container goes.
    Remove,
}

impl AccessoryChange {
    /// The text for the planned change.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Create => "is created",
            Self::Start => "is started",
            Self::Replace | Self::Recreate => "is replaced",
            Self::Run => "runs once",
            Self::Leave => "is left as it is",
            Self::Restart => "is restarted",
            Self::Stop => "is stopped",
            Self::Remove => "is removed",
        }
    }
}
