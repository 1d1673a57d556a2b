//! Writes a file that is not there yet.

use std::io::Write as _;
use std::path::Path;

use crate::cli::exit::{Exit, Failure};

pub(super) fn write_new(path: &Path, text: &str) -> Result<(), Failure> {
    // `create_new`: between the look and the write somebody else may have made one.
    let written = std::fs::File::create_new(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| Failure::new(Exit::Failed, format!("`{}` cannot be written: {error}", path.display())))
}
