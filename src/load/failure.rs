//! Why a request failed, as its client saw it.

use std::fmt;
use std::io;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::config::Kind;
use super::ledger::Phase;

/// Failure causes, counted separately.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// Connection refused: nothing listens at the target.
    Refused,
    /// The connection failed for another reason: no answer to the SYN, no local port, no descriptor.
    Connect,
    /// RST, or a write to a connection that was reset.
    Reset,
    /// The connection ended before the answer was complete.
    Eof,
    /// A complete answer other than 2xx (101 for a WebSocket).
    Status(u16),
    /// Invalid HTTP, or bytes after the end of the answer.
    BadAnswer,
    /// A complete 2xx answer with the wrong content.
    BadBody,
    /// A stream without its terminator, or a WebSocket without a close frame.
    CutStream,
    /// No complete answer within the timeout, or no data on a stream for that long.
    Timeout,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => f.pad("refused"),
            Self::Connect => f.pad("connect"),
            Self::Reset => f.pad("reset"),
            Self::Eof => f.pad("eof"),
            Self::Status(code) => f.pad(&format!("status {code}")),
            Self::BadAnswer => f.pad("bad answer"),
            Self::BadBody => f.pad("bad body"),
            Self::CutStream => f.pad("cut stream"),
            Self::Timeout => f.pad("timeout"),
        }
    }
}

impl Serialize for Cause {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One of the first failures of a run, kept for the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FailedRequest {
    /// Milliseconds from the load's start to the failure.
    pub at_ms: u64,
    /// Milliseconds from the request's start to the failure.
    pub after_ms: u64,
    pub phase: Phase,
    pub kind: Kind,
    /// Number of the client within its run.
    pub client: usize,
    pub cause: Cause,
    pub detail: String,
}

/// A failure before it is recorded.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) cause: Cause,
    pub(super) detail: String,
}

impl Failure {
    pub(super) fn new(cause: Cause, detail: impl Into<String>) -> Self {
        Self { cause, detail: detail.into() }
    }

    /// An I/O error on the connection while `doing`.
    pub(super) fn of_stream(error: &io::Error, doing: &str) -> Self {
        let cause = match error.kind() {
            io::ErrorKind::UnexpectedEof => Cause::Eof,
            io::ErrorKind::TimedOut => Cause::Timeout,
            _ => Cause::Reset,
        };
        Self::new(cause, format!("{error} while {doing}"))
    }

    pub(super) fn of_connect(error: &io::Error) -> Self {
        let cause = if error.kind() == io::ErrorKind::ConnectionRefused { Cause::Refused } else { Cause::Connect };
        Self::new(cause, format!("{error} while connecting"))
    }

    pub(super) fn timed_out(limit: Duration, what: &str) -> Self {
        Self::new(Cause::Timeout, format!("{what} for {} ms", limit.as_millis()))
    }

    /// The same error on a stream that was already delivering data: any end without a terminator is a cut.
    pub(super) fn of_open_stream(self) -> Self {
        match self.cause {
            Cause::Reset | Cause::Eof => Self { cause: Cause::CutStream, ..self },
            _ => self,
        }
    }
}
