//! Judges a run of the tests by its output: has every test passed that a scenario names?
//!
//! Not a test itself: it reads what `cargo test` has printed, so `tests/run` calls it when that has ended.
//! With `names` it prints the tests to run. `UPDATE_DOCS=1` writes `docs/reference/scenarios.md`.

#[path = "mod.rs"]
mod scenarios;

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use scenarios::{SCENARIOS, Scenario, document, printed, render};

/// What the run has left in cargo's folder for the files of tests.
struct Run {
    output: String,
    /// A line `NAME: why` for each test that the machine did not allow.
    skipped: String,
}

impl Run {
    fn read() -> std::io::Result<Self> {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let skipped = fs::read_to_string(folder.join("skipped")).unwrap_or_default();
        Ok(Self { output: fs::read_to_string(folder.join("output"))?, skipped })
    }

    fn has_passed(&self, test: &str) -> bool {
        self.output.lines().any(|line| line == format!("test {} ... ok", printed(test)))
    }

    fn has_skipped(&self, test: &str) -> bool {
        self.skipped.lines().any(|line| line.split_once(": ").is_some_and(|(name, _)| name == printed(test)))
    }

    fn result(&self, scenario: &Scenario, date: &str) -> String {
        if !scenario.tests.iter().all(|test| self.has_passed(test)) {
            return format!("failed {date}");
        }
        let skipped = scenario.tests.iter().filter(|test| self.has_skipped(test)).count();
        if skipped > 0 { format!("{skipped} skipped {date}") } else { format!("passed {date}") }
    }
}

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("names") {
        SCENARIOS.iter().flat_map(|scenario| scenario.tests).for_each(|test| println!("{}", printed(test)));
        return ExitCode::SUCCESS;
    }
    match judge() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn judge() -> Result<(), String> {
    let run = Run::read().map_err(|error| format!("there is no output of a run: {error}\nhint: tests/run"))?;
    let date = jiff::Timestamp::now().strftime("%Y-%m-%d").to_string();
    let text = render(|scenario| run.result(scenario, &date));
    // For whoever wants this run's own table; the committed one is of the run that wrote it.
    let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join("scenarios.md");
    fs::write(&copy, &text).map_err(|error| format!("`{}` cannot be written: {error}", copy.display()))?;

    let tests = || SCENARIOS.iter().flat_map(|scenario| scenario.tests);
    let missing: Vec<&str> = tests().filter(|test| !run.has_passed(test)).copied().collect();
    if !missing.is_empty() {
        return Err(format!("scenarios are not proved: these tests have not passed\n  {}", missing.join("\n  ")));
    }
    if std::env::var_os("UPDATE_DOCS").is_none() {
        return Ok(());
    }
    let skipped: Vec<&str> = tests().filter(|test| run.has_skipped(test)).copied().collect();
    if !skipped.is_empty() {
        let skipped = skipped.join("\n  ");
        return Err(format!(
            "docs/reference/scenarios.md is not written: this machine has skipped\n  {skipped}\nhint: run it as root"
        ));
    }
    fs::write(document(), text).map_err(|error| format!("docs/reference/scenarios.md cannot be written: {error}"))
}
