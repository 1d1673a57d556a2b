//! Finding and reading the compose file.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Component, Path, PathBuf};

use super::LoadRequest;
use super::error::{ComposeError, ComposeErrorKind, Finding, Place, Problem, Warning};

/// In compose's order of preference.
const NAMES: [&str; 4] = ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];
const OVERRIDES: [&str; 4] =
    ["compose.override.yaml", "compose.override.yml", "docker-compose.override.yml", "docker-compose.override.yaml"];

/// More than any compose file written by hand or machine; a wrong `-f` must not fill the memory.
const MOST_BYTES: u64 = 1 << 20;

/// A text and the name under which messages show it.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub shown: String,
    pub text: String,
}

impl Source {
    /// Gives a problem the line that it is about.
    pub fn finding(&self, problem: Problem) -> Finding {
        let place = problem.span.map(|span| {
            let line = self.text.split('\n').nth(span.line.saturating_sub(1)).unwrap_or_default();
            let text: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            let meant = self.text.get(span.start..span.end).and_then(|text| text.lines().next()).unwrap_or_default();
            let column = span.column.max(1);
            let left = text.trim_end().chars().count().saturating_sub(column - 1);
            let width = meant.trim_end().chars().count().min(left).max(1);
            Place { file: self.shown.clone(), line: span.line, column, text, width }
        });
        Finding { message: problem.message, place, hint: problem.hint }
    }

    pub fn warning(&self, problem: Problem) -> Warning {
        Warning(self.finding(problem))
    }
}

/// The file that the request means, absolute, and what to say about the choice.
pub(super) fn find(request: &LoadRequest) -> Result<(PathBuf, Vec<Warning>), ComposeError> {
    // `-f` is seen from where the user stands, and switches the search off.
    let folder = absolute(Path::new(""), &request.folder);
    if let Some(file) = request.file.clone().or(named_by_environment(&request.env)?) {
        return Ok((absolute(&folder, &file), Vec::new()));
    }
    for candidate in folder.ancestors() {
        let found: Vec<&str> = NAMES.into_iter().filter(|name| candidate.join(name).is_file()).collect();
        let Some(first) = found.first() else { continue };
        // Compose would merge it unasked, so leaving it out in silence would deploy something else than compose runs.
        if let Some(other) = OVERRIDES.into_iter().find(|name| candidate.join(name).exists()) {
            let message = format!("`{other}` beside `{first}` is not merged: several files are not supported yet");
            let hint = format!("name the one file to use: `-f {first}`");
            return Err(ComposeError::plain(ComposeErrorKind::Invalid, message, hint));
        }
        let warnings = (found.len() > 1).then(|| {
            let message = format!("`{first}` is used, not `{}` beside it", found[1..].join("`, `"));
            Warning(Finding { message, place: None, hint: None })
        });
        return Ok((candidate.join(first), warnings.into_iter().collect()));
    }
    let message = format!("no `compose.yaml` in `{}` or above it", folder.display());
    Err(ComposeError::plain(
        ComposeErrorKind::NotFound,
        message,
        "go to the project's folder, or name the file: `-f FILE`",
    ))
}

fn named_by_environment(env: &BTreeMap<String, String>) -> Result<Option<PathBuf>, ComposeError> {
    let Some(text) = env.get("COMPOSE_FILE").filter(|text| !text.is_empty()) else { return Ok(None) };
    let separator = env.get("COMPOSE_PATH_SEPARATOR").map_or(":", String::as_str);
    if !separator.is_empty() && text.contains(separator) {
        let message = format!("`COMPOSE_FILE` names several files, `{text}`: merging them is not supported yet");
        return Err(ComposeError::plain(ComposeErrorKind::Invalid, message, "name the one file to use: `-f FILE`"));
    }
    Ok(Some(PathBuf::from(text)))
}

/// Reads a text file of bounded size; the error is a fragment such as `is a folder`, with its hint.
pub(super) fn read(file: &Path) -> Result<String, (ComposeErrorKind, String, String)> {
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
    let mut bytes = Vec::new();
    let opened = File::open(file).map_err(|error| cannot(&error))?;
    // The size on record is not asked: pipes and device files have none.
    opened.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(|error| cannot(&error))?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(invalid("is larger than 1 MiB".to_owned(), "check that it is the right file"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let line = 1 + error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|b| **b == b'\n').count();
        invalid(format!("is not UTF-8 text (line {line})"), "save it as UTF-8")
    })
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
