//! The file of a run: everything that was measured, round by round, so that another eye can draw its own conclusions.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Serialize;

use super::{Machine, Result};

/// The version of the form; it rises when a reader of the old one would misread the new one.
const VERSION: u32 = 1;

/// What every results file begins with.
#[derive(Debug, Serialize)]
pub struct Head<'a> {
    pub v: u32,
    pub benchmark: &'static str,
    /// Seconds since 1970.
    pub began: u64,
    pub machine: &'a Machine,
}

impl<'a> Head<'a> {
    pub fn new(benchmark: &'static str, machine: &'a Machine) -> Self {
        let began = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_secs());
        Self { v: VERSION, benchmark, began, machine }
    }
}

/// `target/bench/NAME.json`, beside what Cargo itself leaves.
pub fn default_file(benchmark: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    target.join("bench").join(format!("{benchmark}.json"))
}

/// Written whole and then renamed, so that a reader never meets half a file; again after each round, so that a run that
/// breaks later loses nothing.
pub fn write(file: &Path, results: &impl Serialize) -> Result {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let draft = file.with_extension("json.part");
    std::fs::write(&draft, serde_json::to_vec(results)?)?;
    std::fs::rename(&draft, file)?;
    Ok(())
}

/// The repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
