//! How the app in a container behaves, counted from its start.

use std::time::Duration;

/// A script for one container.
#[derive(Debug, Clone)]
pub struct Behaviour {
    /// Answers probes with 200 from here on; `None` is never.
    pub healthy_after: Option<Duration>,
    /// Answers with 503 again from here on.
    pub ill_after: Option<Duration>,
    /// Ends by itself, with this code.
    pub exits_after: Option<(Duration, i64)>,
    /// Ends by itself, and the engine starts it again at once.
    pub restarts_after: Option<Duration>,
    pub ignores_stop: bool,
    /// Listens here whatever its configuration says.
    pub port: Option<u16>,
    /// Of each command that is run in it.
    pub hook: HookEnd,
}

/// How a command in a container ends.
#[derive(Debug, Clone, Copy)]
pub enum HookEnd {
    Code(i64),
    Never,
}

/// From the stop signal to the exit of an app that obeys.
pub const STOP_TAKES: Duration = Duration::from_millis(80);

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            healthy_after: Some(Duration::from_millis(120)),
            ill_after: None,
            exits_after: None,
            restarts_after: None,
            ignores_stop: false,
            port: None,
            hook: HookEnd::Code(0),
        }
    }
}

impl Behaviour {
    pub fn healthy_after(delay: Duration) -> Self {
        Self { healthy_after: Some(delay), ..Self::default() }
    }

    pub fn never_healthy() -> Self {
        Self { healthy_after: None, ..Self::default() }
    }

    pub fn exits_after(delay: Duration, code: i64) -> Self {
        Self { exits_after: Some((delay, code)), ..Self::default() }
    }

    pub fn restarts_after(delay: Duration) -> Self {
        Self { restarts_after: Some(delay), ..Self::default() }
    }

    /// Answers one probe well and ends.
    pub fn healthy_once() -> Self {
        let first = Duration::from_millis(120);
        Self { exits_after: Some((first + Duration::from_millis(30), 1)), ..Self::healthy_after(first) }
    }

    pub fn ignores_stop() -> Self {
        Self { ignores_stop: true, ..Self::default() }
    }

    pub fn hooks_end(hook: HookEnd) -> Self {
        Self { hook, ..Self::default() }
    }

    pub fn listens_on(port: u16) -> Self {
        Self { port: Some(port), ..Self::default() }
    }
}
