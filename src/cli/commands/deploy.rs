//! `deploy-apps APP…`

use clap::Args;

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::compose;
use crate::model::AppName;
use crate::plan::DeployOptions;
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
}

impl WishArgs {
    pub fn options(&self) -> DeployOptions {
        DeployOptions { force: self.force, atomic: self.atomic }
    }
}

/// Deploys the named apps and says how each ended.
pub async fn run(context: &Context, args: &DeployArgs) -> Result<Exit, Failure> {
    let apps = named(context, &args.wish)?;
    let request = DeployRequest {
        project: &context.project,
        apps: &apps,
        options: args.wish.options(),
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
