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
mod empty;
mod env_files;
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

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use context::{Context, Environment};
use error::{Missing, Problem, Read};
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

use crate::model::{AppName, InvalidName, Project, ProjectName};

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
    /// Whose values must be here.
    pub needs: Needs,
    /// No program is run to find a version: for a shell that waits for completions.
    pub without_git: bool,
}

/// Which services' values must be here: an env file, or the file of a secret, may be on another machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Needs {
    #[default]
    All,
    /// Of these services, and of those that they depend on.
    Of(Vec<String>),
    /// Of none: nothing is made of the files.
    None,
}

impl Needs {
    fn covers(&self, project: &Project, service: &AppName) -> bool {
        let named = match self {
            Self::All => return true,
            Self::None => return false,
            Self::Of(named) => named,
        };
        let mut reached: BTreeSet<&str> = named.iter().map(String::as_str).collect();
        let mut next: Vec<&str> = reached.iter().copied().collect();
        while let Some(name) = next.pop() {
            let app = project.apps.iter().find(|(known, _)| known.as_str() == name).map(|(_, app)| &app.service);
            let found = app.or_else(|| {
                let accessory = project.accessories.iter().find(|(known, _)| known.as_str() == name);
                accessory.map(|(_, accessory)| &accessory.service)
            });
            let dependencies = found.into_iter().flat_map(|service| &service.depends_on);
            next.extend(dependencies.map(|dependency| dependency.service.as_str()).filter(|name| reached.insert(name)));
        }
        reached.contains(service.as_str())
    }
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
    let project = model.read(&request.needs)?;
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
    without_git: bool,
}

impl Model {
    /// Gives the tree its meaning.
    fn read(&mut self, needs: &Needs) -> Result<Project, ComposeError> {
        let (project, mut problems) = self.try_read();
        if let Some(project) = &project {
            let (harmless, rest) = problems.into_iter().partition(|problem| match &problem.missing {
                Missing::ValueOf(service) => !needs.covers(project, service),
                Missing::Nothing | Missing::Value => false,
            });
            self.warn(harmless);
            problems = rest;
        }
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
        cx.without_git = self.without_git;
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
    let chosen = env_files::read_first(request, &from, &mut environment)?;
    let (mut inputs, mut warnings) = source::find(request, &|name| environment.get(name))?;
    let listed = inputs.iter().map(Input::path).collect();
    inputs.extend(request.overlay.clone().map(Input::Overlay));
    let first = inputs.iter().find_map(|input| match input {
        Input::File(file) => Some(file.clone()),
        Input::Stdin | Input::Overlay(_) => None,
    });
    let beside = first.as_ref().and_then(|file| file.parent()).map_or_else(|| from.clone(), Path::to_owned);
    let folder = request.project_folder.as_ref().map_or(beside, |folder| absolute(&from, folder));
    env_files::read_beside(&chosen, &folder, &mut environment)?;
    warnings.extend(environment.take_unset());
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
    if interpolates {
        empty::take_out(&mut root);
    }
    let profiles = profiles::all(&root).into_iter().filter(|profile| !profile.is_empty()).collect();
    let whole = Whole::of(&root);
    let active = active_profiles(request, &environment);
    profiles::apply(&mut root, &active, &request.named).map_err(|problems| invalid(&layers, problems))?;
    warnings.extend(layers.warnings.into_iter().map(|problem| layers.sources.warning(problem)));
    let file = first.unwrap_or_else(|| folder.clone());
    let sources = layers.sources;
    let without_git = request.without_git;
    Ok(Model { root, sources, environment, folder, name, file, files: listed, warnings, profiles, whole, without_git })
}

/// `--profile`, else `COMPOSE_PROFILES`: what the command line says takes the place of what the environment says.
fn active_profiles(request: &LoadRequest, environment: &Environment) -> Vec<String> {
    let listed = environment.get("COMPOSE_PROFILES").unwrap_or_default();
    // Without any, what is left is the empty one: a service whose profiles are all empty takes part.
    let listed = listed.split(',').map(|profile| profile.trim().to_owned());
    if request.profiles.is_empty() { listed.collect() } else { request.profiles.clone() }
}

fn open(layers: &mut Layers, inputs: &[Input]) -> Result<Vec<File>, ComposeError> {
    let mut files = Vec::new();
    for input in inputs {
        let (shown, read) = match input {
            Input::File(path) => (format!("`{}`", layers.shown(path)), layers.open_main(path)),
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

/// `-p`, then the environment, then the last file's `name` or else the folder's, made fit as compose does.
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
        let name = normalized(&text);
        return name.parse().map_err(|error| match name.is_empty() {
            true => bad_name(Some(entry.value.span), &InvalidName { text, ..error }),
            false => bad_name(Some(entry.value.span), &error),
        });
    }
    let name = normalized(&folder.file_name().unwrap_or_default().to_string_lossy());
    name.parse().map_err(|_| {
        let folder = folder.display();
        let message = if name.is_empty() {
            format!("folder `{folder}` gives no project name")
        } else {
            format!("folder `{folder}` gives a project name of {} characters, and at most 40 are possible", name.len())
        };
        Problem::plain(message).hint("add `name: …` at the top of the file, or use `-p NAME`")
    })
}

/// As compose makes a name fit for a project.
fn normalized(text: &str) -> String {
    let fit = |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    text.to_lowercase().chars().filter(fit).collect::<String>().trim_start_matches(['-', '_']).to_owned()
}

fn bad_name(span: Option<Span>, error: &InvalidName) -> Problem {
    let message = format!("`{}` is not a project name", node::clip(&error.text));
    Problem { span, ..Problem::plain(message) }.hint(format!("use {}", error.rule))
}
