//! The output files of the report. They are opened before the load starts, so that a wrong path does not waste an hour
//! of load.

use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::page::{Part, page};
use crate::cli::exit::{Exit, Failure};

/// The requested output files.
#[derive(Debug)]
pub struct Files {
    html: Option<(PathBuf, NamedTempFile)>,
    svg: Option<PathBuf>,
}

impl Files {
    /// # Errors
    /// When a place cannot be written to.
    pub fn reserve(html: Option<&Path>, svg: Option<&Path>) -> Result<Self, Failure> {
        let html = match html {
            Some(path) => Some((path.to_owned(), beside(path).map_err(|error| refused(path, &error, FILE_HINT))?)),
            None => None,
        };
        if let Some(folder) = svg {
            let tried = fs::create_dir_all(folder).and_then(|()| tempfile::tempfile_in(folder));
            tried.map_err(|error| refused(folder, &error, FOLDER_HINT))?;
        }
        Ok(Self { html, svg: svg.map(Path::to_owned) })
    }

    #[must_use]
    pub fn are_wanted(&self) -> bool {
        self.html.is_some() || self.svg.is_some()
    }

    /// # Errors
    /// When a file can no longer be written.
    pub fn write(self, parts: &[Part<'_>], deploys: u32, is_done: bool) -> Result<(), Failure> {
        let failed = |path: &Path, error: &io::Error| {
            Failure::new(Exit::Failed, format!("the report cannot be written to `{}`: {error}", path.display()))
        };
        if let Some((path, mut file)) = self.html {
            let text = page(parts, deploys, is_done);
            let written = file.write_all(text.as_bytes()).and_then(|()| Ok(file.persist(&path)?));
            written.map_err(|error| failed(&path, &error))?;
            errln!("report in {}", path.display());
        }
        if let Some(folder) = self.svg {
            for (name, drawing) in parts.iter().flat_map(Part::drawings) {
                let path = folder.join(name);
                fs::write(&path, drawing).map_err(|error| failed(&path, &error))?;
            }
            errln!("plots in {}", folder.display());
        }
        Ok(())
    }
}

const FILE_HINT: &str = "name a file in a folder that exists and that you may write to";
const FOLDER_HINT: &str = "name a folder that you may write to";

fn refused(path: &Path, error: &io::Error, hint: &str) -> Failure {
    Failure::new(Exit::Usage, format!("the report cannot be written to `{}`: {error}", path.display())).hint(hint)
}

/// A temporary file in the same folder, which is renamed to `path` when complete, so that no partial file is visible.
fn beside(path: &Path) -> io::Result<NamedTempFile> {
    if path.is_dir() || path.file_name().is_none() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // The usual mode of new files; the umask still applies.
    tempfile::Builder::new().prefix(".drain-test").permissions(Permissions::from_mode(0o666)).tempfile_in(folder)
}
