//! What a deploy is asked to do.

use std::time::Duration;

use crate::model::{AppName, Project};
use crate::plan::{DeployOptions, ProxyImage};
use crate::ports::Operator;

/// What a deploy is asked to do.
#[derive(Debug, Clone)]
pub struct DeployRequest<'a> {
    pub project: &'a Project,
    pub apps: &'a [AppName],
    pub options: DeployOptions,
    pub proxy_image: &'a ProxyImage,
    pub operator: &'a Operator,
    /// How long another holder of the lease is waited for.
    pub lock_wait: Duration,
}

impl DeployRequest<'_> {
    /// The options, with what the planner must know of the proxy that there may not be yet.
    pub(super) fn planning(&self) -> DeployOptions {
        DeployOptions { proxy_image: self.proxy_image.tag(), ..self.options.clone() }
    }
}
