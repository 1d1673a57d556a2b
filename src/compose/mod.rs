//! From a compose file to a `Project`; refuses by name, with file and line, what it does not honour.
//!
//! The way of the text: [`source`] finds and reads it, [`parse`] makes a tree in which every node knows its place,
//! [`interpolate`] puts the variables in, [`project`] and the readers below it give the tree its meaning.
//! Problems are collected on the way, so that one run reports all of them.

mod app_block;
mod build;
mod collect;
mod container;
mod context;
mod depends;
mod deploy;
mod dotenv;
mod error;
mod healthcheck;
mod image;
mod interpolate;
mod merge;
mod mounts;
mod networks;
mod node;
mod parse;
mod ports;
mod project;
mod proxy_block;
mod refuse;
mod resources;
mod routes;
mod scalar;
mod select;
mod service;
mod source;
mod suggest;
#[cfg(test)]
mod tests;
mod variables;
mod version;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use context::{Context, Environment};
use error::{Problem, Read};
use node::{Map, Node, Span, Value};
use source::Source;

pub use error::{ComposeError, ComposeErrorKind, Finding, Place, Warning};
pub use scalar::parse_duration;
pub use select::select;

use crate::model::{InvalidName, Project, ProjectName};

const NEEDS_SERVICES: &str = "it needs `services:` with at least one service in it";

/// What to load, and the surroundings it is loaded in.
#[derive(Debug, Clone, Default)]
pub struct LoadRequest {
    /// `-f`; without it the file is looked for in `folder` and above, by compose's names.
    pub file: Option<PathBuf>,
    pub folder: PathBuf,
    /// `-p` or `COMPOSE_PROJECT_NAME`; wins over the file's `name`.
    pub project_name: Option<String>,
    /// The process' variables; they win over those of `.env` beside the compose file.
    pub env: BTreeMap<String, String>,
}

#[derive(Debug, Clone)]
pub struct Loaded {
    pub project: Project,
    /// The compose file, absolute.
    pub file: PathBuf,
    pub warnings: Vec<Warning>,
}

/// Reads, checks and completes a compose file.
///
/// # Errors
///
/// When there is no file, or with all that is wrong in it.
pub fn load(request: &LoadRequest) -> Result<Loaded, ComposeError> {
    let (file, mut warnings) = source::find(request)?;
    let from = source::absolute(Path::new(""), &request.folder);
    // Messages name the file as the user would type it from here.
    let shown = match file.strip_prefix(&from) {
        Ok(here) if here.as_os_str().is_empty() => ".".to_owned(),
        below => below.unwrap_or(&file).display().to_string(),
    };
    let text = source::read(&file)
        .map_err(|(kind, what, hint)| ComposeError::plain(kind, format!("`{shown}` {what}"), hint))?;
    let folder = file.parent().unwrap_or(Path::new("/")).to_owned();
    let environment = Environment::load(request.env.clone(), &folder)?;
    let source = Source { shown, text };
    let (project, found) = read(&source, environment, &folder, request.project_name.as_deref())
        .map_err(|problems| ComposeError::invalid(&source, problems))?;
    warnings.extend(found.into_iter().map(|problem| source.warning(problem)));
    Ok(Loaded { project, file, warnings })
}

/// The project and its warnings, or all problems.
fn read(
    source: &Source,
    mut environment: Environment,
    folder: &Path,
    chosen: Option<&str>,
) -> Result<(Project, Vec<Problem>), Vec<Problem>> {
    let mut tree = parse::parse(&source.text).map_err(|problem| vec![problem])?;
    let name = project_name(project::root(&tree).map_err(|problem| vec![problem])?, &environment, folder, chosen)
        .map_err(|problem| vec![problem])?;
    // Compose lets the file use its own project's name.
    environment.set("COMPOSE_PROJECT_NAME", name.as_str());
    let (problems, mut warnings) = put_in_variables(&mut tree, source, &environment);
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut cx = Context::new(&environment, folder, &name);
    let project = project::read(&mut cx, project::root(&tree).map_err(|problem| vec![problem])?);
    let (problems, found) = cx.findings();
    warnings.extend(found);
    if problems.is_empty() { Ok((project, warnings)) } else { Err(problems) }
}

fn put_in_variables(tree: &mut Node, source: &Source, environment: &Environment) -> (Vec<Problem>, Vec<Problem>) {
    let value = |name: &str| environment.get(name);
    let mut walker = interpolate::Tree::new(&source.text, &value);
    walker.walk(tree);
    let problems =
        walker.failures.into_iter().map(|(span, failure)| Problem::at(span, failure.message).hint(failure.hint));
    let problems = problems.collect();
    // One warning for each name, where it is first used.
    let mut seen = BTreeSet::new();
    let warnings = walker
        .unset
        .into_iter()
        .filter(|(name, _)| seen.insert(name.clone()))
        .map(|(name, span)| {
            let hint = format!("set it, or give it a default: `${{{name}:-…}}`");
            Problem::at(span, format!("variable `{name}` is not set, so it is empty")).hint(hint)
        })
        .collect();
    (problems, warnings)
}

/// `-p`, then the environment, then the file's `name`, then the folder's name made fit.
fn project_name(root: &Map, environment: &Environment, folder: &Path, chosen: Option<&str>) -> Read<ProjectName> {
    let given = chosen.map(str::to_owned).or_else(|| environment.get("COMPOSE_PROJECT_NAME"));
    if let Some(text) = given.filter(|text| !text.is_empty()) {
        return text.parse().map_err(|error| bad_name(None, &error));
    }
    if let Some(entry) = root.get("name").filter(|entry| !entry.value.is_null()) {
        let mut node = entry.value.clone();
        // Failures are reported when the whole file is interpolated; without that they would stop here alone.
        let value = |name: &str| environment.get(name);
        interpolate::Tree::new("", &value).walk(&mut node);
        let text = match node.value {
            Value::Scalar(text) => text,
            _ => return Err(entry.expected("text")),
        };
        return text.parse().map_err(|error| bad_name(Some(entry.value.span), &error));
    }
    let name = folder.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let fit = |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    let name: String =
        name.chars().filter(fit).collect::<String>().trim_start_matches(['-', '_']).chars().take(40).collect();
    name.parse().map_err(|_| {
        let message = format!("folder `{}` gives no project name", folder.display());
        Problem { span: None, message, hint: Some("add `name: …` at the top of the file".to_owned()) }
    })
}

fn bad_name(span: Option<Span>, error: &InvalidName) -> Problem {
    let message = format!("`{}` is not a project name", node::clip(&error.text));
    Problem { span, message, hint: Some(format!("use {}", error.rule)) }
}
