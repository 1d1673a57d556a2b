//! `deploy-apps APP…`

use clap::Args;

use super::scale::replicas;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::compose;
use crate::model::AppName;
use crate::plan::{DeployOptions, Intent};
use crate::rollout::{DeployRequest, deploy};

#[derive(Debug, Clone, Args)]
pub struct DeployArgs {
    #[command(flatten)]
    pub wish: WishArgs,
}

/// What a deploy is asked for; `plan` is asked the same.
#[derive(Debug, Clone, Args)]
pub struct WishArgs {
    /// The apps to deploy
    #[arg(value_name = "APP")]
    pub apps: Vec<String>,
    /// Deploy every app of the compose file
    #[arg(long, conflicts_with = "apps")]
    pub all: bool,
    /// Redeploy also what has not changed
    #[arg(long)]
    pub force: bool,
    /// Flip all named apps in one call, or none of them
    #[arg(long)]
    pub atomic: bool,
    /// Scale to this number of replicas at the same time, as `scale` would
    #[arg(long, value_name = "N", value_parser = replicas, allow_hyphen_values = true)]
    pub replicas: Option<u32>,
}

impl WishArgs {
    pub fn options(&self) -> DeployOptions {
        DeployOptions { force: self.force, atomic: self.atomic, replicas: self.replicas, intent: Intent::Deploy }
    }
}

/// Deploys the named apps and says how each ended.
pub async fn run(context: &Context, args: &DeployArgs) -> Result<Exit, Failure> {
    let apps = named(context, &args.wish)?;
    carry_out(context, &apps, args.wish.options()).await
}

/// What every command that changes what serves does: plan, execute, and the outcome as an exit code.
pub async fn carry_out(context: &Context, apps: &[AppName], options: DeployOptions) -> Result<Exit, Failure> {
    let request = DeployRequest {
        project: &context.project,
        apps,
        options,
        proxy_image: &context.proxy_image()?,
        operator: &context.operator,
        lock_wait: context.lock_wait,
    };
    let result = deploy(&context.run(), &request).await;
    context.reporter.finish();
    let results = match result {
        Ok(results) => results,
        Err(_) if context.signals.cancel.is_cancelled() => return Ok(context.signals.exit()),
        Err(error) => return Err(error.into()),
    };
    Ok(Exit::of(results.iter().map(|result| result.outcome), context.signals.exit()))
}

fn named(context: &Context, args: &WishArgs) -> Result<Vec<AppName>, Failure> {
    if args.all && !context.project.apps.is_empty() {
        return Ok(context.project.apps.keys().cloned().collect());
    }
    if args.apps.is_empty() && !args.all {
        let known = context.project.apps.keys().map(|app| format!("`{app}`")).collect::<Vec<_>>().join(", ");
        return Err(
            Failure::new(Exit::Usage, "no app is named").hint(format!("name one or more of {known}, or use `--all`"))
        );
    }
    Ok(compose::select(&context.project, &args.apps)?)
}
