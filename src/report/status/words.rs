//! Texts for single values of a status.

use std::time::Duration;

use console::Style;

use crate::model::{ContainerState, DockerHealth, InFlight, ReplicaSource, RequestCounts};
use crate::plan::{AppState, AppStatus, Part, ReplicaStatus};
use crate::report::text;

pub(in crate::report) fn state_word(state: ContainerState) -> &'static str {
    match state {
        ContainerState::Created => "created",
        ContainerState::Running => "running",
        ContainerState::Paused => "paused",
        ContainerState::Restarting => "restarting",
        ContainerState::Exited { .. } => "exited",
        ContainerState::Dead => "dead",
    }
}

pub(in crate::report) fn container_state(state: Option<ContainerState>, health: Option<DockerHealth>) -> String {
    match (state, health) {
        (None, _) => "missing".to_owned(),
        (Some(ContainerState::Running), Some(DockerHealth::Unhealthy)) => "unhealthy".to_owned(),
        (Some(ContainerState::Running), Some(DockerHealth::Starting)) => "running, health not known yet".to_owned(),
        (Some(ContainerState::Running), Some(DockerHealth::Healthy)) => "healthy".to_owned(),
        (Some(ContainerState::Exited { oom_killed: true, .. }), _) => "out of memory".to_owned(),
        (Some(ContainerState::Exited { code, .. }), _) => format!("exited with {code}"),
        (Some(state), _) => state_word(state).to_owned(),
    }
}

pub(in crate::report) fn state_words(state: AppState) -> &'static str {
    match state {
        AppState::Serving => "serving",
        AppState::Degraded => "degraded",
        AppState::Down => "down",
        AppState::Holding => "requests wait",
        AppState::AtRest => "scaled to zero",
        AppState::Stopped => "stopped",
        AppState::NotDeployed => "not deployed",
        AppState::Unknown => "not known",
    }
}

/// Such as `r8-1`: the heading has the names of the project and the app.
pub(super) fn label(replica: &ReplicaStatus) -> String {
    match (replica.release, replica.replica) {
        (Some(release), Some(number)) => format!("{release}-{number}"),
        (Some(release), None) => format!("{release} release command"),
        (None, _) => replica.name.clone(),
    }
}

/// Such as `2/4 scaled`.
pub(super) fn count(app: &AppStatus) -> String {
    match app.wanted {
        Some(wanted) if app.release.is_some() => {
            let source = if wanted.source == ReplicaSource::Scaled { " scaled" } else { "" };
            format!("{}/{}{source}", app.serving, wanted.count)
        }
        _ if app.release.is_some() => app.serving.to_string(),
        _ => String::new(),
    }
}

pub(super) fn open(in_flight: InFlight) -> String {
    match (in_flight.requests, in_flight.websockets) {
        (requests, 0) => requests.to_string(),
        (requests, websockets) => format!("{requests} + {websockets} ws"),
    }
}

pub(super) fn per_second(requests: u64, window_ms: u64) -> String {
    format!("{:.1}", requests as f64 * 1000.0 / window_ms.max(1) as f64)
}

/// A small error rate must not be rounded to zero.
pub(super) fn percent(counts: RequestCounts) -> String {
    match counts.errors as f64 * 100.0 / counts.requests.max(1) as f64 {
        share if counts.requests == 0 || share == 0.0 => if counts.requests == 0 { "" } else { "0%" }.to_owned(),
        share if share < 0.01 => "<0.01%".to_owned(),
        share => format!("{share:.2}%"),
    }
}

pub(super) fn quantiles(p50: Option<f64>, p99: Option<f64>) -> String {
    let text = |ms: f64| text::duration(Duration::from_micros((ms * 1000.0) as u64));
    match (p50, p99) {
        (Some(p50), Some(p99)) => format!("{} / {}", text(p50), text(p99)),
        _ => String::new(),
    }
}

/// `45s`, `12m 3s`, `5h 2m`, `3d 4h`.
pub(in crate::report) fn age(duration: Duration) -> String {
    let hours = duration.as_secs() / 3600;
    if hours < 24 { text::seconds(duration) } else { format!("{}d {}h", hours / 24, hours % 24) }
}

#[derive(Clone, Copy)]
pub(super) struct Painter {
    pub(super) colour: bool,
}

impl Painter {
    pub(super) fn paint(self, style: Style, text: &str) -> String {
        if text.is_empty() { String::new() } else { style.force_styling(self.colour).apply_to(text).to_string() }
    }

    pub(super) fn bold(self, text: &str) -> String {
        self.paint(Style::new().bold(), text)
    }

    pub(super) fn warning(self, text: &str) -> String {
        self.paint(Style::new().yellow(), text)
    }

    pub(super) fn error(self, text: &str) -> String {
        self.paint(Style::new().red(), text)
    }

    pub(super) fn state(self, state: AppState) -> String {
        let words = state_words(state);
        match state {
            AppState::Serving => self.paint(Style::new().green(), words),
            AppState::Degraded | AppState::Holding | AppState::Unknown => self.warning(words),
            AppState::Down => self.error(words),
            AppState::AtRest | AppState::Stopped | AppState::NotDeployed => self.paint(Style::new().dim(), words),
        }
    }

    pub(super) fn replica(self, replica: &ReplicaStatus) -> String {
        let state = container_state(replica.state, replica.health);
        let state = match (replica.reachable, replica.ejected) {
            (false, _) => format!("{state}, not on the proxy's network"),
            (true, true) => format!("{state}, left out by the proxy"),
            (true, false) => state,
        };
        match (replica.part, replica.is_well()) {
            (Part::Serving | Part::Unknown, true) => state,
            (Part::Serving | Part::Unknown, false) => self.error(&state),
            (Part::Starting, _) => self.paint(Style::new().cyan(), &format!("starting, {state}")),
            (Part::Draining, _) => self.paint(Style::new().cyan(), &format!("draining, {state}")),
            (Part::Leftover, _) => self.warning(&format!("left over, {state}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rare_error_is_not_rounded_away() {
        let text = |requests, errors| percent(RequestCounts { requests, errors });
        assert_eq!(text(0, 0), "");
        assert_eq!(text(10, 0), "0%");
        assert_eq!(text(200, 1), "0.50%");
        assert_eq!(text(1_000_000, 1), "<0.01%");
    }

    #[test]
    fn long_times_are_days() {
        assert_eq!(age(Duration::from_secs(59)), "59s");
        assert_eq!(age(Duration::from_secs(3 * 3600)), "3h 0m");
        assert_eq!(age(Duration::from_secs(51 * 3600 + 60)), "2d 3h");
    }
}
