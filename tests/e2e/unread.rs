//! Output that nobody reads, or that cannot be written: no reason to crash, and no whole result.

use std::fs::{self, File};
use std::process::{Command, Output, Stdio};

use crate::harness::binary;

const COMPOSE: &str = "services:\n  web: { image: web, x-deploy-apps: { port: 80 } }\n";

/// Each prints something, and none of them asks an engine.
const COMMANDS: [&[&str]; 8] = [
    &["config"],
    &["config", "--format", "json"],
    &["config", "--services"],
    &["schema", "compose"],
    &["schema", "--list"],
    &["completions", "bash"],
    &["man"],
    &["--help"],
];

fn run(args: &[&str], stdout: impl Into<Stdio>, stderr: impl Into<Stdio>) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("compose.yaml"), COMPOSE).expect("a file");
    let mut command = Command::new(binary());
    command.args(args).current_dir(folder.path()).env_remove("COMPOSE_FILE").stdin(Stdio::null());
    command.stdout(stdout).stderr(stderr).spawn().and_then(|child| child.wait_with_output()).expect("it runs")
}

/// What is written to it fails as it does behind a `head` that has read its line.
fn nobody() -> Stdio {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    writer.into()
}

#[test]
fn a_reader_that_went_away_has_read_what_it_wanted() {
    for args in COMMANDS {
        let output = run(args, nobody(), Stdio::piped());
        assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""), "{args:?}");
    }
}

#[test]
fn an_error_keeps_its_code_where_nobody_hears_it() {
    let wrong: [&[&str]; 3] =
        [&["nope", "--format", "json"], &["--no-such-option", "--format=json"], &["-f", "no.yaml"]];
    for (args, code) in wrong.into_iter().zip([2, 2, 5]) {
        let output = run(args, nobody(), nobody());
        assert_eq!(output.status.code(), Some(code), "{args:?}");
    }
}

#[test]
fn half_a_result_does_not_pass_for_a_whole_one() {
    for args in COMMANDS.into_iter().filter(|args| !["--help", "--list"].contains(args.last().expect("a word"))) {
        let full = File::options().write(true).open("/dev/full").expect("a full disk");
        let output = run(args, full, Stdio::piped());
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {said}");
        assert!(said.starts_with("error: standard output cannot be written: No space left"), "{args:?}: {said}");
        assert!(said.contains("\nhint: "), "{args:?}: {said}");
    }
}
