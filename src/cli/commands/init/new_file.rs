//! Writes a new file, but never overwrites one.

use std::io::Write as _;
use std::path::Path;

use crate::cli::exit::{Exit, Failure};

pub(super) fn write_new(path: &Path, text: &str) -> Result<(), Failure> {
    // `create_new`: the file may have been created since the check.
    let written = std::fs::File::create_new(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| Failure::new(Exit::Failed, format!("`{}` cannot be written: {error}", path.display())))
}
