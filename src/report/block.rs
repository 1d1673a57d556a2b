//! Output that does not fit on one line: failures with evidence, warnings and leftovers.

use std::time::Duration;

use super::row::Tone;
use super::text;
use crate::event::{Detail, Event, Fact};
use crate::model::{AppKey, KillCause};

/// A line of text with an optional highlighted prefix, such as `error:`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub tone: Tone,
    pub label: &'static str,
    pub text: String,
}

/// Consecutive lines about one app or about the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block {
    pub app: Option<AppKey>,
    pub lines: Vec<Line>,
}

impl Block {
    /// `None` for events that need no block.
    pub fn of(event: &Event) -> Option<Self> {
        let line = |tone, label, text: &str| Line { tone, label, text: text::clean(text) };
        let lines = match &event.fact {
            Fact::StepFailed { step, error, hint, details, .. } => {
                let mut lines = vec![line(Tone::Error, "error:", error)];
                lines.push(indented(2, &format!("while: {step}")));
                lines.extend(details.iter().flat_map(evidence));
                lines.extend(hint.iter().flat_map(|hint| hint_lines(hint)));
                lines
            }
            Fact::UndoFailed { step, error, .. } => {
                let mut lines = vec![line(Tone::Error, "error:", &format!("could not undo: {error}"))];
                lines.push(indented(2, &format!("while: {step}")));
                lines.extend(hint_lines("see what serves with `deploy-apps status`, then deploy again"));
                lines
            }
            Fact::LeftBehind { what, error, .. } => {
                let text = format!("left {what} behind for the next run: {error}");
                vec![line(Tone::Warning, "warning:", &text)]
            }
            Fact::ReplicaStopped { name, killed: true, cause, took } => {
                let text = killed(name, *cause, &text::duration(*took));
                let mut lines = vec![line(Tone::Warning, "warning:", &text)];
                lines.extend(hint_lines(KillCause::hint(*cause)));
                lines
            }
            Fact::ReplicaUnstable { name, restarts, within, log, hint } => {
                let text = format!("`{name}` {}", restarted(*restarts, *within));
                let mut lines = vec![line(Tone::Error, "error:", &text)];
                let title = format!("last log lines of `{name}`");
                lines.extend(evidence(&Detail { title, lines: log.clone() }).filter(|_| !log.is_empty()));
                lines.extend(hint_lines(hint));
                lines
            }
            Fact::Warned { message } => vec![line(Tone::Warning, "warning:", message)],
            _ => return None,
        };
        Some(Self { app: event.app.clone(), lines })
    }
}

fn killed(name: &str, cause: Option<KillCause>, after: &str) -> String {
    match cause {
        Some(KillCause::Slow) => format!("`{name}` was still at work {after} after its stop signal, and was killed"),
        Some(KillCause::Unhandled) => format!("`{name}` ignored its stop signal and was killed after {after}"),
        Some(KillCause::Shell) => format!(
            "`{name}` was killed after {after}: its PID 1 is a shell, which does not pass the stop signal on to the app"
        ),
        None => format!("`{name}` had not ended {after} after its stop signal, and was killed"),
    }
}

fn restarted(restarts: u64, within: Duration) -> String {
    match restarts {
        0 => "has exited since it serves".to_owned(),
        1 => format!("restarted once in the last {}", text::seconds(within)),
        restarts => format!("restarted {restarts} times in the last {}", text::seconds(within)),
    }
}

fn evidence(detail: &Detail) -> impl Iterator<Item = Line> {
    let title = indented(2, &format!("{}:", detail.title));
    std::iter::once(title).chain(detail.lines.iter().map(|line| Line { tone: Tone::Dim, ..indented(4, line) }))
}

/// Preceded by an empty line, so that it is easy to find.
fn hint_lines(hint: &str) -> [Line; 2] {
    [indented(0, ""), Line { tone: Tone::Hint, label: "hint:", text: text::clean(hint) }]
}

fn indented(width: usize, text: &str) -> Line {
    Line { tone: Tone::Plain, label: "", text: format!("{:width$}{}", "", text::clean(text)) }
}
