//! What every reader shares: the file, the variables, and where findings go.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use indexmap::IndexMap;

use super::dotenv;
use super::error::{ComposeError, ComposeErrorKind, Problem, Read};
use super::source::{self, absolute};
use crate::model::ProjectName;

/// The variables of a run: the process' own, over those of `.env`.
#[derive(Debug, Clone, Default)]
pub(super) struct Environment {
    process: BTreeMap<String, String>,
    dotenv: IndexMap<String, String>,
}

impl Environment {
    pub fn load(process: BTreeMap<String, String>, folder: &Path) -> Result<Self, ComposeError> {
        let file = folder.join(".env");
        if !file.is_file() {
            return Ok(Self { process, dotenv: IndexMap::new() });
        }
        let invalid = |kind, message: String, hint: String| ComposeError::plain(kind, message, hint);
        let text = source::read(&file)
            .map_err(|(kind, what, hint)| invalid(kind, format!("`{}` {what}", file.display()), hint))?;
        let dotenv = dotenv::parse(&text, &|name| process.get(name).cloned()).map_err(|bad| {
            invalid(ComposeErrorKind::Invalid, format!("{}:{}: {}", file.display(), bad.line, bad.message), bad.hint)
        })?;
        Ok(Self { process, dotenv })
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
    /// That of the compose file, absolute.
    pub folder: &'a Path,
    pub project: &'a ProjectName,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
    /// One `git describe` is enough for all apps.
    described: RefCell<HashMap<PathBuf, Option<String>>>,
}

impl<'a> Context<'a> {
    pub fn new(environment: &'a Environment, folder: &'a Path, project: &'a ProjectName) -> Self {
        let described = RefCell::default();
        Self { environment, folder, project, problems: Vec::new(), warnings: Vec::new(), described }
    }

    pub fn refuse(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    pub fn warn(&mut self, problem: Problem) {
        self.warnings.push(problem);
    }

    /// The value, or nothing after noting the problem: so one run reports all that is wrong.
    pub fn keep<T>(&mut self, read: Read<T>) -> Option<T> {
        read.map_err(|problem| self.refuse(problem)).ok()
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

    /// A path of the file: relative ones start at its folder, `~` is the user's home.
    pub fn path(&self, text: &str) -> PathBuf {
        let home = || self.environment.get("HOME").unwrap_or_else(|| "~".to_owned());
        match text.strip_prefix('~') {
            Some("") => absolute(self.folder, Path::new(&home())),
            Some(rest) if rest.starts_with('/') => absolute(self.folder, Path::new(&(home() + rest))),
            _ => absolute(self.folder, Path::new(text)),
        }
    }

    /// What `describe` says of a folder, asked once.
    pub fn described(&self, folder: &Path, describe: impl FnOnce(&Path) -> Option<String>) -> Option<String> {
        self.described.borrow_mut().entry(folder.to_owned()).or_insert_with(|| describe(folder)).clone()
    }
}
