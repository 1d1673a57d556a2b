//! GitHub Actions: workflow commands in the log, the job's summary, and outputs for later steps.
//!
//! The runner looks for commands in every line of the log, so foreign text, such as a build's output, is escaped before
//! it is written.

use std::env;
use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Write};
use std::path::Path;

use serde_json::{Value, json};

use crate::event::Outcome;
use crate::report::plan::{code, inline};
use crate::report::row::{End, Row, Tone};
use crate::report::run::Run;
use crate::report::text;

/// An annotation (error, warning or notice), optionally with a source location.
#[must_use]
pub fn annotation(level: &str, properties: &[(&str, &str)], message: &str) -> String {
    let properties: Vec<String> =
        properties.iter().map(|(name, value)| format!("{name}={}", escape_property(value))).collect();
    let space = if properties.is_empty() { "" } else { " " };
    format!("::{level}{space}{}::{}", properties.join(","), escape_data(message))
}

/// Escapes the message of a command, the part after the second `::`.
#[must_use]
pub fn escape_data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Escapes a property's value, which ends at a comma or at `::`.
#[must_use]
pub fn escape_property(text: &str) -> String {
    escape_data(text).replace(':', "%3A").replace(',', "%2C")
}

pub(super) fn level(tone: Tone) -> &'static str {
    match tone {
        Tone::Error => "error",
        Tone::Warning => "warning",
        _ => "notice",
    }
}

pub(super) fn group(title: &str) -> String {
    format!("::group::{}", escape_data(title))
}

/// The runner takes `::…::` at the beginning of a line for a command, and the older `##[…]` anywhere in it.
pub(super) fn harmless(line: &str) -> String {
    let line = line.replace("##[", "## [");
    if line.trim_start().starts_with("::") { format!("\u{200b}{line}") } else { line }
}

/// Appends to the job's summary, if there is one.
///
/// # Errors
/// When the runner's file cannot be written.
pub fn append_summary(markdown: &str) -> io::Result<()> {
    append(env::var_os("GITHUB_STEP_SUMMARY").as_deref(), markdown)
}

/// Sets outputs of this step, if there is a step.
///
/// # Errors
/// When the runner's file cannot be written.
pub fn append_output(outputs: &[(String, String)]) -> io::Result<()> {
    let lines: String = outputs.iter().map(|(name, value)| output(name, value, &delimiter(value))).collect();
    append(env::var_os("GITHUB_OUTPUT").as_deref(), &lines)
}

fn append(file: Option<&OsStr>, text: &str) -> io::Result<()> {
    let Some(file) = file.filter(|file| !file.is_empty()) else { return Ok(()) };
    OpenOptions::new().append(true).create(true).open(Path::new(file))?.write_all(text.as_bytes())
}

/// A value may span several lines, so it is enclosed in a random delimiter that it cannot contain.
fn delimiter(value: &str) -> String {
    loop {
        let [high, low] = [(); 2].map(|()| RandomState::new().build_hasher().finish());
        let delimiter = format!("end_{high:016x}{low:016x}");
        if !value.contains(&delimiter) {
            return delimiter;
        }
    }
}

fn output(name: &str, value: &str, delimiter: &str) -> String {
    format!("{name}<<{delimiter}\n{value}\n{delimiter}\n")
}

/// The summary and the outputs of a finished run.
pub(super) fn write_files(run: &Run, talk: &mut impl Write) {
    let written = append_summary(&summary(run)).and_then(|()| append_output(&outputs(run)));
    if let Err(error) = written {
        let message = format!("the job's summary or outputs could not be written: {error}");
        drop(writeln!(talk, "{}", annotation("warning", &[], &message)));
    }
}

fn ended(run: &Run) -> impl Iterator<Item = (&Row, &End)> {
    run.rows.iter().filter(|row| row.app.is_some()).filter_map(|row| Some((row, row.end.as_ref()?)))
}

/// A table with the outcome of each app.
pub(super) fn summary(run: &Run) -> String {
    if ended(run).next().is_none() {
        return String::new();
    }
    let mut text = "### Deploy\n\n| app | release | version | outcome | took | drained | reached at |\n\
                    | --- | --- | --- | --- | ---: | --- | --- |\n"
        .to_owned();
    for (row, end) in ended(run) {
        let (name, version) =
            (code(row.name()), if row.version().is_empty() { String::new() } else { code(row.version()) });
        let urls: Vec<String> = end.urls.iter().map(|url| inline(url)).collect();
        let (outcome, took) = (words(end.outcome), text::duration(end.took));
        let (release, drained) = (row.release(), row.drained_words());
        text +=
            &format!("| {name} | {release} | {version} | {outcome} | {took} | {drained} | {} |\n", urls.join("<br>"));
    }
    text.push('\n');
    text
}

/// The summary of a command that failed before it handled any app.
#[must_use]
pub fn failure_summary(message: &str) -> String {
    let longest = message.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("### Deploy failed\n\n{fence}text\n{}\n{fence}\n\n", message.trim_end())
}

fn words(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::UpToDate => "up to date",
        Outcome::Completed => "✅ deployed",
        Outcome::CompletedWithLeftovers => "⚠️ deployed, with leftovers",
        Outcome::Unstable => "❌ deployed, restarts again and again",
        Outcome::RolledBack => "❌ failed, rolled back",
        Outcome::Aborted => "❌ canary aborted",
        Outcome::Cancelled => "⚠️ cancelled",
        Outcome::Disconnected => "❌ connection lost",
        Outcome::Stuck => "❌ stuck",
    }
}

/// Outputs for later steps of the job.
pub(super) fn outputs(run: &Run) -> Vec<(String, String)> {
    let is_new =
        |end: &End| matches!(end.outcome, Outcome::Completed | Outcome::CompletedWithLeftovers | Outcome::Unstable);
    let word = |outcome: Outcome| json!(outcome).as_str().unwrap_or_default().to_owned();
    let worst = ended(run).map(|(_, end)| end.outcome).max();
    let mut outputs = vec![("changed".to_owned(), ended(run).any(|(_, end)| is_new(end)).to_string())];
    outputs.extend(worst.map(|outcome| ("outcome".to_owned(), word(outcome))));
    let apps: Vec<Value> = ended(run).map(|(row, end)| app(row, end)).collect();
    outputs.push(("apps".to_owned(), Value::Array(apps).to_string()));
    for (row, end) in ended(run) {
        // Output names may not contain dots.
        let name = row.name().replace('.', "_");
        let release = row.planned.as_ref().map(|planned| planned.to.to_string()).unwrap_or_default();
        outputs.push((format!("{name}-release"), release));
        outputs.push((format!("{name}-version"), row.version().to_owned()));
        outputs.push((format!("{name}-outcome"), word(end.outcome)));
        outputs.push((format!("{name}-urls"), end.urls.join("\n")));
    }
    outputs
}

fn app(row: &Row, end: &End) -> Value {
    json!({
        "app": row.name(),
        "from": row.planned.as_ref().and_then(|planned| planned.from),
        "release": row.planned.as_ref().map(|planned| planned.to),
        "version": row.version(),
        "outcome": end.outcome,
        "urls": end.urls,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_cannot_end_its_command_or_begin_another() {
        assert_eq!(escape_data("50 %\r\n::set-output name=a::b"), "50 %25%0D%0A::set-output name=a::b");
        assert_eq!(escape_property("a:b,c%\n"), "a%3Ab%2Cc%25%0A");
        assert_eq!(
            annotation("error", &[("file", "a,b.yaml"), ("line", "3")], "bad: 100%"),
            "::error file=a%2Cb.yaml,line=3::bad: 100%25"
        );
        assert_eq!(annotation("warning", &[], "x"), "::warning::x");
    }

    #[test]
    fn what_others_have_written_is_no_command() {
        assert_eq!(harmless("   ::error::from a build"), "\u{200b}   ::error::from a build");
        assert_eq!(harmless("x ##[group]y"), "x ## [group]y");
        assert_eq!(harmless("12ms  web: a::b"), "12ms  web: a::b");
    }

    #[test]
    fn a_value_of_several_lines_is_closed_by_a_line_that_is_not_in_it() {
        assert_eq!(output("urls", "a\nb", "end_1"), "urls<<end_1\na\nb\nend_1\n");
        assert_ne!(delimiter(""), delimiter(""), "nobody can guess it");
    }
}
