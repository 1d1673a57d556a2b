//! Makes text of events: one file per output format.
//!
//! [`terminal`] redraws one line per app in place, [`plain`] appends lines, [`json`] writes one event per line.
//! What happens while a deploy runs goes to standard error; standard output gets results only, so it can be piped.

mod block;
pub mod certificates;
pub mod ci;
pub mod drain;
mod frame;
pub mod history;
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

/// Takes the events of one run, in their order, from any thread.
pub trait Reporter: Send + Sync {
    fn event(&self, event: &Event);

    /// Called about once a second while a run may go on, so that a long wait is not silence.
    fn tick(&self) {}

    /// Writes what is only known at the end. Nothing may follow it.
    fn finish(&self);
}

/// How a run is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Terminal,
    Plain,
    Json,
    Github,
    Gitlab,
}

/// How much is said to people. Programs get everything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Verbosity {
    /// Warnings, errors and results.
    Quiet,
    #[default]
    Normal,
    /// Each step with its reason, too.
    Verbose,
}

/// How lines that stay are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Manner {
    pub verbosity: Verbosity,
    pub colour: bool,
}

/// What the format for people depends on. Whoever reads the environment fills it in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Surroundings {
    pub stderr_is_terminal: bool,
    /// `TERM` is `dumb`: it cannot move its cursor.
    pub dumb: bool,
    /// `NO_COLOR` is set.
    pub no_color: bool,
    /// `CI` is set: a log keeps every frame, so redrawing would fill it.
    pub ci: bool,
    /// `CLICOLOR_FORCE` is set, and `NO_COLOR`, which wins, is not: colours also where no terminal is.
    pub colour_forced: bool,
}

impl Format {
    /// Live lines where they work and are wanted, else plain ones.
    #[must_use]
    pub fn for_people(surroundings: Surroundings) -> Self {
        let Surroundings { stderr_is_terminal, dumb, no_color, ci, .. } = surroundings;
        if stderr_is_terminal && !dumb && !no_color && !ci { Self::Terminal } else { Self::Plain }
    }

    /// The reporter that writes this format to the process's own streams.
    #[must_use]
    pub fn reporter(self, manner: Manner) -> Box<dyn Reporter> {
        let (stderr, stdout) = (std::io::stderr(), std::io::stdout());
        match self {
            // Live lines show what goes on right now; whoever wants more or less of it wants lines that stay.
            Self::Terminal if manner.verbosity == Verbosity::Normal => Box::new(terminal::TerminalReporter::new()),
            Self::Terminal | Self::Plain => Box::new(plain::PlainReporter::in_manner(stderr, stdout, manner)),
            Self::Json => Box::new(json::JsonReporter::new(stdout)),
            Self::Github => Box::new(ci::CiReporter::new(stderr, stdout, ci::Dialect::Github, manner)),
            Self::Gitlab => Box::new(ci::CiReporter::new(stderr, stdout, ci::Dialect::Gitlab, manner)),
        }
    }
}
