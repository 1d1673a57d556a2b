//! `deploy-apps proxy …`

use super::args::ProxyCommand;
use super::context::Context;
use super::exit::{Exit, Failure};
use crate::rollout::upgrade_proxy;

/// Looks after the host's proxy.
pub async fn run(context: &Context, command: ProxyCommand) -> Result<Exit, Failure> {
    match command {
        ProxyCommand::Upgrade => {
            let image = context.proxy_image();
            let result = upgrade_proxy(&context.run(), &context.project.proxy, &image).await;
            context.reporter.finish();
            result?;
            println!("proxy `{}` runs build {}", context.project.proxy.name, image.build_id);
            Ok(Exit::Done)
        }
    }
}
