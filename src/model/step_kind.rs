//! What kind of work a step is: the few words by which programs and traces group steps.

use serde::Serialize;

/// A step's kind. Texts of steps are for people and may change; these words do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    /// Networks, volumes and the like, which containers need.
    Setup,
    /// A line in the proxy's memory, such as a release's number.
    Record,
    /// An image, built or named.
    Build,
    Create,
    Start,
    /// A command in a container that runs.
    Hook,
    /// Until a started container counts as good.
    Gate,
    /// Until the command that runs once per release has ended.
    Release,
    /// Until the services that it depends on are ready.
    Dependency,
    Flip,
    /// The proxy is asked what it routes.
    Confirm,
    Drain,
    Stop,
    Remove,
    Pause,
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
        }
    }
}
