//! Records tests that the machine does not allow, so that they do not count as passed.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::thread;

/// Records that the running test was skipped; `tests/scenarios` reads the record.
pub fn skipped(why: &str) {
    let current = thread::current();
    let test = current.name().unwrap_or("a test");
    eprintln!("skipped `{test}`: {why}");
    let notes = Path::new(env!("CARGO_TARGET_TMPDIR")).join("skipped");
    let mut notes = File::options().create(true).append(true).open(notes).expect("cargo's folder for files of tests");
    writeln!(notes, "{test}: {why}").expect("a disk with room");
}
