//! What those who listen to a run learn of it besides its events.

use std::time::SystemTime;

use super::Origin;

/// What is known of a run before its first event.
#[derive(Debug, Clone)]
pub struct RunInfo {
    /// Such as `deploy`.
    pub command: &'static str,
    pub project: String,
    pub owner: String,
    pub host: String,
    pub started: SystemTime,
}

/// How a run ended.
#[derive(Debug, Clone)]
pub struct Ending {
    pub exit_code: u8,
    /// Whether the exit code means that something was not done as wished.
    pub failed: bool,
    /// Why it ended before any app came to its own end.
    pub error: Option<String>,
    /// What started it; asked for while the run went on.
    pub origin: Origin,
    pub finished: SystemTime,
}
