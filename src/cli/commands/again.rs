//! `deploy-apps restart|stop|start APP…`

use clap::Args;

use super::deploy::carry_out;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::names::known_apps;
use crate::model::AppName;
use crate::plan::{DeployOptions, Intent};

/// Restart apps: the same release in new containers, without a lost request
///
/// What serves is started again with the image, the configuration, the routes and the number of replicas that it has,
/// seen healthy through the proxy, flipped to and drained as in a deploy, start-first or stop-first as the app is
/// rolled. Nothing is built, pulled or configured again. An accessory is stopped and started in place.
#[derive(Debug, Clone, Args)]
pub struct RestartArgs {
    /// Apps and accessories to restart
    #[arg(value_name = "SERVICE", required = true)]
    pub apps: Vec<String>,
}

/// Stop apps after their open requests; they keep their routes, and requests get 503
///
/// What served and how many replicas it had is remembered: `start` brings it back. So does the next deploy of the app;
/// `scale APP=0` is for what is to stay at zero over deploys.
#[derive(Debug, Clone, Args)]
pub struct StopArgs {
    /// Apps and accessories to stop
    #[arg(value_name = "SERVICE", required = true)]
    pub apps: Vec<String>,
}

/// Start what `stop` has stopped: the same release with as many replicas
///
/// They are seen healthy through the proxy before they get requests. An accessory's container is started again.
#[derive(Debug, Clone, Args)]
pub struct StartArgs {
    /// Apps and accessories to start
    #[arg(value_name = "SERVICE", required = true)]
    pub apps: Vec<String>,
}

/// Runs the intent for the named services concurrently and reports the outcome of each.
pub async fn run(context: &Context, names: &[String], intent: Intent) -> Result<Exit, Failure> {
    let accessories = context.project.accessories.keys();
    known_apps(&context.project, names, accessories.clone())?;
    let known = context.project.apps.keys().chain(accessories);
    // In the file's order, without duplicates.
    let services: Vec<AppName> =
        known.filter(|name| names.iter().any(|named| named == name.as_str())).cloned().collect();
    carry_out(context, &services, DeployOptions { intent, ..DeployOptions::default() }, None).await
}
