//! The source texts, and the positions of problems in them.

use crate::compose::error::{ComposeError, ComposeErrorKind, Finding, Place, Problem, Warning};
use crate::model::visible;

/// Enough findings to repair a file in a few rounds, but still readable.
const MOST_FINDINGS: usize = 20;

/// A text with its name in messages.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub shown: String,
    pub text: String,
}

/// All texts of one load; spans refer to them.
#[derive(Debug, Clone, Default)]
pub(in crate::compose) struct Sources(Vec<Source>);

impl Sources {
    /// Adds a text and returns its index for spans.
    pub fn add(&mut self, shown: String, text: String) -> u16 {
        self.0.push(Source { shown, text });
        u16::try_from(self.0.len() - 1).unwrap_or(u16::MAX)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn text(&self, file: u16) -> &str {
        self.0.get(usize::from(file)).map_or("", |source| source.text.as_str())
    }

    pub fn shown(&self, file: u16) -> &str {
        self.0.get(usize::from(file)).map_or("", |source| source.shown.as_str())
    }

    /// Converts a problem to a finding with its source line.
    pub fn finding(&self, problem: Problem) -> Finding {
        let place = problem.span.map(|span| {
            let source = self.text(span.file);
            let line = source.split('\n').nth(span.line.saturating_sub(1)).unwrap_or_default();
            let text: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            let meant = source.get(span.start..span.end).and_then(|text| text.lines().next()).unwrap_or_default();
            let column = span.column.max(1);
            let left = text.trim_end().chars().count().saturating_sub(column - 1);
            let width = meant.trim_end().chars().count().min(left).max(1);
            Place { file: visible(self.shown(span.file)).into_owned(), line: span.line, column, text, width }
        });
        // Hints may contain paths and values from files.
        let hint = problem.hint.map(|hint| visible(&hint).into_owned());
        Finding { message: visible(&problem.message).into_owned(), place, hint }
    }

    pub fn warning(&self, problem: Problem) -> Warning {
        Warning(self.finding(problem))
    }

    /// The error with all of these problems.
    pub fn invalid(&self, mut problems: Vec<Problem>) -> ComposeError {
        problems.sort_by_key(|problem| problem.span.map_or((u16::MAX, usize::MAX), |span| (span.file, span.start)));
        // An invalid anchor that several services use needs only one fix.
        problems.dedup();
        let omitted = problems.len().saturating_sub(MOST_FINDINGS);
        problems.truncate(MOST_FINDINGS);
        let findings = problems.into_iter().map(|problem| self.finding(problem)).collect();
        ComposeError { kind: ComposeErrorKind::Invalid, findings, omitted }
    }
}
