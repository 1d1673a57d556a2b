//! State shared by all readers: the file, the variables and the collected problems.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use indexmap::IndexMap;

use super::error::{ComposeError, ComposeErrorKind, Finding, Missing, Problem, Read, Warning};
use super::merge::profiles::Whole;
use super::merge::source::{self, absolute};
use super::text::dotenv;
use crate::model::{AppName, ProjectName};

/// The variables of a run. Those of the process take precedence over `.env`.
#[derive(Debug, Clone, Default)]
pub(super) struct Environment {
    process: BTreeMap<String, String>,
    dotenv: IndexMap<String, String>,
    unset: Vec<Warning>,
}

/// A warning for a variable that is used in an env file and has no value.
pub(super) fn unset_in(file: &Path, line: usize, name: &str) -> Warning {
    let message = format!("{}:{line}: variable `{name}` is not set, so it is empty", file.display());
    let hint = format!("set it, write `$$` or single quotes for a dollar sign, or give it a default: `${{{name}:-…}}`");
    Warning(Finding { message, place: None, hint: Some(hint) })
}

impl Environment {
    pub fn new(process: BTreeMap<String, String>) -> Self {
        Self { process, ..Self::default() }
    }

    /// Adds variables from files unless they are already set; a later file takes precedence over an earlier one.
    ///
    /// # Errors
    /// When a file cannot be read or parsed.
    pub fn add_files(&mut self, files: &[PathBuf]) -> Result<(), ComposeError> {
        let mut added: IndexMap<String, String> = IndexMap::new();
        for file in files {
            let text = source::read_named(file).map_err(|(kind, what, hint)| {
                ComposeError::plain(kind, format!("`{}` {what}", file.display()), hint)
            })?;
            let known = |name: &str| self.get(name).or_else(|| added.get(name).cloned());
            let (read, unset) = dotenv::parse(&text, &known).map_err(|bad| {
                let message = format!("{}:{}: {}", file.display(), bad.line, bad.message);
                ComposeError::plain(ComposeErrorKind::Invalid, message, bad.hint)
            })?;
            let warnings = unset.into_iter().map(|(name, line)| unset_in(file, line, &name));
            self.unset.extend(warnings.filter(|warning| !self.unset.contains(warning)).collect::<Vec<_>>());
            added.extend(read);
        }
        for (name, value) in added {
            self.dotenv.entry(name).or_insert(value);
        }
        Ok(())
    }

    /// Adopts compose's own settings (`COMPOSE_*`) from an env file.
    pub fn add_settings(&mut self, other: &Self) {
        for (name, value) in other.dotenv.iter().filter(|(name, _)| name.starts_with("COMPOSE_")) {
            self.dotenv.entry(name.clone()).or_insert_with(|| value.clone());
        }
    }

    /// Names that were used in env files without a value, without duplicates.
    pub fn take_unset(&mut self) -> Vec<Warning> {
        std::mem::take(&mut self.unset)
    }

    /// All variables, sorted by name.
    pub fn all(&self) -> BTreeMap<String, String> {
        let mut all: BTreeMap<String, String> = self.dotenv.clone().into_iter().collect();
        all.extend(self.process.clone());
        all
    }

    pub fn get(&self, name: &str) -> Option<String> {
        self.process.get(name).or_else(|| self.dotenv.get(name)).cloned()
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.process.insert(name.to_owned(), value.to_owned());
    }
}

pub(super) struct Context<'a> {
    pub environment: &'a Environment,
    /// The compose file's folder, absolute.
    pub folder: &'a Path,
    pub project: &'a ProjectName,
    pub whole: Whole,
    pub without_git: bool,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
    /// Caches `git describe`, which gives the same result for all apps of a folder.
    described: RefCell<HashMap<PathBuf, Option<String>>>,
}

impl<'a> Context<'a> {
    pub fn new(environment: &'a Environment, folder: &'a Path, project: &'a ProjectName) -> Self {
        let described = RefCell::default();
        Self {
            environment,
            folder,
            project,
            whole: Whole::default(),
            without_git: false,
            problems: Vec::new(),
            warnings: Vec::new(),
            described,
        }
    }

    pub fn refuse(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    pub fn warn(&mut self, problem: Problem) {
        self.warnings.push(problem);
    }

    /// The value, or `None` after recording the problem, so that one run reports all problems.
    pub fn keep<T>(&mut self, read: Read<T>) -> Option<T> {
        read.map_err(|problem| self.refuse(problem)).ok()
    }

    /// The number of problems.
    pub fn count(&self) -> usize {
        self.problems.len()
    }

    /// Marks the missing values recorded since then as those of `service`.
    pub fn values_are_of(&mut self, since: usize, service: &AppName) {
        for problem in self.problems.iter_mut().skip(since).filter(|problem| problem.missing == Missing::Value) {
            problem.missing = Missing::ValueOf(service.clone());
        }
    }

    pub fn set<T>(&mut self, slot: &mut T, read: Read<T>) {
        if let Some(value) = self.keep(read) {
            *slot = value;
        }
    }

    pub fn set_some<T>(&mut self, slot: &mut Option<T>, read: Read<T>) {
        if let Some(value) = self.keep(read) {
            *slot = Some(value);
        }
    }

    pub fn findings(self) -> (Vec<Problem>, Vec<Problem>) {
        (self.problems, self.warnings)
    }

    /// Resolves a path of the file: relative paths start at its folder, `~` is the user's home.
    pub fn path(&self, text: &str) -> PathBuf {
        let home = || self.environment.get("HOME").unwrap_or_else(|| "~".to_owned());
        match text.strip_prefix('~') {
            Some("") => absolute(self.folder, Path::new(&home())),
            Some(rest) if rest.starts_with('/') => absolute(self.folder, Path::new(&(home() + rest))),
            _ => absolute(self.folder, Path::new(text)),
        }
    }

    /// The cached result of `describe` for a folder.
    pub fn described(&self, folder: &Path, describe: impl FnOnce(&Path) -> Option<String>) -> Option<String> {
        if self.without_git {
            return None;
        }
        self.described.borrow_mut().entry(folder.to_owned()).or_insert_with(|| describe(folder)).clone()
    }
}
