//! Loads a project: reads, merges, validates and completes the compose files.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::error::{ComposeError, Warning};
use super::request::LoadRequest;
use super::resolve::resolve;
use crate::model::Project;

#[derive(Debug, Clone)]
pub struct Loaded {
    pub project: Project,
    /// The first compose file, absolute; the project's folder if it was read from stdin.
    pub file: PathBuf,
    pub warnings: Vec<Warning>,
    /// All profiles of the files, active or not.
    pub profiles: Vec<String>,
    /// The variables for interpolation: those of the process and of `.env`.
    pub environment: BTreeMap<String, String>,
}

/// Reads, merges, validates and completes the compose files.
///
/// # Errors
///
/// When there is no file, or with all problems in the files.
pub fn load(request: &LoadRequest) -> Result<Loaded, ComposeError> {
    let mut model = resolve(request, true)?;
    let project = model.read(&request.needs)?;
    let environment = model.environment.all();
    Ok(Loaded { project, file: model.file, warnings: model.warnings, profiles: model.profiles, environment })
}
