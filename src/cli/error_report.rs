//! Reports why a command failed: as text on stderr, and in JSON formats also as an object on stdout, which is both a
//! complete document and the last line of an event stream.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};

use super::common::Format;
use super::exit::{Exit, Failure};
use crate::compose::{Finding, Place, Warning};
use crate::report::ci::{annotation, append_summary, failure_summary};

/// Reports why the command failed.
pub fn tell(failure: &Failure, format: Format, elapsed: Duration) {
    match format {
        Format::Github if !failure.is_told() => annotate(failure),
        _ if !failure.is_told() => errln!("{failure}"),
        _ => {}
    }
    if format == Format::Json {
        outln!("{}", document(failure, elapsed));
    }
}

/// Reports a warning from a compose file.
pub fn warn(warning: &Warning, format: Format) {
    match (format, &warning.0) {
        (Format::Github, Finding { message, place, hint }) => {
            let hint = hint.as_ref().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
            errln!("{}", annotation_at("warning", place.as_ref(), &format!("{message}{hint}")));
        }
        _ => errln!("{warning}"),
    }
}

/// Annotates each finding at its line, so that a review shows it there; other errors as a whole.
fn annotate(failure: &Failure) {
    let text = failure.to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    if failure.findings.is_empty() {
        errln!("{}", annotation_at("error", None, text));
    }
    for Finding { message, place, hint } in &failure.findings {
        let hint = hint.as_ref().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
        errln!("{}", annotation_at("error", place.as_ref(), &format!("{message}{hint}")));
    }
    if let Err(error) = append_summary(&failure_summary(text)) {
        errln!("{}", annotation("warning", &[], &format!("the job's summary could not be written: {error}")));
    }
}

fn annotation_at(level: &str, place: Option<&Place>, message: &str) -> String {
    let Some(place) = place else { return annotation(level, &[], message) };
    let (line, column) = (place.line.to_string(), place.column.to_string());
    annotation(level, &[("file", &in_workspace(&place.file)), ("line", &line), ("col", &column)], message)
}

/// The CI runner expects paths relative to the repository; ours are relative to the current folder.
fn in_workspace(file: &str) -> String {
    let path = std::env::current_dir().map(|here| here.join(file));
    let workspace = std::env::var_os("GITHUB_WORKSPACE");
    match (path, workspace) {
        (Ok(path), Some(workspace)) => {
            path.strip_prefix(workspace).map_or_else(|_| file.to_owned(), |path| path.display().to_string())
        }
        _ => file.to_owned(),
    }
}

/// Prints the requested help or version, or the error in the command line.
pub fn usage(error: &clap::Error) -> ExitCode {
    // If that fails, there is no other place to report it.
    drop(error.print());
    if !error.use_stderr() {
        return Exit::Done.into();
    }
    if asks_for_json(std::env::args_os().map(|arg| arg.to_string_lossy().into_owned())) {
        let text = error.to_string();
        let (message, _) = text.split_once("\n\n").unwrap_or((&text, ""));
        let message = message.strip_prefix("error: ").unwrap_or(message).trim_end();
        let failure = Failure::new(Exit::Usage, message).hint("`deploy-apps --help` lists commands and options");
        outln!("{}", document(&failure, Duration::ZERO));
    }
    Exit::Usage.into()
}

/// Whether the arguments ask for JSON. They could not be parsed, but the reader still expects the format.
fn asks_for_json(args: impl Iterator<Item = String>) -> bool {
    let args: Vec<String> = args.collect();
    args.iter().any(|arg| arg == "--format=json") || args.windows(2).any(|pair| pair == ["--format", "json"])
}

fn document(failure: &Failure, elapsed: Duration) -> Value {
    // The preceding events contain the details.
    let message =
        if failure.is_told() { "a step failed before the apps' own began" } else { failure.message.trim_end() };
    let findings: Vec<Value> = failure.findings.iter().map(finding).collect();
    json!({
        "v": 1,
        "app": null,
        "elapsed_ms": u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
        "event": "failed",
        "error": {
            "code": failure.exit.name(),
            "exit": failure.exit as u8,
            "message": message,
            "hint": failure.hint,
            "details": failure.details,
            "findings": findings,
        },
    })
}

fn finding(finding: &Finding) -> Value {
    let place = finding.place.as_ref();
    json!({
        "message": finding.message,
        "hint": finding.hint,
        "file": place.map(|place| &place.file),
        "line": place.map(|place| place.line),
        "column": place.map(|place| place.column),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_detected_in_either_spelling() {
        let asks = |args: &[&str]| asks_for_json(args.iter().map(ToString::to_string));
        assert!(asks(&["deploy-apps", "--bad", "--format", "json"]));
        assert!(asks(&["deploy-apps", "--format=json"]));
        assert!(!asks(&["deploy-apps", "--format", "text", "json"]));
    }
}
