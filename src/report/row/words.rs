//! Texts of an app's progress: finished stages, the current stage, and the outcome.

use std::time::Duration;

use super::super::text;
use super::{End, Healthy, Piece, Row, Tone};
use crate::event::Outcome;
use crate::model::AccessoryChange;

impl Row {
    /// The finished stages, in the order of a rollout.
    pub fn done(&self) -> Vec<Piece> {
        let mut done = Vec::new();
        let mut plain = |text: String| done.push(Piece::new(Tone::Plain, text));
        if let Some(image) = &self.image {
            plain(image.clone());
        }
        if let Some(took) = self.release_command {
            let what = if self.accessory.is_some() { "ran" } else { "release command" };
            plain(format!("{what} {}", text::duration(took)));
        }
        if let Some(Healthy { healthy, wanted, took }) = &self.healthy {
            plain(format!("{healthy}/{wanted} healthy {}", text::duration(*took)));
        }
        match self.flips {
            0 => {}
            1 => plain(format!("flipped {}", text::duration(self.flip_took))),
            flips => plain(format!("flipped {flips}× {}", text::duration(self.flip_took))),
        }
        if let Some(drain) = &self.drain {
            plain(text::drained(drain.finished, drain.cut, drain.took));
            if !drain.cut.is_zero() {
                done.push(Piece::new(Tone::Warning, format!("cut {} at the limit", text::in_flight(drain.cut))));
            }
        }
        done
    }

    /// What finished by itself and what the limit cut; empty when there was no drain.
    pub fn drained_words(&self) -> String {
        let Some(drain) = &self.drain else { return String::new() };
        let finished = text::in_flight(drain.finished);
        match (drain.finished.is_zero(), drain.cut.is_zero()) {
            (_, true) => finished,
            (true, false) => format!("{} cut", text::in_flight(drain.cut)),
            (false, false) => format!("{finished}, {} cut", text::in_flight(drain.cut)),
        }
    }

    /// The current stage.
    pub fn doing(&self, now: Duration) -> Vec<Piece> {
        let mut doing = Vec::new();
        match (&self.failed, self.cancelling) {
            (Some(error), _) => doing.push(Piece::new(Tone::Error, error.clone())),
            (None, true) => doing.push(Piece::new(Tone::Warning, "cancelling")),
            (None, false) => {}
        }
        if let Some(lease) = &self.lease {
            doing.push(Piece::new(Tone::Warning, lease.clone()));
        } else if let Some(left) = self.draining {
            doing.push(Piece::new(Tone::Busy, format!("draining {}", text::in_flight(left))));
        } else if let Some(build) = &self.build {
            doing.push(Piece::new(Tone::Busy, format!("building{}", running(now, build.since))));
            doing.push(Piece::new(Tone::Dim, build.line.clone()));
        } else if let Some(canary) = &self.canary {
            doing.push(Piece::new(Tone::Busy, canary.clone()));
        } else if let Some((_, step, since)) = self.steps.last() {
            doing.push(Piece::new(Tone::Busy, format!("{step}{}", running(now, *since))));
        } else if doing.is_empty() {
            doing.push(Piece::new(Tone::Dim, "waiting"));
        }
        doing
    }

    /// The outcome, and which release serves as a result.
    pub fn ending(&self, end: &End) -> Piece {
        if let Some(change) = self.accessory {
            return accessory_ending(change, end);
        }
        let before = self.planned.as_ref().and_then(|planned| planned.from);
        match end.outcome {
            Outcome::UpToDate | Outcome::Completed if self.removing => Piece::new(Tone::Success, "✔ removed"),
            Outcome::CompletedWithLeftovers if self.removing => Piece::new(Tone::Warning, "✔ removed, with leftovers"),
            Outcome::Cancelled if self.removing && self.flips > 0 => {
                Piece::new(Tone::Warning, "✘ cancelled, it no longer serves and its containers are left")
            }
            Outcome::Completed if self.planned.as_ref().is_some_and(|planned| planned.replicas == 0) => {
                let words = if end.urls.is_empty() { "✔ stopped" } else { "✔ stopped, its requests get 503" };
                Piece::new(Tone::Success, words)
            }
            Outcome::UpToDate => Piece::new(Tone::Dim, "up to date (routes confirmed)"),
            Outcome::Completed => Piece::new(Tone::Success, served("✔", end)),
            Outcome::CompletedWithLeftovers => Piece::new(Tone::Warning, served("✔ with leftovers", end)),
            Outcome::Unstable => Piece::new(Tone::Error, served("✘ serves, and restarts again and again", end)),
            Outcome::RolledBack => match before {
                Some(before) => Piece::new(Tone::Error, format!("✘ rolled back, {before} serves as before")),
                None => Piece::new(Tone::Error, "✘ failed, everything undone"),
            },
            Outcome::Aborted => match before {
                Some(before) => Piece::new(Tone::Error, format!("✘ canary aborted, {before} serves as before")),
                None => Piece::new(Tone::Error, "✘ canary aborted"),
            },
            Outcome::Cancelled => match (before, &self.planned) {
                (_, Some(planned)) if self.flips > 0 => {
                    Piece::new(Tone::Warning, format!("✘ cancelled after the flip, {} serves", planned.to))
                }
                (Some(before), _) => Piece::new(Tone::Warning, format!("✘ cancelled, {before} serves as before")),
                (None, _) => Piece::new(Tone::Warning, "✘ cancelled"),
            },
            Outcome::Disconnected => {
                Piece::new(Tone::Error, "✘ connection lost, run it again: what served keeps serving")
            }
            Outcome::Stuck => Piece::new(Tone::Error, "✘ stuck: `deploy-apps status` shows what serves"),
        }
    }
}

/// An accessory serves no release, so the text is about its container.
fn accessory_ending(change: AccessoryChange, end: &End) -> Piece {
    let done = match change {
        AccessoryChange::Create => "✔ created",
        AccessoryChange::Start => "✔ started",
        AccessoryChange::Replace | AccessoryChange::Recreate => "✔ replaced",
        AccessoryChange::Run => "✔ completed",
        AccessoryChange::Leave => "✔ cleaned up",
        AccessoryChange::Restart => "✔ restarted",
        AccessoryChange::Stop => "✔ stopped",
        AccessoryChange::Remove => "✔ removed",
    };
    match (end.outcome, change) {
        (Outcome::UpToDate, _) => Piece::new(Tone::Dim, served("unchanged", end)),
        (Outcome::Completed, _) => Piece::new(Tone::Success, served(done, end)),
        (Outcome::CompletedWithLeftovers, _) => {
            Piece::new(Tone::Warning, served(&format!("{done}, with leftovers"), end))
        }
        (Outcome::Unstable, _) => Piece::new(Tone::Error, served("✘ restarts again and again", end)),
        // Of an accessory there is no canary.
        (Outcome::RolledBack | Outcome::Aborted, AccessoryChange::Create) => {
            Piece::new(Tone::Error, "✘ failed, everything undone")
        }
        (Outcome::RolledBack | Outcome::Aborted, AccessoryChange::Replace) => {
            Piece::new(Tone::Error, "✘ failed, the previous one runs again")
        }
        (Outcome::RolledBack | Outcome::Aborted, AccessoryChange::Recreate) => {
            Piece::new(Tone::Error, "✘ failed, and the previous one is lost")
        }
        (Outcome::RolledBack | Outcome::Aborted, AccessoryChange::Run) => {
            Piece::new(Tone::Error, "✘ failed, the next run repeats it")
        }
        (
            Outcome::RolledBack | Outcome::Aborted,
            AccessoryChange::Start
            | AccessoryChange::Leave
            | AccessoryChange::Stop
            | AccessoryChange::Restart
            | AccessoryChange::Remove,
        ) => Piece::new(Tone::Error, "✘ failed"),
        (Outcome::Cancelled, AccessoryChange::Replace) => {
            Piece::new(Tone::Warning, "✘ cancelled, the previous one runs again")
        }
        (Outcome::Cancelled, _) => Piece::new(Tone::Warning, "✘ cancelled"),
        (Outcome::Disconnected, _) => Piece::new(Tone::Error, "✘ connection lost, run it again"),
        (Outcome::Stuck, _) => Piece::new(Tone::Error, "✘ stuck: `deploy-apps status` shows it"),
    }
}

/// A worker has no URL.
fn served(mark: &str, end: &End) -> String {
    std::iter::once(mark).chain(end.urls.iter().map(String::as_str)).collect::<Vec<_>>().join(" ")
}

/// Short steps show no time.
fn running(now: Duration, since: Duration) -> String {
    match now.saturating_sub(since) {
        short if short < Duration::from_secs(1) => String::new(),
        long => format!(" {}", text::seconds(long)),
    }
}
