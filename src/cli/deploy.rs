//! `deploy-apps APP…`

use super::args::DeployArgs;
use super::context::Context;
use super::exit::{Exit, Failure};
use crate::compose;
use crate::model::AppName;
use crate::plan::DeployOptions;
use crate::rollout::{DeployRequest, deploy};

/// Deploys the named apps and says how each ended.
pub async fn run(context: &Context, args: &DeployArgs) -> Result<Exit, Failure> {
    let apps = named(context, args)?;
    let request = DeployRequest {
        project: &context.project,
        apps: &apps,
        options: DeployOptions { force: args.force, atomic: args.atomic },
        proxy_image: &context.proxy_image(),
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

fn named(context: &Context, args: &DeployArgs) -> Result<Vec<AppName>, Failure> {
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
