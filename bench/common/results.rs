//! The results file of a run: all measurements by round, for later analysis.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Serialize;

use super::{Machine, Result};

/// Version of the format. It is raised when a reader of the old one would misread the new one.
const VERSION: u32 = 1;

/// The header of every results file.
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

/// `target/bench/NAME.json`, next to cargo's own files.
pub fn default_file(benchmark: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    target.join("bench").join(format!("{benchmark}.json"))
}

/// Written to a temporary file and renamed, so that readers never see a partial file; rewritten after each round, so
/// that a later failure loses nothing.
pub fn write(file: &Path, results: &impl Serialize) -> Result {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let draft = file.with_extension("json.part");
    std::fs::write(&draft, serde_json::to_vec(results)?)?;
    std::fs::rename(&draft, file)?;
    Ok(())
}

/// The root folder of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
