//! `deploy-apps promote|abort APP`

use clap::Args;

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::compose;
use crate::model::CanaryOrder;
use crate::ports::{Proxy, ProxyError};

/// Promote the canary of an app, which another `deploy-apps` watches, without waiting for its steps
///
/// The deploy that watches it, in another terminal or a pipeline, flips everything to the new release and ends as usual.
#[derive(Debug, Clone, Args)]
pub struct PromoteArgs {
    /// The app whose canary is good
    #[arg(value_name = "APP")]
    pub app: String,
}

/// Abort the canary of an app, which another `deploy-apps` watches
///
/// The deploy that watches it, in another terminal or a pipeline, gives all requests back to what served, removes the new release
/// and exits with 14.
#[derive(Debug, Clone, Args)]
pub struct AbortArgs {
    /// The app whose canary is bad
    #[arg(value_name = "APP")]
    pub app: String,
}

/// Leaves the order with the proxy, where the watcher finds it within a second or two.
pub async fn run(context: &Context, app: &str, order: CanaryOrder) -> Result<Exit, Failure> {
    let name = compose::select(&context.project, &[app.to_owned()])?.remove(0);
    let key = context.project.key(&name);
    let run = context.run();
    match run.proxy().order_canary(&key, order, &context.operator).await {
        Ok(()) => {
            outln!("`{name}`: the deploy that watches the canary is asked to {} it", order.as_str());
            Ok(Exit::Done)
        }
        Err(ProxyError::Refused { code, .. }) if code == "no_canary" => {
            Err(Failure::new(Exit::Refused, format!("no deploy watches a canary of `{name}`"))
                .hint(format!("`deploy-apps status {name}` shows what serves")))
        }
        Err(error) => Err(error.into()),
    }
}
