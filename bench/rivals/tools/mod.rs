//! The tools, each used like its users do: what it needs besides the app, and the command for a deploy.

mod compose;
mod deploy_apps;
mod kamal_proxy;
mod nginx;
mod rollout;
mod swarm;

use std::path::PathBuf;

use tokio::process::Command;

use crate::common::{Bench, Result, results};
use crate::stage::Stage;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    DeployApps,
    Compose,
    NginxReload,
    KamalProxy,
    Rollout,
    Swarm,
}

impl Tool {
    pub const ALL: [Self; 6] =
        [Self::DeployApps, Self::Compose, Self::NginxReload, Self::KamalProxy, Self::Rollout, Self::Swarm];

    /// Used on the command line and in names of resources.
    pub fn key(self) -> &'static str {
        match self {
            Self::DeployApps => "deploy-apps",
            Self::Compose => "compose",
            Self::NginxReload => "nginx-reload",
            Self::KamalProxy => "kamal-proxy",
            Self::Rollout => "rollout",
            Self::Swarm => "swarm",
        }
    }

    /// The display name.
    pub fn title(self) -> &'static str {
        match self {
            Self::DeployApps => "deploy-apps",
            Self::Compose => "compose up -d",
            Self::NginxReload => "nginx -s reload",
            Self::KamalProxy => "kamal-proxy",
            Self::Rollout => "docker rollout",
            Self::Swarm => "Swarm start-first",
        }
    }

    /// The tool's version.
    ///
    /// # Errors
    /// Why it cannot be measured here.
    pub async fn look(self, bench: &Bench) -> Result<String> {
        match self {
            Self::DeployApps => deploy_apps::look().await,
            Self::Compose => compose::look().await,
            Self::NginxReload => nginx::look(&bench.images.proxy).await,
            Self::KamalProxy => kamal_proxy::look(),
            Self::Rollout => rollout::look().await,
            Self::Swarm => swarm::look(),
        }
    }

    /// Starts what must exist before the first deploy.
    pub async fn start(self, stage: &Stage) -> Result {
        match self {
            Self::DeployApps => deploy_apps::start(stage),
            Self::Compose => compose::start(stage),
            Self::NginxReload => nginx::start(stage).await,
            Self::KamalProxy => kamal_proxy::start(stage).await,
            Self::Rollout => rollout::start(stage).await,
            Self::Swarm => Err("it has no stage".into()),
        }
    }

    /// Deploys the version named by the variable `MARK`; also used for the first deploy.
    pub fn deploy(self, stage: &Stage) -> Command {
        match self {
            Self::DeployApps => deploy_apps::deploy(),
            Self::Compose | Self::Swarm => compose::deploy(),
            Self::NginxReload => script("nginx-reload.sh", stage),
            Self::KamalProxy => script("kamal-proxy.sh", stage),
            Self::Rollout => rollout::deploy(),
        }
    }

    /// The container between users and the app, if there is one.
    pub fn proxy(self, stage: &Stage) -> Option<String> {
        match self {
            Self::DeployApps => Some(format!("{}-proxy-1", stage.name)),
            Self::Compose | Self::Swarm => None,
            Self::NginxReload => Some(format!("{}-nginx", stage.name)),
            Self::KamalProxy => Some(format!("{}-kamal-proxy", stage.name)),
            Self::Rollout => Some(format!("{}-proxy-1", stage.name)),
        }
    }
}

/// The folder in which bench/setup stores its downloads.
fn fetched() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| results::root().join("target"), PathBuf::from);
    target.join("bench-tools")
}

/// The docker CLI with the plugins that bench/setup has downloaded or found.
fn docker(args: &[&str]) -> Command {
    let mut command = Command::new("docker");
    let own = fetched().join("docker");
    if own.join("cli-plugins").is_dir() {
        command.env("DOCKER_CONFIG", own);
    }
    command.args(args);
    command
}

/// The version in the first line of a command's output.
async fn version_of(mut command: Command, hint: &str) -> Result<String> {
    let missing = |why: &str| format!("not here: {why}\nhint: {hint}");
    let output = command.output().await.map_err(|error| missing(&error.to_string()))?;
    let first = |bytes: &[u8]| String::from_utf8_lossy(bytes).lines().next().unwrap_or_default().trim().to_owned();
    if output.status.success() { Ok(first(&output.stdout)) } else { Err(missing(&first(&output.stderr)).into()) }
}

fn script(name: &str, stage: &Stage) -> Command {
    let mut command = Command::new("sh");
    command.arg(results::root().join("bench/rivals/scripts").join(name));
    command.env("NAME", &stage.name).env("IMAGE", &stage.image);
    command
}
