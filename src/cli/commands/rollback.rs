//! `deploy-apps rollback APP [RELEASE]…`

use std::collections::BTreeMap;

use clap::Args;

use super::deploy::carry_out;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::compose;
use crate::model::{AppName, Project, ReleaseNumber};
use crate::plan::{DeployOptions, Intent};

/// Roll back to an earlier release, with its image and its configuration
///
/// Without a release it is the one that served before the present one. It comes back under its own number, from what
/// the proxy and the engine have kept: nothing is built or pulled, so it works with a broken build and without a
/// registry. Routes, number of replicas, drain and rollout are those of the compose file as it is now. The release is
/// started, seen healthy and flipped to as in a deploy; on failure all is as before.
///
/// `deploy-apps APP` deploys what the compose file says again.
#[derive(Debug, Clone, Args)]
pub struct RollbackArgs {
    /// The apps, each with a release behind it or without: `go-app`, `go-app r7`, `go-app=r7`
    #[arg(value_name = "APP [RELEASE]", required = true)]
    pub words: Vec<String>,
    /// The release to go back to, for a single app
    #[arg(long, value_name = "RELEASE", value_parser = release)]
    pub to: Option<ReleaseNumber>,
    /// Flip all named apps in one call, or none of them
    #[arg(long)]
    pub atomic: bool,
    /// Run the release command that the release had once more before the flip
    #[arg(long)]
    pub release_command: bool,
}

/// Rolls the named apps back concurrently and reports the outcome of each.
pub async fn run(context: &Context, args: &RollbackArgs) -> Result<Exit, Failure> {
    let mut wanted = wanted(&context.project, &args.words)?;
    if let Some(to) = args.to {
        match &mut wanted[..] {
            [(_, release @ None)] => *release = Some(to),
            _ => {
                let hint = "name the release behind each app: `deploy-apps rollback go-app r7 node-app r3`";
                return Err(usage("`--to` is for one app without another release".to_owned(), hint));
            }
        }
    }
    let apps: Vec<AppName> = wanted.iter().map(|(app, _)| app.clone()).collect();
    let to: BTreeMap<_, _> = wanted.into_iter().filter_map(|(app, release)| Some((app, release?))).collect();
    let intent = Intent::Rollback { to, release_command: args.release_command };
    carry_out(context, &apps, DeployOptions { intent, atomic: args.atomic, ..DeployOptions::default() }, None).await
}

type Wanted = Vec<(AppName, Option<ReleaseNumber>)>;

/// A release belongs to the app before it.
fn wanted(project: &Project, words: &[String]) -> Result<Wanted, Failure> {
    let mut wanted: Wanted = Vec::new();
    for word in words {
        let is_app = project.apps.keys().any(|app| app.as_str() == word);
        match (release(word), wanted.last_mut()) {
            (Ok(_), Some((app, None))) if is_app => {
                let hint = format!("say `{app}={word}` for the release, or name the app `{word}` first");
                return Err(usage(format!("`{word}` is a release of `{app}` as well as an app"), hint));
            }
            (Ok(release), Some((_, found @ None))) if !is_app => *found = Some(release),
            (Ok(_), Some((app, Some(_)))) if !is_app => {
                return Err(usage(format!("app `{app}` has two releases behind it"), "name one"));
            }
            (Ok(_), None) if !is_app => {
                let hint = format!("`deploy-apps rollback APP {word}`");
                return Err(usage(format!("release `{word}` stands before any app"), hint));
            }
            _ => wanted.push(named(project, word)?),
        }
        let (last, before) = match wanted.split_last() {
            Some(((app, _), before)) => (app, before),
            None => continue,
        };
        if before.iter().any(|(app, _)| app == last) {
            return Err(usage(format!("app `{last}` is named twice"), "name each app once"));
        }
    }
    Ok(wanted)
}

/// `go-app` or `go-app=r7`.
fn named(project: &Project, word: &str) -> Result<(AppName, Option<ReleaseNumber>), Failure> {
    let (name, number) = word.split_once('=').map_or((word, None), |(name, number)| (name, Some(number)));
    let app = compose::select(project, &[name.to_owned()])?.remove(0);
    let release = number.map(release).transpose().map_err(|wanted| {
        let number = number.unwrap_or_default();
        usage(format!("`{number}` is not a release of `{app}`"), wanted)
    })?;
    Ok((app, release))
}

fn usage(message: String, hint: impl Into<String>) -> Failure {
    Failure::new(Exit::Usage, message).hint(hint)
}

/// `r7` or `7`, or an error that says what is expected.
fn release(text: &str) -> Result<ReleaseNumber, String> {
    let number = text.strip_prefix('r').unwrap_or(text);
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.then(|| number.parse().ok()).flatten();
    number.map(ReleaseNumber).ok_or_else(|| "give its number, such as `r7`".to_owned())
}
