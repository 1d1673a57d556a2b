//! Loads a project: reads, merges, checks and completes the compose files.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::error::{ComposeError, Warning};
use super::request::LoadRequest;
use super::resolve::resolve;
use crate::model::Project;

#[derive(Debug, Clone)]
pub struct Loaded {
    pub project: Project,
    /// The first compose file, absolute; the project's folder when it came from the standard input.
    pub file: PathBuf,
    pub warnings: Vec<Warning>,
    /// Every profile of the files, active or not.
    pub profiles: Vec<String>,
    /// What variables are taken from: the process' own, and those of `.env`.
    pub environment: BTreeMap<String, String>,
}

/// Reads, merges, checks and completes the compose files.
///
/// # Errors
///
/// When there is no file, or with all that is wrong in them.
pub fn load(request: &LoadRequest) -> Result<Loaded, ComposeError> {
    let mut model = resolve(request, true)?;
    let project = model.read(&request.needs)?;
    let environment = model.environment.all();
    Ok(Loaded { project, file: model.file, warnings: model.warnings, profiles: model.profiles, environment })
}
