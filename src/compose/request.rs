//! What to load, and from where.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::model::{AppName, Project};

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
    pub(super) fn covers(&self, project: &Project, service: &AppName) -> bool {
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
