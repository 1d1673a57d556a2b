//! From a request to the merged tree, and from the tree to a project.

use std::path::{Path, PathBuf};

use super::context::{Context, Environment};
use super::error::{ComposeError, Missing, Problem, Warning};
use super::merge::empty_values;
use super::merge::env_files;
use super::merge::item_keys;
use super::merge::layers::{File, Layers, Scope, Unread};
use super::merge::profiles::{self, Whole};
use super::merge::project_name::project_name;
use super::merge::rules;
use super::merge::source::{self, Input, absolute};
use super::read::project;
use super::request::{LoadRequest, Needs};
use super::text::node::Node;
use super::text::root;
use super::text::sources::Sources;
use crate::model::{Project, ProjectName};

/// The merged tree of a project, with the state needed to read or print it.
pub(super) struct Model {
    pub(super) root: Node,
    pub(super) sources: Sources,
    pub(super) environment: Environment,
    pub(super) folder: PathBuf,
    pub(super) name: ProjectName,
    pub(super) file: PathBuf,
    pub(super) files: Vec<PathBuf>,
    pub(super) warnings: Vec<Warning>,
    pub(super) profiles: Vec<String>,
    pub(super) whole: Whole,
    pub(super) without_git: bool,
}

impl Model {
    /// Converts the tree to a project.
    pub(super) fn read(&mut self, needs: &Needs) -> Result<Project, ComposeError> {
        let (project, mut problems) = self.try_read();
        if let Some(project) = &project {
            let (harmless, rest) = problems.into_iter().partition(|problem| match &problem.missing {
                Missing::ValueOf(service) => !needs.covers(project, service),
                Missing::Nothing | Missing::Value => false,
            });
            self.warn(harmless);
            problems = rest;
        }
        // Without an app nothing is ever deployed, so unsupported keys are no reason to refuse the file.
        let harmless = |project: &Project| project.apps.is_empty() && problems.iter().all(|found| found.unsupported);
        match project {
            Some(project) if problems.is_empty() || harmless(&project) => {
                self.warn(problems);
                Ok(project)
            }
            _ => Err(self.sources.invalid(problems)),
        }
    }

    /// Adds warnings. A base that several services extend is reported once.
    pub(super) fn warn(&mut self, problems: Vec<Problem>) {
        for problem in problems {
            let warning = self.sources.warning(problem);
            if !self.warnings.contains(&warning) {
                self.warnings.push(warning);
            }
        }
    }

    /// Reads the project, which is complete only if there are no problems; warnings are added to the model's.
    pub(super) fn try_read(&mut self) -> (Option<Project>, Vec<Problem>) {
        let mut cx = Context::new(&self.environment, &self.folder, &self.name);
        cx.whole.clone_from(&self.whole);
        cx.without_git = self.without_git;
        let root = match root::entries(&self.root) {
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
pub(super) fn resolve(request: &LoadRequest, interpolates: bool) -> Result<Model, ComposeError> {
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
    let invalid = |layers: &Layers, problems| layers.sources.invalid(problems);
    let chosen_name = request.project_name.as_deref();
    let name =
        project_name(&files, &environment, &folder, chosen_name).map_err(|problem| invalid(&layers, vec![problem]))?;
    // Compose provides the project's name as a variable.
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
    rules::strip_tags(&mut root);
    item_keys::enforce(&mut root);
    if interpolates {
        empty_values::take_out(&mut root);
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

/// `--profile`, or else `COMPOSE_PROFILES`.
fn active_profiles(request: &LoadRequest, environment: &Environment) -> Vec<String> {
    let listed = environment.get("COMPOSE_PROFILES").unwrap_or_default();
    // Without profiles the empty profile is active: a service whose profiles are all empty takes part.
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
            Unread::Text(problem) => layers.sources.invalid(vec![problem]),
        })?);
    }
    Ok(files)
}
