//! `deploy-apps scale APP=N…`

use std::collections::BTreeMap;

use clap::Args;

use super::deploy::carry_out;
use crate::cli::common::replicas;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::compose;
use crate::model::{AppName, Project};
use crate::plan::{DeployOptions, Intent};

/// Change the number of replicas of the serving release; nothing is built, pulled or reconfigured
///
/// More replicas are started, seen healthy through the proxy and added in one flip; fewer are taken out in one flip,
/// finish their open requests and stop. 0 stops the app: its requests get 503 until it is scaled up again.
///
/// Later deploys keep the number until the compose file's own (`deploy.replicas` or `scale`) is another than it is now.
#[derive(Debug, Clone, Args)]
pub struct ScaleArgs {
    /// An app and its number of replicas, such as `go-app=4`
    #[arg(value_name = "APP=N", required = true)]
    pub counts: Vec<String>,
}

/// Scales the named apps concurrently and reports the outcome of each.
pub async fn run(context: &Context, args: &ScaleArgs) -> Result<Exit, Failure> {
    let counts = counts(&context.project, &args.counts)?;
    let apps: Vec<AppName> = counts.iter().map(|(app, _)| app.clone()).collect();
    let intent = Intent::Scale(counts.into_iter().collect::<BTreeMap<_, _>>());
    carry_out(context, &apps, DeployOptions { intent, ..DeployOptions::default() }, None).await
}

fn counts(project: &Project, words: &[String]) -> Result<Vec<(AppName, u32)>, Failure> {
    let mut counts: Vec<(AppName, u32)> = Vec::new();
    for word in words {
        let (name, number) = match word.split_once('=') {
            Some(("", _)) => return Err(usage(format!("`{word}` names no app"), "say `APP=N`, such as `go-app=2`")),
            Some((name, number)) if !number.is_empty() => (name, number),
            _ => {
                let name = word.trim_end_matches('=');
                let message = format!("`{word}` does not say how many replicas");
                return Err(usage(message, format!("`deploy-apps scale {name}=2` gives it two")));
            }
        };
        let app = compose::select(project, &[name.to_owned()])?.remove(0);
        let count = replicas(number)
            .map_err(|wanted| usage(format!("`{number}` is not a number of replicas for `{app}`"), wanted))?;
        if counts.iter().any(|(other, _)| *other == app) {
            return Err(usage(format!("app `{app}` is named twice"), "name each app once"));
        }
        counts.push((app, count));
    }
    Ok(counts)
}

fn usage(message: String, hint: impl Into<String>) -> Failure {
    Failure::new(Exit::Usage, message).hint(hint)
}
