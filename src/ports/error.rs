//! Why the engine or the proxy would or could not.

use std::time::Duration;

use serde::Serialize;

use crate::event::Detail;
use crate::model::AppKey;

/// Why the engine would or could not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EngineErrorKind {
    Unreachable,
    PermissionDenied,
    TooOld,
    NotFound,
    /// The name exists already.
    Conflict,
    /// A fixed address was taken between the plan and the start: plan again.
    AddressTaken,
    /// A host port is in use.
    PortTaken,
    ImageNotFound,
    BuildFailed,
    /// The Dockerfile, the build context or a part of it is not there or not valid.
    BadBuild,
    DiskFull,
    TimedOut,
    Other,
}

/// An engine call that failed. `message` is a lowercase fragment that names what it was about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct EngineError {
    pub kind: EngineErrorKind,
    pub message: String,
    /// A command or action that fixes it.
    pub hint: Option<String>,
    /// Such as the last lines of a failed build.
    pub details: Vec<Detail>,
}

impl EngineError {
    #[must_use]
    pub fn new(kind: EngineErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None, details: Vec::new() }
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    #[must_use]
    pub fn detail(mut self, title: impl Into<String>, lines: Vec<String>) -> Self {
        self.details.push(Detail { title: title.into(), lines });
        self
    }
}

/// Why the proxy would or could not.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ProxyError {
    #[error("the proxy `{proxy}` does not answer: {reason}")]
    Unreachable { proxy: String, reason: String },
    #[error("the proxy `{proxy}` speaks control API {found}, this deploy-apps speaks {wanted}")]
    WrongVersion { proxy: String, found: u64, wanted: u64 },
    #[error("the proxy `{proxy}` is of an older build and does not know the call `{call}`")]
    TooOld { proxy: String, call: String },
    #[error("app `{app}` is at generation {found}, not {expected}: another deploy has changed it")]
    GenerationMoved { app: AppKey, expected: u64, found: u64 },
    #[error("another deploy has changed the certificate of `{host}`")]
    CertificateMoved { host: String },
    #[error("route `{route}` of app `{app}` belongs to app `{other}` already")]
    RouteConflict { app: AppKey, other: AppKey, route: String },
    #[error("the lease on app `{app}` is lost")]
    LeaseLost { app: String },
    #[error("app `{app}` is being deployed by `{owner}` on `{host}` since {age:?}")]
    LeaseHeld { app: AppKey, owner: String, host: String, purpose: String, age: Duration },
    #[error("the proxy could not write its state: {message}")]
    PersistFailed { message: String },
    /// Also an answer to a flip may be lost this way: what the proxy routes is known only after a look.
    #[error("the answer of the proxy `{proxy}` to `{call}` is not understood: {reason}")]
    Malformed { proxy: String, call: String, reason: String },
    #[error("the proxy refused the call: {message} (`{code}`)")]
    Refused { code: String, message: String },
}

impl ProxyError {
    /// How to fix it, where a command does.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        const UPGRADE: &str = "`deploy-apps proxy upgrade` replaces the proxy by the one of this deploy-apps";
        Some(match self {
            Self::LeaseHeld { .. } => {
                "`--lock-wait 5m` waits for it; the lease is free at once when its owner ends or dies".to_owned()
            }
            Self::WrongVersion { found, wanted, .. } if found > wanted => {
                "install the deploy-apps version that the proxy came from, or a newer one".to_owned()
            }
            Self::WrongVersion { .. } | Self::TooOld { .. } => UPGRADE.to_owned(),
            Self::Unreachable { .. } | Self::Malformed { .. } => {
                "`deploy-apps logs proxy` says why; the next deploy starts it".to_owned()
            }
            Self::PersistFailed { .. } => "`deploy-apps doctor` says how full the engine's disk is".to_owned(),
            Self::GenerationMoved { .. }
            | Self::CertificateMoved { .. }
            | Self::RouteConflict { .. }
            | Self::LeaseLost { .. }
            | Self::Refused { .. } => return None,
        })
    }
}

/// The cause of all causes of an error: what a user can do something about.
#[must_use]
pub fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut reason = error;
    while let Some(source) = reason.source() {
        reason = source;
    }
    reason.to_string()
}
