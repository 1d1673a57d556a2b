//! What can go wrong at a call.

use std::sync::Arc;
use std::time::Duration;

use deploy_apps::ports::EngineErrorKind;

/// One call of a port, in the order of a client's calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    pub index: usize,
    /// The method's name.
    pub what: &'static str,
    /// The container, tag or app that it is about.
    pub subject: String,
    pub port: Port,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Port {
    Engine,
    Proxy,
}

impl std::fmt::Display for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "call {} `{} {}`", self.index, self.what, self.subject)
    }
}

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {
    Engine(EngineErrorKind),
    Unreachable,
    Malformed,
    Refused,
    PersistFailed,
    GenerationMoved,
}

/// What happens at a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It fails and did nothing.
    Fail(Error),
    /// It took effect and its answer is an error.
    FailAfterEffect(Error),
    /// The client is killed before the call takes effect.
    Crash,
    /// The client is killed when the call has taken effect.
    CrashAfterEffect,
    /// The user wants to stop; the call goes on.
    Cancel,
    /// The proxy goes down at this call and is back after a while. Its records stay, its connections end.
    RestartProxy(Duration),
    /// The proxy routes again as before its last flip, such as from an old copy of its state.
    Forget,
    /// Somebody else has the lease from here on.
    LoseLease,
    /// It takes that long; then it has taken effect and its answer is an error.
    SlowAndFailAfterEffect(Duration, Error),
}

/// Which calls something goes wrong at.
pub type Faults = Arc<dyn Fn(&Call) -> Option<Fault> + Send + Sync>;
