//! Crash loops: containers that exit repeatedly and are restarted by the engine.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

use super::overview::Lifetime;

/// A container that was restarted recently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unstable {
    pub name: String,
    /// Its service, if known.
    pub service: Option<String>,
    /// Restarts by the engine since it was created.
    pub restarts: u64,
    /// Time since it was created.
    pub within: Duration,
    /// Time since its last start.
    pub up: Duration,
    /// The last lines of its log.
    pub log: Vec<String>,
}

/// A container that ran this long without a restart counts as stable.
const STABLE_AFTER: Duration = Duration::from_secs(600);

/// Whether a container with this lifetime is in a crash loop. The caller adds its log.
#[must_use]
pub fn unstable(name: &str, service: Option<String>, lifetime: &Lifetime, now: Timestamp) -> Option<Unstable> {
    let since = |at: Timestamp| Duration::try_from(now.duration_since(at)).unwrap_or_default();
    let up = since(lifetime.started_at?);
    if lifetime.restarts == 0 || up >= STABLE_AFTER {
        return None;
    }
    let within = since(lifetime.created_at?).max(up);
    Some(Unstable { name: name.to_owned(), service, restarts: lifetime.restarts, within, up, log: Vec::new() })
}

impl fmt::Display for Unstable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, restarts, within, up, .. } = self;
        match restarts {
            1 => write!(f, "`{name}` restarted once in the last {}", rough(*within))?,
            restarts => write!(f, "`{name}` restarted {restarts} times in the last {}", rough(*within))?,
        }
        write!(f, ", {} ago", rough(*up))
    }
}

/// The duration in one rounded unit.
fn rough(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ 0..120 => format!("{seconds}s"),
        seconds @ 120..7200 => format!("{}m", seconds / 60),
        seconds @ 7200..172_800 => format!("{}h", seconds / 3600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).expect("a time")
    }

    fn life(restarts: u64, started: i64) -> Lifetime {
        Lifetime { created_at: Some(at(0)), started_at: Some(at(started)), finished_at: None, restarts }
    }

    #[test]
    fn a_recent_restart_is_reported_with_the_count() {
        let told = |restarts, started, now| {
            unstable("web-1", None, &life(restarts, started), at(now)).map(|one| one.to_string())
        };
        assert_eq!(told(3, 12, 14).as_deref(), Some("`web-1` restarted 3 times in the last 14s, 2s ago"));
        assert_eq!(told(1, 500, 600).as_deref(), Some("`web-1` restarted once in the last 10m, 100s ago"));
        assert_eq!(told(0, 0, 3), None, "its first start");
        assert_eq!(told(9, 100, 800), None, "it has been up for long since");
    }
}
