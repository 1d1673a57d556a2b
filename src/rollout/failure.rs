//! Why a step or a whole deploy did not succeed, and what that means for the run.

use crate::event::Detail;
use crate::plan::PlanRefused;
use crate::ports::{EngineError, EngineErrorKind, ProxyError};

/// Why a deploy ended before any app's part of it began.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum DeployError {
    #[error(transparent)]
    Refused(#[from] PlanRefused),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    /// The proxy, or what the apps share, could not be set up. The events have told why, with the evidence.
    #[error(transparent)]
    Setup(StepFailure),
    /// A saved plan was to be run, and would no longer do what it says. Nothing was touched.
    #[error("the state has changed since the plan was saved")]
    Moved { what: Vec<String> },
}

/// A step that did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct StepFailure {
    pub kind: FailureKind,
    pub message: String,
    pub hint: Option<String>,
    pub details: Vec<Detail>,
}

/// What a failure means for what comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// It failed, and had no effect beyond what its undo reverts.
    Failed,
    /// The user asked to stop.
    Cancelled,
    /// A canary's gate, or somebody elsewhere, has decided against the release.
    Aborted,
    /// What the plan was made from is no longer so: plan again.
    StateChanged,
    /// The name is taken by a container that is not of this run, so an undo must not touch it.
    NotOurs,
    /// Somebody deploys right now.
    Locked,
    /// Nobody knows whether it took effect.
    Unknown,
    /// The engine is no longer reachable; what the call was about may have happened.
    Disconnected,
}

impl StepFailure {
    pub(super) fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None, details: Vec::new() }
    }

    pub(super) fn failed(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Failed, message)
    }

    pub(super) fn cancelled() -> Self {
        Self::new(FailureKind::Cancelled, "cancelled")
    }

    /// Whether somebody else's deploy is why.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.kind == FailureKind::Locked
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(super) fn detail(mut self, title: impl Into<String>, lines: Vec<String>) -> Self {
        if !lines.is_empty() {
            self.details.push(Detail { title: title.into(), lines });
        }
        self
    }
}

impl From<EngineError> for StepFailure {
    fn from(error: EngineError) -> Self {
        let kind = match error.kind {
            EngineErrorKind::AddressTaken => FailureKind::StateChanged,
            EngineErrorKind::Conflict => FailureKind::NotOurs,
            EngineErrorKind::Unreachable => FailureKind::Disconnected,
            EngineErrorKind::PermissionDenied
            | EngineErrorKind::TooOld
            | EngineErrorKind::NotFound
            | EngineErrorKind::PortTaken
            | EngineErrorKind::ImageNotFound
            | EngineErrorKind::BuildFailed
            | EngineErrorKind::BadBuild
            | EngineErrorKind::DiskFull
            | EngineErrorKind::TimedOut
            | EngineErrorKind::Other => FailureKind::Failed,
        };
        Self { kind, message: error.message, hint: error.hint, details: error.details }
    }
}

impl StepFailure {
    /// An image was there when the plan was made: somebody has pruned it since, so another plan may build it.
    pub(super) fn of_tag(error: EngineError) -> Self {
        let moved = error.kind == EngineErrorKind::ImageNotFound;
        let failure = Self::from(error);
        if moved { Self { kind: FailureKind::StateChanged, ..failure } } else { failure }
    }
}

impl From<ProxyError> for StepFailure {
    fn from(error: ProxyError) -> Self {
        let kind = match error {
            ProxyError::LeaseHeld { .. } => FailureKind::Locked,
            ProxyError::GenerationMoved { .. } | ProxyError::CertificateMoved { .. } => FailureKind::StateChanged,
            ProxyError::Unreachable { .. }
            | ProxyError::Malformed { .. }
            | ProxyError::WrongVersion { .. }
            | ProxyError::TooOld { .. }
            | ProxyError::RouteConflict { .. }
            | ProxyError::LeaseLost { .. }
            | ProxyError::PersistFailed { .. }
            | ProxyError::Refused { .. } => FailureKind::Failed,
        };
        Self { hint: error.hint(), ..Self::new(kind, error.to_string()) }
    }
}
