//! Problems in a compose file: message, position and hint.

use std::fmt;

use super::text::node::Span;
use crate::model::AppName;
use crate::model::visible;

/// A problem before it is displayed: it has a span but not the file's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub span: Option<Span>,
    pub message: String,
    pub hint: Option<String>,
    /// The file is valid, but uses a feature that deploy-apps does not support, or something that is missing here.
    pub unsupported: bool,
    /// A value that the file refers to is missing, such as an env file.
    pub missing: Missing,
}

/// Whose value is missing: only a deploy of that service needs it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Missing {
    #[default]
    Nothing,
    Value,
    ValueOf(AppName),
}

/// The result of reading one value.
pub(super) type Read<T> = Result<T, Problem>;

impl Problem {
    pub fn at(span: Span, message: impl Into<String>) -> Self {
        Self { span: Some(span), ..Self::plain(message) }
    }

    /// A problem without a position in a file.
    pub fn plain(message: impl Into<String>) -> Self {
        Self { span: None, message: message.into(), hint: None, unsupported: false, missing: Missing::Nothing }
    }

    /// Marks the problem as a missing value.
    pub fn missing(mut self) -> Self {
        self.missing = Missing::Value;
        self
    }

    /// Marks the problem as an unsupported feature of a valid file.
    pub fn unsupported(mut self) -> Self {
        self.unsupported = true;
        self
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// The kind of failure, for exit codes and tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ComposeErrorKind {
    /// No file was named, and none was found.
    NoFile,
    /// The file does not exist or cannot be read.
    NotFound,
    /// The file or one that it refers to is invalid, or uses unsupported features.
    Invalid,
    /// A name on the command line is not an app of the file.
    UnknownApp,
}

/// Why a compose file was refused. The text contains all findings with positions and hints.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", Findings(.findings, *.omitted))]
pub struct ComposeError {
    pub kind: ComposeErrorKind,
    /// At least one, in the order of the file.
    pub findings: Vec<Finding>,
    /// The number of further findings.
    pub omitted: usize,
}

impl ComposeError {
    pub(super) fn plain(kind: ComposeErrorKind, message: impl Into<String>, hint: impl Into<String>) -> Self {
        let (message, hint) = (message.into(), hint.into());
        let hint = Some(visible(&hint).into_owned());
        let finding = Finding { message: visible(&message).into_owned(), place: None, hint };
        Self { kind, findings: vec![finding], omitted: 0 }
    }
}

/// A warning for the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning(pub Finding);

impl fmt::Display for Warning {
    /// On one line, for a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.0.place {
            write!(f, "{place}: ")?;
        }
        f.write_str(&self.0.message)?;
        self.0.hint.as_ref().map_or(Ok(()), |hint| write!(f, " (hint: {hint})"))
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub message: String,
    pub place: Option<Place>,
    pub hint: Option<String>,
}

/// A position in a file; displayed as `compose.yaml:12:5`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The path as the user would write it.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// The source line, without control characters.
    pub text: String,
    /// The number of highlighted characters in `text`.
    pub width: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: {}", self.message)?;
            excerpt(f, place)?;
        } else {
            f.write_str(&self.message)?;
        }
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, "\nhint: {hint}"))
    }
}

/// Longer lines are cut around the highlighted part.
const EXCERPT: usize = 120;

fn excerpt(f: &mut fmt::Formatter<'_>, place: &Place) -> fmt::Result {
    let skipped = place.column.saturating_sub(EXCERPT * 3 / 4);
    let text: String = place.text.chars().skip(skipped).take(EXCERPT).collect();
    let before = place.column - 1 - skipped;
    let width = place.width.min(EXCERPT.saturating_sub(before)).max(1);
    let number = place.line.to_string();
    let margin = " ".repeat(number.len());
    write!(f, "\n  {number} | {}", text.trim_end())?;
    write!(f, "\n  {margin} | {}{}", " ".repeat(before), "^".repeat(width))
}

struct Findings<'a>(&'a [Finding], usize);

impl fmt::Display for Findings<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, finding) in self.0.iter().enumerate() {
            write!(f, "{}{finding}", if index == 0 { "" } else { "\n\n" })?;
        }
        match self.1 {
            0 => Ok(()),
            more => write!(f, "\n\nand {more} more"),
        }
    }
}
