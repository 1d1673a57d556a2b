//! Finds and reads the compose files.

use std::path::{Component, Path, PathBuf};
use std::sync::OnceLock;

use crate::compose::error::{ComposeError, ComposeErrorKind, Finding, Warning};
use crate::compose::request::LoadRequest;
use crate::local::{self, FileError};

/// In compose's order of preference.
const NAMES: [&str; 4] = ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];
const OVERRIDES: [&str; 4] =
    ["compose.override.yml", "compose.override.yaml", "docker-compose.override.yml", "docker-compose.override.yaml"];

/// Larger than any compose file. A wrong `-f` must not exhaust memory.
const MOST_BYTES: u64 = 1 << 20;

/// The source of a main file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::compose) enum Input {
    /// An absolute path.
    File(PathBuf),
    /// `-f -`
    Stdin,
    /// A text that is not in a file.
    Overlay(String),
}

impl Input {
    /// The path as named with `-f`.
    pub fn path(&self) -> PathBuf {
        match self {
            Self::File(path) => path.clone(),
            Self::Stdin | Self::Overlay(_) => PathBuf::from("-"),
        }
    }
}

/// The files of the request in merge order, with warnings about the selection.
pub(in crate::compose) fn find(
    request: &LoadRequest,
    value: &dyn Fn(&str) -> Option<String>,
) -> Result<(Vec<Input>, Vec<Warning>), ComposeError> {
    // `-f` is relative to the current folder and disables the search.
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
        // Any entry with the name counts: an unreadable one is an error, and does not lead to a file of a parent
        // folder.
        let found: Vec<&str> = NAMES.into_iter().filter(|name| candidate.join(name).exists()).collect();
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
        ComposeErrorKind::NoFile,
        message,
        "go to the project's folder, or name the file: `-f FILE`",
    ))
}

/// `COMPOSE_FILE` contains one path or several, separated like those of `PATH`.
fn named_by_environment(value: &dyn Fn(&str) -> Option<String>) -> Vec<PathBuf> {
    let text = value("COMPOSE_FILE").unwrap_or_default();
    let separator = value("COMPOSE_PATH_SEPARATOR").filter(|text| !text.is_empty()).unwrap_or_else(|| ":".to_owned());
    text.split(&separator).filter(|file| !file.is_empty()).map(PathBuf::from).collect()
}

/// A text of limited size, or the error as a fragment such as `is a folder`, with its hint.
type ReadText = Result<String, (ComposeErrorKind, String, String)>;

/// The content of stdin: it can be read only once, and `init` loads a project several times.
static STDIN: OnceLock<ReadText> = OnceLock::new();

/// The text of stdin.
pub(in crate::compose) fn read_stdin() -> ReadText {
    let hint = "pipe the file in: `… | deploy-apps -f - …`";
    let read = || local::stream(std::io::stdin().lock(), MOST_BYTES).map_err(|error| told(&error, hint.to_owned()));
    STDIN.get_or_init(read).clone()
}

/// Reads a text file.
pub(in crate::compose) fn read(file: &Path) -> ReadText {
    local::text(file, MOST_BYTES).map_err(|error| told(&error, hint(file, &error)))
}

/// Like [`read`], for a file named on the command line, which may also be a pipe of the shell such as `<(command)`.
pub(in crate::compose) fn read_named(file: &Path) -> ReadText {
    let text = local::open_stream(file).and_then(|opened| local::stream(opened, MOST_BYTES));
    text.map_err(|error| told(&error, hint(file, &error)))
}

fn told(error: &FileError, hint: String) -> (ComposeErrorKind, String, String) {
    let kind = match error {
        FileError::Missing | FileError::Forbidden | FileError::Io(_) => ComposeErrorKind::NotFound,
        FileError::Folder | FileError::Irregular(_) | FileError::TooLarge(_) | FileError::NotText(_) => {
            ComposeErrorKind::Invalid
        }
    };
    (kind, error.to_string(), hint)
}

/// The hint for a file that was not read.
pub(super) fn hint(file: &Path, error: &FileError) -> String {
    let file = file.display();
    match error {
        FileError::Missing => "check its path".to_owned(),
        FileError::Folder => "name the file in it".to_owned(),
        FileError::Irregular(_) => format!("write what it gives into a file: `cat {file} >FILE`, and name that"),
        FileError::TooLarge(_) => "check that it is the right file".to_owned(),
        FileError::NotText(_) => "save it as UTF-8".to_owned(),
        FileError::Forbidden => format!("allow it: `chmod +r {file}`"),
        FileError::Io(_) => "check the file".to_owned(),
    }
}

/// `path` relative to `folder`, made absolute and without `.` and `..`, like in compose. Links are not resolved.
pub(in crate::compose) fn absolute(folder: &Path, path: &Path) -> PathBuf {
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
