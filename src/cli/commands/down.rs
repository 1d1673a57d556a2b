//! `deploy-apps down`

use clap::Args;

use super::remove::{RemovalArgs, carry_out, request};
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::plan::DownOptions;
use crate::rollout::{RemovalScope, look_at_removal};

#[derive(Debug, Clone, Args)]
pub struct DownArgs {
    #[command(flatten)]
    pub removal: RemovalArgs,
    /// Also the host's proxy and its network; refused while it serves other projects
    #[arg(long)]
    pub proxy: bool,
}

/// Removes the whole project.
pub async fn run(context: &Context, args: &DownArgs) -> Result<Exit, Failure> {
    let options = DownOptions { remove: args.removal.options(), proxy: args.proxy };
    let request = request(context, RemovalScope::Project { options });
    let (_, _, removal) = look_at_removal(&context.run(), &request).await?;
    if removal.is_empty() && !args.removal.dry_run {
        errln!("nothing of project `{}` is deployed", context.project.name);
    }
    carry_out(context, &request, args.removal, &removal).await
}
