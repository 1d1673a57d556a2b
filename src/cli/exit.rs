//! How the process ends. The codes are part of the interface: they are documented in `--help` and never change.

use std::fmt;
use std::process::ExitCode;

use crate::compose::{ComposeError, ComposeErrorKind};
use crate::event::{Detail, Outcome};
use crate::ports::{EngineError, EngineErrorKind, ProxyError};
use crate::rollout::DeployError;

/// A documented exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    Done = 0,
    Failed = 1,
    Usage = 2,
    Leftovers = 3,
    Stuck = 4,
    InvalidFile = 5,
    Refused = 6,
    NoEngine = 7,
    NoProxy = 8,
    LeaseHeld = 9,
    LostRequests = 10,
    Interrupted = 130,
    Terminated = 143,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl Exit {
    /// The worst of several apps' outcomes; `interrupted` is the code of the signal that cancelled.
    #[must_use]
    pub fn of(outcomes: impl IntoIterator<Item = Outcome>, interrupted: Self) -> Self {
        let rank = |exit: &Self| match exit {
            Self::Stuck => 4,
            Self::Failed => 3,
            Self::Interrupted | Self::Terminated => 2,
            Self::Leftovers => 1,
            _ => 0,
        };
        let exits = outcomes.into_iter().map(|outcome| match outcome {
            Outcome::UpToDate | Outcome::Completed => Self::Done,
            Outcome::CompletedWithLeftovers => Self::Leftovers,
            Outcome::RolledBack => Self::Failed,
            Outcome::Cancelled => interrupted,
            Outcome::Stuck => Self::Stuck,
        });
        exits.max_by_key(rank).unwrap_or(Self::Done)
    }
}

/// The end of a command that did not get to its work.
#[derive(Debug)]
pub struct Failure {
    pub exit: Exit,
    pub message: String,
    pub hint: Option<String>,
    pub details: Vec<Detail>,
}

impl Failure {
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hint: None, details: Vec::new() }
    }

    /// The reporter has shown it already, as the failure of a step.
    pub fn told(exit: Exit) -> Self {
        Self::new(exit, "")
    }

    #[must_use]
    pub fn is_told(&self) -> bool {
        self.message.is_empty()
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message.trim_end())?;
        for Detail { title, lines } in &self.details {
            write!(f, "\n  {title}:")?;
            for line in lines {
                write!(f, "\n    {line}")?;
            }
        }
        match &self.hint {
            Some(hint) => write!(f, "\n\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

impl From<ComposeError> for Failure {
    fn from(error: ComposeError) -> Self {
        let exit = match error.kind {
            ComposeErrorKind::UnknownApp => Exit::Usage,
            ComposeErrorKind::NotFound | ComposeErrorKind::Invalid => Exit::InvalidFile,
        };
        // The compose error renders its place, its source line and its hint itself.
        Self::new(exit, error.to_string())
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        let exit = match error.kind {
            EngineErrorKind::Unreachable | EngineErrorKind::PermissionDenied | EngineErrorKind::TooOld => {
                Exit::NoEngine
            }
            EngineErrorKind::NotFound
            | EngineErrorKind::Conflict
            | EngineErrorKind::AddressTaken
            | EngineErrorKind::PortTaken
            | EngineErrorKind::ImageNotFound
            | EngineErrorKind::BuildFailed
            | EngineErrorKind::BadBuild
            | EngineErrorKind::DiskFull
            | EngineErrorKind::TimedOut
            | EngineErrorKind::Other => Exit::Failed,
        };
        Self { exit, message: error.message, hint: error.hint, details: error.details }
    }
}

impl From<ProxyError> for Failure {
    fn from(error: ProxyError) -> Self {
        let message = error.to_string();
        match error {
            ProxyError::LeaseHeld { .. } => Self::new(Exit::LeaseHeld, message)
                .hint("`--lock-wait 5m` waits for it; the lease is free at once when its owner ends or dies"),
            ProxyError::WrongVersion { found, wanted, .. } if found < wanted => Self::new(Exit::NoProxy, message)
                .hint("`deploy-apps proxy upgrade` replaces the proxy by the one of this deploy-apps"),
            ProxyError::WrongVersion { .. } => Self::new(Exit::NoProxy, message)
                .hint("install the deploy-apps version that the proxy came from, or a newer one"),
            ProxyError::Unreachable { proxy, .. } => Self::new(Exit::NoProxy, message)
                .hint(format!("`docker logs {proxy}-proxy` says why; the next deploy starts it")),
            ProxyError::Malformed { .. }
            | ProxyError::GenerationMoved { .. }
            | ProxyError::RouteConflict { .. }
            | ProxyError::LeaseLost { .. }
            | ProxyError::PersistFailed { .. }
            | ProxyError::Refused { .. } => Self::new(Exit::NoProxy, message),
        }
    }
}

impl From<DeployError> for Failure {
    fn from(error: DeployError) -> Self {
        match error {
            DeployError::Refused(refused) => Self::new(Exit::Refused, refused.to_string()).hint(refused.hint()),
            DeployError::Engine(error) => error.into(),
            DeployError::Proxy(error) => error.into(),
            DeployError::Setup(_) => Self::told(Exit::Failed),
        }
    }
}
