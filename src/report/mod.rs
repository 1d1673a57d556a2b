//! Renders events: one file per output format.
//!
//! [`terminal`] redraws one line per app in place, [`plain`] appends lines, [`json`] writes one event per line.
//! Progress goes to standard error; standard output gets results only, so that it can be piped.

mod block;
pub mod certificates;
pub mod ci;
pub mod drain;
mod frame;
pub mod history;
pub mod interrupted;
pub mod json;
pub mod logs;
pub mod ls;
pub mod page;
pub mod plain;
mod plan;
mod row;
mod run;
mod screen;
pub mod status;
pub mod table;
pub mod terminal;
mod text;
pub mod watch;

#[cfg(test)]
mod tests;

pub use plan::{plan_json, plan_markdown, plan_text, summary};

use crate::event::Event;

/// Receives the events of one run in order, from any thread.
pub trait Reporter: Send + Sync {
    fn event(&self, event: &Event);

    /// Called about once a second while a run lasts, so that long waits are reported.
    fn tick(&self) {}

    /// Writes the final output. No call may follow.
    fn finish(&self);
}

/// The output format of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Terminal,
    Plain,
    Json,
    Github,
    Gitlab,
}

/// How verbose the text formats are. The JSON formats are always complete.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Verbosity {
    /// Warnings, errors and results.
    Quiet,
    #[default]
    Normal,
    /// Also each step with its reason.
    Verbose,
}

/// The format of plain lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Manner {
    pub verbosity: Verbosity,
    pub colour: bool,
}

/// What the choice of the text format depends on, read from the environment by the caller.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Surroundings {
    pub stderr_is_terminal: bool,
    /// `TERM` is `dumb`: the cursor cannot be moved.
    pub dumb: bool,
    /// `NO_COLOR` is set.
    pub no_color: bool,
    /// `CI` is set: a log would keep every redrawn frame.
    pub ci: bool,
    /// `CLICOLOR_FORCE` is set and `NO_COLOR` is not: use colours also without a terminal.
    pub colour_forced: bool,
}

impl Format {
    /// Live lines where the terminal supports them, otherwise plain lines.
    #[must_use]
    pub fn for_people(surroundings: Surroundings) -> Self {
        let Surroundings { stderr_is_terminal, dumb, no_color, ci, .. } = surroundings;
        if stderr_is_terminal && !dumb && !no_color && !ci { Self::Terminal } else { Self::Plain }
    }

    /// The reporter for this format, writing to the process's streams.
    #[must_use]
    pub fn reporter(self, manner: Manner) -> Box<dyn Reporter> {
        let (stderr, stdout) = (std::io::stderr(), std::io::stdout());
        match self {
            // Live lines show the current state only; other verbosity levels need plain lines.
            Self::Terminal if manner.verbosity == Verbosity::Normal => Box::new(terminal::TerminalReporter::new()),
            Self::Terminal | Self::Plain => Box::new(plain::PlainReporter::in_manner(stderr, stdout, manner)),
            Self::Json => Box::new(json::JsonReporter::new(stdout)),
            Self::Github => Box::new(ci::CiReporter::new(stderr, stdout, ci::Dialect::Github, manner)),
            Self::Gitlab => Box::new(ci::CiReporter::new(stderr, stdout, ci::Dialect::Gitlab, manner)),
        }
    }
}
