//! Exit codes. They are part of the interface: documented in `--help`, and never changed.

use std::fmt;
use std::process::ExitCode;

use crate::compose::{ComposeError, ComposeErrorKind, Finding};
use crate::event::{Detail, Outcome};
use crate::model::{visible, visible_lines};
use crate::plan::{PlanRefused, RollbackTarget};
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
    PlanChanges = 11,
    StateChanged = 12,
    Unstable = 13,
    Aborted = 14,
    TimedOut = 124,
    Interrupted = 130,
    Terminated = 143,
}

impl Exit {
    /// All codes in ascending order.
    pub const ALL: [Self; 18] = [
        Self::Done,
        Self::Failed,
        Self::Usage,
        Self::Leftovers,
        Self::Stuck,
        Self::InvalidFile,
        Self::Refused,
        Self::NoEngine,
        Self::NoProxy,
        Self::LeaseHeld,
        Self::LostRequests,
        Self::PlanChanges,
        Self::StateChanged,
        Self::Unstable,
        Self::Aborted,
        Self::TimedOut,
        Self::Interrupted,
        Self::Terminated,
    ];

    /// The stable name in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.words().0
    }

    /// The description in `--help` and docs/reference/commands.md.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        self.words().1
    }

    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Done => ("done", "done, or nothing to do"),
            Self::Failed => ("failed", "failed and undone; the old version serves as before"),
            Self::Usage => ("usage", "invalid command line"),
            Self::Leftovers => ("leftovers", "done, with leftovers that the next run removes"),
            Self::Stuck => ("stuck", "stuck: it is unknown what the proxy routes to; check by hand"),
            Self::InvalidFile => ("invalid_file", "the compose file is not valid"),
            Self::Refused => {
                ("refused", "refused: the request cannot be planned, such as a route that another project has")
            }
            Self::NoEngine => (
                "no_engine",
                "the engine is unreachable, too old or denies access; if it was lost before the flip, the next run takes over",
            ),
            Self::NoProxy => ("no_proxy", "the proxy is not reachable, or of another version"),
            Self::LeaseHeld => ("lease_held", "another deploy holds the lease; the message says who"),
            Self::LostRequests => ("lost_requests", "`drain-test` saw a failed request"),
            Self::PlanChanges => ("plan_changes", "`plan`: a deploy would change something"),
            Self::StateChanged => ("world_moved", "the saved plan no longer fits; nothing was changed"),
            Self::Unstable => (
                "unstable",
                "the new version serves, and a replica of it ends again and again; `deploy-apps rollback` is possible",
            ),
            Self::Aborted => (
                "aborted",
                "the canary was worse than what serves, or somebody aborted it; the old version serves as before",
            ),
            Self::TimedOut => {
                ("timed_out", "`--timeout` expired; undone before the flip, left to the next run after it")
            }
            Self::Interrupted => {
                ("interrupted", "interrupted by SIGINT; undone before the flip, left to the next run after it")
            }
            Self::Terminated => ("terminated", "terminated by SIGTERM or SIGHUP, likewise"),
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl Exit {
    /// The worst of several outcomes; `interrupted` is the exit code of the signal that cancelled the run.
    #[must_use]
    pub fn of(outcomes: impl IntoIterator<Item = Outcome>, interrupted: Self) -> Self {
        let rank = |exit: &Self| match exit {
            Self::Stuck => 7,
            Self::NoEngine => 6,
            Self::Failed => 5,
            Self::Aborted => 4,
            Self::Unstable => 3,
            Self::Interrupted | Self::Terminated | Self::TimedOut => 2,
            Self::Leftovers => 1,
            _ => 0,
        };
        let exits = outcomes.into_iter().map(|outcome| match outcome {
            Outcome::UpToDate | Outcome::Completed => Self::Done,
            Outcome::CompletedWithLeftovers => Self::Leftovers,
            Outcome::Unstable => Self::Unstable,
            Outcome::RolledBack => Self::Failed,
            Outcome::Aborted => Self::Aborted,
            Outcome::Cancelled => interrupted,
            Outcome::Disconnected => Self::NoEngine,
            Outcome::Stuck => Self::Stuck,
        });
        exits.max_by_key(rank).unwrap_or(Self::Done)
    }
}

/// Why a command ended early.
#[derive(Debug)]
pub struct Failure {
    pub exit: Exit,
    pub message: String,
    pub hint: Option<String>,
    pub details: Vec<Detail>,
    /// The findings in a compose file. `message` contains them as text.
    pub findings: Vec<Finding>,
}

impl Failure {
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hint: None, details: Vec::new(), findings: Vec::new() }
    }

    /// A failure that the reporter has already shown as a failed step.
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
        // The message about a compose file has several lines; those of the engine and the proxy were joined to one.
        write!(f, "error: {}", visible_lines(self.message.trim_end()))?;
        for Detail { title, lines } in &self.details {
            write!(f, "\n  {}:", visible(title))?;
            for line in lines {
                write!(f, "\n    {}", visible(line))?;
            }
        }
        match &self.hint {
            Some(hint) => write!(f, "\n\nhint: {}", visible(hint)),
            None => Ok(()),
        }
    }
}

impl From<ComposeError> for Failure {
    fn from(error: ComposeError) -> Self {
        let exit = match error.kind {
            ComposeErrorKind::UnknownApp => Exit::Usage,
            ComposeErrorKind::NoFile | ComposeErrorKind::NotFound | ComposeErrorKind::Invalid => Exit::InvalidFile,
        };
        // The compose error renders its position, source line and hint itself.
        let message = error.to_string();
        Self { findings: error.findings, ..Self::new(exit, message) }
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
        Self { hint: error.hint, details: error.details, ..Self::new(exit, visible(&error.message)) }
    }
}

impl From<ProxyError> for Failure {
    fn from(error: ProxyError) -> Self {
        let exit = match error {
            ProxyError::LeaseHeld { .. } => Exit::LeaseHeld,
            ProxyError::WrongVersion { .. }
            | ProxyError::TooOld { .. }
            | ProxyError::Unreachable { .. }
            | ProxyError::Malformed { .. }
            | ProxyError::GenerationMoved { .. }
            | ProxyError::RouteConflict { .. }
            | ProxyError::LeaseLost { .. }
            | ProxyError::PersistFailed { .. }
            | ProxyError::CertificateMoved { .. }
            | ProxyError::Refused { .. } => Exit::NoProxy,
        };
        Self { hint: error.hint(), ..Self::new(exit, visible(&error.to_string())) }
    }
}

impl From<PlanRefused> for Failure {
    fn from(refused: PlanRefused) -> Self {
        let mut failure = Self::new(Exit::Refused, visible(&refused.to_string())).hint(refused.hint());
        let targets = refused.targets();
        if !targets.is_empty() {
            let wide = |length: fn(&RollbackTarget) -> usize| targets.iter().map(length).max().unwrap_or(0);
            let number = wide(|target| target.release.to_string().len());
            let version = wide(|target| target.version.chars().count());
            let line = |target: &RollbackTarget| {
                let by = if target.owner.is_empty() { String::new() } else { format!(" by {}", target.owner) };
                let (release, text) = (target.release, &target.version);
                format!("{release:<number$}  {text:<version$}  {}{by}", moment(target.at))
            };
            let lines = targets.iter().map(line).collect();
            failure.details.push(Detail { title: "releases that can be rolled back to".to_owned(), lines });
        }
        failure
    }
}

/// In UTC, to the minute: it comes from the proxy's clock, which may be that of another machine.
fn moment(milliseconds: u64) -> String {
    let moment = i64::try_from(milliseconds).ok().and_then(|at| jiff::Timestamp::from_millisecond(at).ok());
    moment.map_or_else(String::new, |at| at.strftime("%Y-%m-%d %H:%M UTC").to_string())
}

impl From<DeployError> for Failure {
    fn from(error: DeployError) -> Self {
        match error {
            DeployError::Refused(refused) => refused.into(),
            DeployError::Engine(error) => error.into(),
            DeployError::Proxy(error) => error.into(),
            DeployError::Setup(failure) if failure.is_locked() => Self::told(Exit::LeaseHeld),
            DeployError::Setup(_) => Self::told(Exit::Failed),
            DeployError::Moved { what } => {
                let message = "the state has changed since the plan was saved; nothing was done";
                let details = vec![Detail { title: "moved".to_owned(), lines: what }];
                let hint = "`deploy-apps plan` shows the current plan; `--out FILE` saves it";
                Self { details, ..Self::new(Exit::StateChanged, message).hint(hint) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_are_unique_and_ascending() {
        let numbers: Vec<u8> = Exit::ALL.iter().map(|exit| *exit as u8).collect();
        assert!(numbers.is_sorted_by(|before, after| before < after), "{numbers:?}");
    }

    #[test]
    fn the_docs_say_what_each_code_means() {
        let text = include_str!("../../docs/reference/commands.md");
        let table = text.split("| exit code | meaning |\n| --- | --- |\n").nth(1).expect("a table of exit codes");
        let written: Vec<&str> = table.lines().take_while(|line| line.starts_with('|')).collect();
        let real: Vec<String> =
            Exit::ALL.iter().map(|exit| format!("| {} | {} |", *exit as u8, exit.meaning())).collect();
        assert_eq!(written, real);
    }
}
