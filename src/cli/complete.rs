//! What a shell is told while its user types: apps from the compose file, or with `-p` alone from the engine; releases from
//! the proxy.
//!
//! Which argument means what is told by its value's name in the help, such as `APP`, so a new command completes by itself.
//! Whatever goes wrong here is an empty answer: a shell's prompt is no place for errors.

use std::ffi::OsString;
use std::time::Duration;

use clap::builder::ArgExt;
use clap::{ArgMatches, CommandFactory, FromArgMatches, ValueHint};
use clap_complete::CompleteEnv;
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};

use super::args::Cli;
use super::commands::completions::VARIABLE;
use super::commands::schema;
use super::common::CommonArgs;
use super::context::load_request;
use super::engine::{connect, control_client};
use super::memory;
use crate::compose::{self, ComposeErrorKind};
use crate::local;
use crate::model::{AppKey, AppName, Project, StoredRelease};
use crate::ports::Proxy as _;

/// A person holds the tab key: later than this is not at all.
const PATIENCE: Duration = Duration::from_millis(300);

/// Whether a shell asks. Cheap, because every start of the program comes by here.
pub fn is_asked() -> bool {
    std::env::var_os(VARIABLE).is_some_and(|shell| !shell.is_empty())
}

/// Answers the shell that has called.
pub fn answer() {
    std::panic::set_hook(Box::new(|_| {}));
    let folder = std::env::current_dir().ok();
    let answered = std::panic::catch_unwind(|| {
        CompleteEnv::with_factory(command).var(VARIABLE).try_complete(std::env::args_os(), folder.as_deref())
    });
    // Also a shell that is not known gets nothing: `deploy-apps completions` is where that is said.
    drop(answered);
}

/// The grammar, with what its values may be.
pub fn command() -> clap::Command {
    with_candidates(Cli::command())
}

fn with_candidates(command: clap::Command) -> clap::Command {
    let command = command.mut_args(|arg| {
        let names = arg.get_value_names().unwrap_or_default();
        match names.first().map(|name| name.as_str()) {
            Some("APP" | "SERVICE") => with(arg, apps),
            Some("APP=N" | "APP=REPLICAS") => with(arg, apps_to_scale),
            Some("RELEASE") => with(arg, releases),
            Some("APP [RELEASE]") => with(arg, apps_and_releases),
            Some("CONTEXT") => with(arg, contexts),
            Some("SCHEMA") => with(arg, || schema::names().map(CompletionCandidate::new).collect()),
            Some("FILE") => arg.value_hint(ValueHint::FilePath),
            Some("FOLDER" | "DIR") => arg.value_hint(ValueHint::DirPath),
            _ => arg,
        }
    });
    command.mut_subcommands(with_candidates)
}

fn with(arg: clap::Arg, candidates: fn() -> Vec<CompletionCandidate>) -> clap::Arg {
    fn add(arg: clap::Arg, extension: impl ArgExt + Clone + Send + Sync + 'static) -> clap::Arg {
        arg.add(extension)
    }
    add(arg, ArgValueCandidates::new(candidates))
}

/// What has been typed so far, the program's name first.
fn typed() -> Vec<OsString> {
    std::env::args_os().skip_while(|word| word != "--").skip(1).collect()
}

/// The options that every command takes, as far as they are typed.
fn common() -> Option<CommonArgs> {
    let matches = Cli::command().ignore_errors(true).try_get_matches_from(typed()).ok()?;
    fn innermost(matches: &ArgMatches) -> &ArgMatches {
        matches.subcommand().map_or(matches, |(_, below)| innermost(below))
    }
    CommonArgs::from_arg_matches(innermost(&matches)).ok()
}

/// The project that the line means: of its compose file, or, where only a name is given, as the engine remembers it.
fn project() -> Option<Project> {
    let common = common()?;
    let mut request = load_request(&common).ok()?;
    // The standard input is the shell's.
    request.files.retain(|file| file.as_os_str() != "-");
    request.without_git = true;
    match compose::load(&request) {
        Ok(loaded) => Some(loaded.project),
        Err(error) if error.kind == ComposeErrorKind::NoFile => {
            let name = common.project_name.clone().or_else(|| std::env::var("COMPOSE_PROJECT_NAME").ok())?;
            let name = name.parse().ok()?;
            answered(async { memory::project(&connect(&common).await.ok()?, &name).await.ok() }).flatten()
        }
        Err(_) => None,
    }
}

/// Apps that are not named yet.
fn apps() -> Vec<CompletionCandidate> {
    let typed = typed();
    let (_, before) = typed.split_last().unzip();
    let named = |app: &AppName| before.unwrap_or_default().iter().any(|word| word == app.as_str());
    let project = project();
    let apps = project.iter().flat_map(|project| project.apps.keys()).filter(|app| !named(app));
    apps.map(|app| CompletionCandidate::new(app.as_str())).collect()
}

/// The number is for the user to say.
fn apps_to_scale() -> Vec<CompletionCandidate> {
    let project = project();
    let apps = project.iter().flat_map(|project| project.apps.keys());
    apps.map(|app| CompletionCandidate::new(format!("{app}="))).collect()
}

/// Docker's contexts, by the names in its own files.
fn contexts() -> Vec<CompletionCandidate> {
    let config = std::env::var_os("DOCKER_CONFIG").map(std::path::PathBuf::from);
    let config = config.or_else(|| Some(std::env::home_dir()?.join(".docker")));
    let folders = config.and_then(|config| std::fs::read_dir(config.join("contexts/meta")).ok());
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        let text = local::bytes(&entry.ok()?.path().join("meta.json"), 1 << 20).ok()?;
        let meta: serde_json::Value = serde_json::from_slice(&text).ok()?;
        meta["Name"].as_str().map(str::to_owned)
    };
    let known = folders.into_iter().flatten().filter_map(name);
    std::iter::once("default".to_owned()).chain(known).map(CompletionCandidate::new).collect()
}

/// An app, or a release of the app before it.
fn apps_and_releases() -> Vec<CompletionCandidate> {
    let typed = typed();
    let [.., before, current] = typed.as_slice() else { return apps() };
    let is_app = |word: &OsString| project().is_some_and(|project| project.apps.keys().any(|app| word == app.as_str()));
    // The engine is only asked where its answer may be meant.
    let may_be_release = current.is_empty() || current.to_string_lossy().starts_with('r');
    let releases = if may_be_release && is_app(before) { kept_of(std::slice::from_ref(before)) } else { Vec::new() };
    releases.into_iter().chain(apps()).collect()
}

/// Releases of the apps that are named on the line.
fn releases() -> Vec<CompletionCandidate> {
    kept_of(&typed())
}

/// Releases that the proxy keeps of the apps among these words, newest first.
fn kept_of(words: &[OsString]) -> Vec<CompletionCandidate> {
    let asked = || {
        let (common, project) = (common()?, project()?);
        let named = project.apps.keys().filter(|app| words.iter().any(|word| word == app.as_str()));
        let named: Vec<AppName> = named.cloned().collect();
        answered(kept(&common, &project, &named))
    };
    let candidate = |release: StoredRelease| {
        CompletionCandidate::new(release.number.to_string()).help(Some(release.version.into()))
    };
    asked().unwrap_or_default().into_iter().map(candidate).collect()
}

/// What the engine answers in time.
fn answered<T>(question: impl Future<Output = T>) -> Option<T> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().ok()?;
    let answer = runtime.block_on(async { tokio::time::timeout(PATIENCE, question).await.ok() });
    // An engine that hangs must not hold the shell.
    runtime.shutdown_background();
    answer
}

async fn kept(common: &CommonArgs, project: &Project, apps: &[AppName]) -> Vec<StoredRelease> {
    let Ok(engine) = connect(common).await else { return Vec::new() };
    let proxy = control_client(&engine, &project.proxy.name);
    let keys: Vec<AppKey> = apps.iter().map(|app| project.key(app)).collect();
    proxy.releases(&keys).await.unwrap_or_default().into_values().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever names a value `APP` gets completions; whoever calls it otherwise is reminded here.
    #[test]
    fn every_argument_for_apps_completes() {
        fn walk(command: &clap::Command, found: &mut usize) {
            for arg in command.get_arguments().filter(|arg| matches!(arg.get_id().as_str(), "app" | "apps")) {
                assert!(arg.get::<ArgValueCandidates>().is_some(), "`{}`: {arg:?}", command.get_name());
                *found += 1;
            }
            command.get_subcommands().for_each(|below| walk(below, found));
        }
        let mut found = 0;
        walk(&command(), &mut found);
        assert!(found >= 3, "{found}");
    }

    #[test]
    fn the_grammar_is_sound() {
        command().debug_assert();
    }
}
