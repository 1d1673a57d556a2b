//! Shell completions: apps from the compose file, or with only `-p` from the engine; releases from the proxy.
//!
//! The value name of an argument, such as `APP`, selects its completions, so new commands need no code here. All errors
//! give an empty answer: they must not disturb the prompt.

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

/// The user waits: later answers are useless.
const PATIENCE: Duration = Duration::from_millis(300);

/// Whether the program was called by a shell's completion. Cheap, as every start of the program calls it.
pub fn is_asked() -> bool {
    std::env::var_os(VARIABLE).is_some_and(|shell| !shell.is_empty())
}

/// Answers the shell.
pub fn answer() {
    std::panic::set_hook(Box::new(|_| {}));
    let folder = std::env::current_dir().ok();
    let answered = std::panic::catch_unwind(|| {
        CompleteEnv::with_factory(command).var(VARIABLE).try_complete(std::env::args_os(), folder.as_deref())
    });
    // An unknown shell gets no answer: `deploy-apps completions` reports that.
    drop(answered);
}

/// The grammar with the completers of its values.
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

/// The words typed so far, starting with the program's name.
fn typed() -> Vec<OsString> {
    std::env::args_os().skip_while(|word| word != "--").skip(1).collect()
}

/// The global options typed so far.
fn common() -> Option<CommonArgs> {
    let matches = Cli::command().ignore_errors(true).try_get_matches_from(typed()).ok()?;
    fn innermost(matches: &ArgMatches) -> &ArgMatches {
        matches.subcommand().map_or(matches, |(_, below)| innermost(below))
    }
    CommonArgs::from_arg_matches(innermost(&matches)).ok()
}

/// The project that the command line refers to: from its compose file, or from the engine if only a name is given.
fn project() -> Option<Project> {
    let common = common()?;
    let mut request = load_request(&common).ok()?;
    // Stdin belongs to the shell.
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

/// Apps that the command line does not name yet.
fn apps() -> Vec<CompletionCandidate> {
    let typed = typed();
    let (_, before) = typed.split_last().unzip();
    let named = |app: &AppName| before.unwrap_or_default().iter().any(|word| word == app.as_str());
    let project = project();
    let apps = project.iter().flat_map(|project| project.apps.keys()).filter(|app| !named(app));
    apps.map(|app| CompletionCandidate::new(app.as_str())).collect()
}

/// Apps with `=`; the number is not completed.
fn apps_to_scale() -> Vec<CompletionCandidate> {
    let project = project();
    let apps = project.iter().flat_map(|project| project.apps.keys());
    apps.map(|app| CompletionCandidate::new(format!("{app}="))).collect()
}

/// Names of docker contexts, from docker's files.
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

/// An app, or a release of the preceding app.
fn apps_and_releases() -> Vec<CompletionCandidate> {
    let typed = typed();
    let [.., before, current] = typed.as_slice() else { return apps() };
    let is_app = |word: &OsString| project().is_some_and(|project| project.apps.keys().any(|app| word == app.as_str()));
    // Ask the engine only if the word can be a release.
    let may_be_release = current.is_empty() || current.to_string_lossy().starts_with('r');
    let releases = if may_be_release && is_app(before) { kept_of(std::slice::from_ref(before)) } else { Vec::new() };
    releases.into_iter().chain(apps()).collect()
}

/// Releases of the apps on the command line.
fn releases() -> Vec<CompletionCandidate> {
    kept_of(&typed())
}

/// Stored releases of the apps among `words`, newest first.
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

/// Runs a request with a time limit.
fn answered<T>(question: impl Future<Output = T>) -> Option<T> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().ok()?;
    let answer = runtime.block_on(async { tokio::time::timeout(PATIENCE, question).await.ok() });
    // A hung engine must not block the shell.
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

    /// Completions are selected by the value name `APP`; this test fails for an argument for apps with another name.
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
