//! `deploy-apps proxy …`

use clap::Subcommand;

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::rollout::{upgrade_certificates, upgrade_proxy};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
pub enum ProxyCommand {
    /// Replace the proxy by the one of this deploy-apps; routes and history stay
    Upgrade,
}

/// Looks after the host's proxy.
pub async fn run(context: &Context, command: ProxyCommand) -> Result<Exit, Failure> {
    match command {
        ProxyCommand::Upgrade => {
            let image = context.proxy_image();
            let spec = &context.project.proxy;
            let mut result = upgrade_proxy(&context.run(), spec, &image).await;
            if result.is_ok() {
                result = upgrade_certificates(&context.run(), spec, &image).await;
            }
            context.reporter.finish();
            result?;
            outln!("proxy `{}` runs build {}", context.project.proxy.name, image.build_id);
            Ok(Exit::Done)
        }
    }
}
