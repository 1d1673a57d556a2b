//! What becomes of an accessory that was asked for.

use serde::Serialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AccessoryChange {
    /// It is missing.
    Create,
    /// It is there and stopped.
    Start,
    /// The compose file has changed. Until the new one is healthy the old one is only stopped, and can come back.
    Replace,
    /// The same under a `container_name`, which two cannot bear: the old one goes first.
    Recreate,
    /// A service that does one thing and ends has not done it yet for this image and configuration.
    Run,
    /// It runs, as the file says or as it was left.
    Leave,
    /// The same container again, as it was asked for.
    Restart,
    /// It was asked for; its container stays.
    Stop,
}

impl AccessoryChange {
    /// The words for it before it is done.
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
        }
    }
}
