//! Finding and reading the compose files.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Component, Path, PathBuf};
use std::sync::OnceLock;

use super::LoadRequest;
use super::error::{ComposeError, ComposeErrorKind, Finding, Place, Problem, Warning};

/// In compose's order of preference.
const NAMES: [&str; 4] = ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];
const OVERRIDES: [&str; 4] =
    ["compose.override.yml", "compose.override.yaml", "docker-compose.override.yml", "docker-compose.override.yaml"];

/// More than any compose file written by hand or machine; a wrong `-f` must not fill the memory.
const MOST_BYTES: u64 = 1 << 20;

/// A text and the name under which messages show it.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub shown: String,
    pub text: String,
}

/// All texts that one load has read; spans point into them.
#[derive(Debug, Clone, Default)]
pub(super) struct Sources(Vec<Source>);

impl Sources {
    /// The number under which spans refer to the text.
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

    /// Gives a problem the line that it is about.
    pub fn finding(&self, problem: Problem) -> Finding {
        let place = problem.span.map(|span| {
            let source = self.text(span.file);
            let line = source.split('\n').nth(span.line.saturating_sub(1)).unwrap_or_default();
            let text: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            let meant = source.get(span.start..span.end).and_then(|text| text.lines().next()).unwrap_or_default();
            let column = span.column.max(1);
            let left = text.trim_end().chars().count().saturating_sub(column - 1);
            let width = meant.trim_end().chars().count().min(left).max(1);
            Place { file: self.shown(span.file).to_owned(), line: span.line, column, text, width }
        });
        Finding { message: problem.message, place, hint: problem.hint }
    }

    pub fn warning(&self, problem: Problem) -> Warning {
        Warning(self.finding(problem))
    }
}

/// Where a main file comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Input {
    /// Absolute.
    File(PathBuf),
    /// `-f -`
    Stdin,
    /// A text that stands in no file.
    Overlay(String),
}

impl Input {
    /// As `-f` names it.
    pub fn path(&self) -> PathBuf {
        match self {
            Self::File(path) => path.clone(),
            Self::Stdin | Self::Overlay(_) => PathBuf::from("-"),
        }
    }
}

/// The files that the request means, in the order in which they are merged, and what to say about the choice.
pub(super) fn find(
    request: &LoadRequest,
    value: &dyn Fn(&str) -> Option<String>,
) -> Result<(Vec<Input>, Vec<Warning>), ComposeError> {
    // `-f` is seen from where the user stands, and switches the search off.
    let folder = absolute(Path::new(""), &request.folder);
    let named = if request.files.is_empty() { named_by_environment(value) } else { request.files.clone() };
    if !named.is_empty() {
        let input = |file: &PathBuf| match file.to_str() {
            Some("-") => Input::Stdin,
            _ => Input::File(absolute(&folder, file)),
        };
        return Ok((named.iter().map(input).collect(), Vec::new()));
    }
    let start = request.project_folder.as_ref().map_or(folder.clone(), |chosen| absolute(&folder, chosen));
    for candidate in start.ancestors() {
        let found: Vec<&str> = NAMES.into_iter().filter(|name| candidate.join(name).is_file()).collect();
        let Some(first) = found.first() else { continue };
        let overrides: Vec<&str> = OVERRIDES.into_iter().filter(|name| candidate.join(name).exists()).collect();
        let inputs = std::iter::once(first).chain(overrides.first());
        let inputs = inputs.map(|name| Input::File(candidate.join(name))).collect();
        let warnings = [&found, &overrides].into_iter().filter(|names| names.len() > 1).map(|names| {
            let message = format!("`{}` is used, not `{}` beside it", names[0], names[1..].join("`, `"));
            Warning(Finding { message, place: None, hint: None })
        });
        return Ok((inputs, warnings.collect()));
    }
    let message = format!("no `compose.yaml` in `{}` or above it", start.display());
    Err(ComposeError::plain(
        ComposeErrorKind::NotFound,
        message,
        "go to the project's folder, or name the file: `-f FILE`",
    ))
}

/// `COMPOSE_FILE` holds one file or several, as `PATH` holds folders.
fn named_by_environment(value: &dyn Fn(&str) -> Option<String>) -> Vec<PathBuf> {
    let text = value("COMPOSE_FILE").unwrap_or_default();
    let separator = value("COMPOSE_PATH_SEPARATOR").filter(|text| !text.is_empty()).unwrap_or_else(|| ":".to_owned());
    text.split(&separator).filter(|file| !file.is_empty()).map(PathBuf::from).collect()
}

/// What the standard input held: it can be read once, and `init` loads a project several times.
static STDIN: OnceLock<ReadText> = OnceLock::new();

/// The text of the standard input, of bounded size.
pub(super) fn read_stdin() -> ReadText {
    STDIN.get_or_init(stdin_text).clone()
}

fn stdin_text() -> ReadText {
    bounded_text(std::io::stdin().lock()).unwrap_or_else(|error| {
        let what = format!("cannot be read: {error}");
        Err((ComposeErrorKind::NotFound, what, "pipe the file in: `… | deploy-apps -f - …`".to_owned()))
    })
}

/// Reads a text file of bounded size; the error is a fragment such as `is a folder`, with its hint.
pub(super) fn read(file: &Path) -> ReadText {
    let cannot = |error: &std::io::Error| match error.kind() {
        ErrorKind::NotFound => (ComposeErrorKind::NotFound, "does not exist".to_owned(), "check its path".to_owned()),
        ErrorKind::PermissionDenied => (
            ComposeErrorKind::NotFound,
            "may not be read by you".to_owned(),
            format!("allow it: `chmod +r {}`", file.display()),
        ),
        _ => (ComposeErrorKind::NotFound, format!("cannot be read: {error}"), "check the file".to_owned()),
    };
    let invalid = |what: String, hint: &str| (ComposeErrorKind::Invalid, what, hint.to_owned());
    let metadata = std::fs::metadata(file).map_err(|error| cannot(&error))?;
    if metadata.is_dir() {
        return Err(invalid("is a folder".to_owned(), "name the file in it"));
    }
    let opened = File::open(file).map_err(|error| cannot(&error))?;
    bounded_text(opened).map_err(|error| cannot(&error))?
}

type ReadText = Result<String, (ComposeErrorKind, String, String)>;

/// The outer error is the reader's own, the inner one what is wrong with the text.
fn bounded_text(reader: impl std::io::Read) -> std::io::Result<ReadText> {
    let invalid = |what: String, hint: &str| Err((ComposeErrorKind::Invalid, what, hint.to_owned()));
    let mut bytes = Vec::new();
    // The size on record is not asked: pipes and device files have none.
    reader.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Ok(invalid("is larger than 1 MiB".to_owned(), "check that it is the right file"));
    }
    Ok(String::from_utf8(bytes).or_else(|error| {
        let line = 1 + error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|b| **b == b'\n').count();
        invalid(format!("is not UTF-8 text (line {line})"), "save it as UTF-8")
    }))
}

/// `path` seen from `folder`, without `.` and `..`, as compose writes it. Links are not followed.
pub(super) fn absolute(folder: &Path, path: &Path) -> PathBuf {
    let joined = folder.join(path);
    let rooted = std::path::absolute(&joined).unwrap_or(joined);
    let mut clean = PathBuf::new();
    for part in rooted.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                clean.pop();
            }
            other => clean.push(other),
        }
    }
    clean
}
