//! `deploy-apps proxy …`

use clap::{Args, Subcommand};

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::rollout::{await_retired, upgrade_certificates, upgrade_proxy};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
pub enum ProxyCommand {
    /// Replace the proxy by the one of this deploy-apps without losing a request; routes and history stay
    Upgrade(UpgradeArgs),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Args)]
pub struct UpgradeArgs {
    /// Replace it although it is of this build and as the compose file asks for
    #[arg(long)]
    pub force: bool,
}

/// Looks after the host's proxy.
pub async fn run(context: &Context, command: ProxyCommand) -> Result<Exit, Failure> {
    match command {
        ProxyCommand::Upgrade(UpgradeArgs { force }) => upgrade(context, force).await,
    }
}

async fn upgrade(context: &Context, force: bool) -> Result<Exit, Failure> {
    let (image, spec) = (context.proxy_image(), &context.project.proxy);
    let run = context.run();
    let mut result = upgrade_proxy(&run, spec, &image, context.lock_wait, force).await;
    if result.is_ok() {
        result = upgrade_certificates(&run, spec, &image).await.and(result);
    }
    context.reporter.finish();
    let Some(upgraded) = result? else {
        outln!("proxy `{}` runs build {} already; `--force` replaces it nevertheless", spec.name, image.build_id);
        return Ok(Exit::Done);
    };
    let seconds = upgraded.serving_after.as_secs_f64();
    outln!("proxy `{}` runs build {}, serving after {seconds:.1} s", spec.name, image.build_id);
    if upgraded.retiring.is_some() {
        outln!(
            "the one of before answers on the connections that it has and ends by itself (Ctrl-C: without being waited for)"
        );
        if await_retired(&run, spec).await? {
            outln!("the one of before has ended");
        } else {
            outln!("the one of before still has connections; the next `proxy upgrade` removes its container");
        }
    }
    Ok(Exit::Done)
}
