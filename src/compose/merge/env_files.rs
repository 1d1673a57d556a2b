//! Selects the env files of a run like compose: `--env-file`, `COMPOSE_ENV_FILES`, or `.env`.

use std::path::{Path, PathBuf};

use super::source::absolute;
use crate::compose::context::Environment;
use crate::compose::error::{ComposeError, ComposeErrorKind};
use crate::compose::request::LoadRequest;

/// The selection before the compose files are found.
pub(in crate::compose) enum Chosen {
    /// Named by the user; `.env` is not read.
    Named,
    /// The `.env` of this folder was read.
    Default(PathBuf),
    /// `COMPOSE_DISABLE_ENV_FILE`
    None,
}

/// Reads the env files that may set the location of the compose files.
pub(in crate::compose) fn read_first(
    request: &LoadRequest,
    from: &Path,
    environment: &mut Environment,
) -> Result<Chosen, ComposeError> {
    let home = environment.get("HOME");
    let named = |files: &[PathBuf]| -> Vec<PathBuf> {
        files.iter().map(|file| absolute(from, &expanded(file, home.as_deref()))).collect()
    };
    if !request.env_files.is_empty() {
        environment.add_files(&named(&request.env_files))?;
        return Ok(Chosen::Named);
    }
    if let Some(files) = listed(environment) {
        environment.add_files(&named(&files))?;
        return Ok(Chosen::Named);
    }
    if is_disabled(environment)? {
        return Ok(Chosen::None);
    }
    let start = start(request, from);
    let files = beside(&start);
    // That file may name others, which then replace it; it still sets compose's own settings.
    let mut own = environment.clone();
    own.add_files(&files)?;
    let Some(others) = listed(&own) else {
        *environment = own;
        return Ok(Chosen::Default(start));
    };
    environment.add_settings(&own);
    environment.add_files(&named(&others))?;
    Ok(Chosen::Named)
}

/// Reads `.env` in the project's folder, if that is another folder.
pub(in crate::compose) fn read_beside(
    chosen: &Chosen,
    folder: &Path,
    environment: &mut Environment,
) -> Result<(), ComposeError> {
    match chosen {
        Chosen::Default(start) if start != folder => environment.add_files(&beside(folder)),
        _ => Ok(()),
    }
}

/// In compose's order: the project directory, the folder of the first named file, the current folder.
fn start(request: &LoadRequest, from: &Path) -> PathBuf {
    if let Some(folder) = &request.project_folder {
        return absolute(from, folder);
    }
    let first = request.files.iter().find(|file| file.as_os_str() != "-").map(|file| absolute(from, file));
    first.and_then(|file| file.parent().map(Path::to_owned)).unwrap_or_else(|| from.to_owned())
}

fn listed(environment: &Environment) -> Option<Vec<PathBuf>> {
    let text = environment.get("COMPOSE_ENV_FILES")?;
    let files: Vec<PathBuf> = text.split(',').filter(|file| !file.is_empty()).map(PathBuf::from).collect();
    (!files.is_empty()).then_some(files)
}

/// A shell expands `~` in `--env-file ~/x`, but not in `--env-file=~/x`.
fn expanded(file: &Path, home: Option<&str>) -> PathBuf {
    match (file.strip_prefix("~"), home) {
        (Ok(rest), Some(home)) => Path::new(home).join(rest),
        _ => file.to_owned(),
    }
}

fn is_disabled(environment: &Environment) -> Result<bool, ComposeError> {
    const NAME: &str = "COMPOSE_DISABLE_ENV_FILE";
    match environment.get(NAME).as_deref() {
        None | Some("0" | "f" | "F" | "false" | "False" | "FALSE") => Ok(false),
        Some("1" | "t" | "T" | "true" | "True" | "TRUE") => Ok(true),
        Some(other) => Err(ComposeError::plain(
            ComposeErrorKind::Invalid,
            format!("`{NAME}` must be `true` or `false`, not `{}`", crate::compose::text::node::clip(other)),
            format!("`unset {NAME}`, or give it one of these values"),
        )),
    }
}

/// Any `.env` except a folder: if it is unreadable, that is an error.
fn beside(folder: &Path) -> Vec<PathBuf> {
    Some(folder.join(".env")).filter(|file| file.exists() && !file.is_dir()).into_iter().collect()
}
