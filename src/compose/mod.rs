//! From a compose file to a `Project`; refuses by name, with file and line, what it does not honour.
//!
//! The way of the text: [`source`] finds and reads it, [`parse`] makes a tree in which every node knows its file and
//! place, [`interpolate`] puts the variables in, [`layers`] completes each file by what it includes and extends and
//! [`merge`]s it over those before it, [`profiles`] takes out what does not take part, [`project`] and the readers below
//! it give the tree its meaning. [`config`] prints it instead. Problems are collected, so that one run reports all.

mod app_block;
mod build;
mod collect;
mod config;
mod container;
mod context;
mod depends;
mod deploy;
mod dotenv;
mod error;
mod healthcheck;
mod hooks;
mod host;
mod image;
mod include;
mod interpolate;
mod layers;
mod merge;
mod merge_key;
mod mounts;
mod networks;
mod node;
mod notify_block;
mod others;
mod outline;
mod parse;
mod paths;
mod port_forms;
mod ports;
mod profiles;
mod project;
mod proxy_block;
mod refuse;
mod resources;
mod routes;
mod scalar;
mod secrets;
mod select;
mod service;
mod shares;
mod source;
mod suggest;
#[cfg(test)]
mod tests;
mod unique;
mod update;
mod variables;
mod version;
mod words;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use context::{Context, Environment};
use error::{Problem, Read};
use layers::{File, Layers, Scope, Unread};
use node::{Node, Span, Value};
use profiles::Whole;
use source::{Input, Sources, absolute};

pub use config::{Config, config};
pub use error::{ComposeError, ComposeErrorKind, Finding, Place, Warning};
pub use outline::{Outline, outline};
pub use scalar::{parse_bytes, parse_duration};
pub use select::{select, select_services};
pub use suggest::nearest;

use crate::model::{InvalidName, Project, ProjectName};

const NEEDS_SERVICES: &str = "it needs `services:` with at least one service in it";

/// What to load, and the surroundings it is loaded in.
#[derive(Debug, Clone, Default)]
pub struct LoadRequest {
    /// `-f`, each merged over those before it; without any the files are looked for in `folder` and above, by compose's
    /// names. `-` is the standard input.
    pub files: Vec<PathBuf>,
    pub folder: PathBuf,
    /// `--project-directory`: where relative paths start, instead of the first file's folder.
    pub project_folder: Option<PathBuf>,
    /// `--env-file`, instead of `.env` beside the compose file; a later one wins.
    pub env_files: Vec<PathBuf>,
    /// `--profile`
    pub profiles: Vec<String>,
    /// The services named on the command line, which take part whatever their profiles are.
    pub named: Vec<String>,
    /// `-p` or `COMPOSE_PROJECT_NAME`; wins over the file's `name`.
    pub project_name: Option<String>,
    /// The process' variables; they win over those of `.env` beside the compose file.
    pub env: BTreeMap<String, String>,
    /// The text of one more file, merged over all others: what `init` proposes.
    pub overlay: Option<String>,
}

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
    let project = model.read()?;
    let environment = model.environment.all();
    Ok(Loaded { project, file: model.file, warnings: model.warnings, profiles: model.profiles, environment })
}

/// The merged tree of a project, with all that it takes to read or print it.
struct Model {
    root: Node,
    sources: Sources,
    environment: Environment,
    folder: PathBuf,
    name: ProjectName,
    file: PathBuf,
    files: Vec<PathBuf>,
    warnings: Vec<Warning>,
    profiles: Vec<String>,
    whole: Whole,
}

impl Model {
    /// Gives the tree its meaning.
    fn read(&mut self) -> Result<Project, ComposeError> {
        let (project, problems) = self.try_read();
        // Without an app nothing is ever deployed, so what a deploy would not do is no reason to refuse the file.
        let harmless = |project: &Project| project.apps.is_empty() && problems.iter().all(|found| found.unsupported);
        match project {
            Some(project) if problems.is_empty() || harmless(&project) => {
                self.warn(problems);
                Ok(project)
            }
            _ => Err(ComposeError::invalid(&self.sources, problems)),
        }
    }

    /// What is extended by several services is said once.
    fn warn(&mut self, problems: Vec<Problem>) {
        for problem in problems {
            let warning = self.sources.warning(problem);
            if !self.warnings.contains(&warning) {
                self.warnings.push(warning);
            }
        }
    }

    /// The project, which is complete when there are no problems; warnings are added to the model's.
    fn try_read(&mut self) -> (Option<Project>, Vec<Problem>) {
        let mut cx = Context::new(&self.environment, &self.folder, &self.name);
        cx.whole.clone_from(&self.whole);
        let root = match project::root(&self.root) {
            Ok(root) => root,
            Err(problem) => return (None, vec![problem]),
        };
        let project = project::read(&mut cx, root);
        let (problems, warnings) = cx.findings();
        self.warn(warnings);
        (Some(project), problems)
    }
}

/// From the request to the merged tree.
fn resolve(request: &LoadRequest, interpolates: bool) -> Result<Model, ComposeError> {
    let from = absolute(Path::new(""), &request.folder);
    let mut environment = Environment::new(request.env.clone());
    let chosen = env_files(request, &from, &environment);
    // What lies where the user stands may name the files, so it is read first.
    let start = request.project_folder.as_ref().map_or_else(|| from.clone(), |folder| absolute(&from, folder));
    match &chosen {
        Some(files) => environment.add_files(files)?,
        None => environment.add_files(&dotenv_of(&start))?,
    }
    let (mut inputs, mut warnings) = source::find(request, &|name| environment.get(name))?;
    let listed = inputs.iter().map(Input::path).collect();
    inputs.extend(request.overlay.clone().map(Input::Overlay));
    let first = match inputs.first() {
        Some(Input::File(file)) => Some(file.clone()),
        _ => None,
    };
    let beside = first.as_ref().and_then(|file| file.parent()).map_or_else(|| from.clone(), Path::to_owned);
    let folder = if request.project_folder.is_some() { start.clone() } else { beside };
    if chosen.is_none() && folder != start {
        environment.add_files(&dotenv_of(&folder))?;
    }
    let mut layers = Layers::new(from, interpolates);
    let files = open(&mut layers, &inputs)?;
    let invalid = |layers: &Layers, problems| ComposeError::invalid(&layers.sources, problems);
    let chosen_name = request.project_name.as_deref();
    let name =
        project_name(&files, &environment, &folder, chosen_name).map_err(|problem| invalid(&layers, vec![problem]))?;
    // Compose lets the file use its own project's name.
    environment.set("COMPOSE_PROJECT_NAME", name.as_str());
    let scope = Scope { folder: &folder, environment: &environment };
    let root = layers.model(files, scope, &[]);
    let mut problems = std::mem::take(&mut layers.problems);
    let mut root = match root {
        Ok(root) if problems.is_empty() => root,
        Ok(_) => return Err(invalid(&layers, problems)),
        Err(problem) => {
            problems.push(problem);
            return Err(invalid(&layers, problems));
        }
    };
    merge::tidy(&mut root);
    unique::enforce(&mut root);
    let profiles = profiles::all(&root).into_iter().collect();
    let whole = Whole::of(&root);
    let active = active_profiles(request, &environment);
    profiles::apply(&mut root, &active, &request.named).map_err(|problems| invalid(&layers, problems))?;
    warnings.extend(layers.warnings.into_iter().map(|problem| layers.sources.warning(problem)));
    let file = first.unwrap_or_else(|| folder.clone());
    let sources = layers.sources;
    Ok(Model { root, sources, environment, folder, name, file, files: listed, warnings, profiles, whole })
}

/// `--env-file`, else `COMPOSE_ENV_FILES`; without them it is `.env`.
fn env_files(request: &LoadRequest, from: &Path, environment: &Environment) -> Option<Vec<PathBuf>> {
    let listed = environment.get("COMPOSE_ENV_FILES").unwrap_or_default();
    let files: Vec<PathBuf> = match request.env_files.is_empty() {
        true => listed.split(',').filter(|file| !file.is_empty()).map(PathBuf::from).collect(),
        false => request.env_files.clone(),
    };
    (!files.is_empty()).then(|| files.iter().map(|file| absolute(from, file)).collect())
}

fn dotenv_of(folder: &Path) -> Vec<PathBuf> {
    Some(folder.join(".env")).filter(|file| file.is_file()).into_iter().collect()
}

fn active_profiles(request: &LoadRequest, environment: &Environment) -> Vec<String> {
    let listed = environment.get("COMPOSE_PROFILES").unwrap_or_default();
    let listed = listed.split(',').map(str::trim).filter(|profile| !profile.is_empty()).map(str::to_owned);
    request.profiles.iter().cloned().chain(listed).collect()
}

fn open(layers: &mut Layers, inputs: &[Input]) -> Result<Vec<File>, ComposeError> {
    let mut files = Vec::new();
    for input in inputs {
        let (shown, read) = match input {
            Input::File(path) => (format!("`{}`", layers.shown(path)), layers.open(path)),
            Input::Overlay(text) => (
                "the override".to_owned(),
                layers.add_as("<override>".to_owned(), None, text.clone()).map_err(Unread::Text),
            ),
            Input::Stdin => {
                let text = source::read_stdin().map_err(|(kind, what, hint)| Unread::File(kind, what, hint));
                let read = text.and_then(|text| layers.add(None, text).map_err(Unread::Text));
                ("the standard input".to_owned(), read)
            }
        };
        files.push(read.map_err(|unread| match unread {
            Unread::File(kind, what, hint) => ComposeError::plain(kind, format!("{shown} {what}"), hint),
            Unread::Text(problem) => ComposeError::invalid(&layers.sources, vec![problem]),
        })?);
    }
    Ok(files)
}

/// `-p`, then the environment, then the last file's `name`, then the folder's name made fit.
fn project_name(files: &[File], environment: &Environment, folder: &Path, chosen: Option<&str>) -> Read<ProjectName> {
    let documents = || files.iter().flat_map(|file| &file.documents);
    documents().try_for_each(|document| project::root(document).map(|_| ()))?;
    let given = chosen.map(str::to_owned).or_else(|| environment.get("COMPOSE_PROJECT_NAME"));
    if let Some(text) = given.filter(|text| !text.is_empty()) {
        return text.parse().map_err(|error| bad_name(None, &error));
    }
    let named = |document: &'_ Node| document.as_map().and_then(|root| root.get("name")).cloned();
    if let Some(entry) = documents().rev().filter_map(named).find(|entry| !entry.value.is_null()) {
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
        Problem::plain(message).hint("add `name: …` at the top of the file")
    })
}

fn bad_name(span: Option<Span>, error: &InvalidName) -> Problem {
    let message = format!("`{}` is not a project name", node::clip(&error.text));
    Problem { span, ..Problem::plain(message) }.hint(format!("use {}", error.rule))
}
