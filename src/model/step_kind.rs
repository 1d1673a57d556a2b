//! The kind of a step: a stable word by which programs and traces group steps.

use serde::Serialize;

/// A step's kind. The texts of steps may change; these words do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    /// Creates what containers need, such as networks and volumes.
    Setup,
    /// Writes to the proxy's storage, such as a release's number.
    Record,
    /// Builds or tags an image.
    Build,
    Create,
    Start,
    /// Runs a command in a running container.
    Hook,
    /// Waits until a started container is healthy.
    Gate,
    /// Runs the release command, once per release.
    Release,
    /// Waits until the services that it depends on are ready.
    Dependency,
    Flip,
    /// Asks the proxy for its routes.
    Confirm,
    Drain,
    Stop,
    Remove,
    Pause,
    /// Watches a release that gets a share of the requests.
    Canary,
}

impl StepKind {
    /// The word itself.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Setup => "setup",
            Self::Record => "record",
            Self::Build => "build",
            Self::Create => "create",
            Self::Start => "start",
            Self::Hook => "hook",
            Self::Gate => "gate",
            Self::Release => "release",
            Self::Dependency => "dependency",
            Self::Flip => "flip",
            Self::Confirm => "confirm",
            Self::Drain => "drain",
            Self::Stop => "stop",
            Self::Remove => "remove",
            Self::Pause => "pause",
            Self::Canary => "canary",
        }
    }
}
