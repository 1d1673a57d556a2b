//! The container that gets certificates, when the proxy becomes one of another build.

use super::executor::Executor;
use super::failure::DeployError;
use super::run::Run;
use super::scope::Scope;
use crate::model::ProxySpec;
use crate::plan::{ProxyImage, plan_certificates_upgrade};
use crate::ports::{Engine, Proxy};

/// Replaces the container that gets certificates, where the proxy is of another build than it by now.
///
/// # Errors
/// When it cannot be made. The proxy serves on with the certificates that it has.
pub async fn upgrade_certificates<E: Engine, P: Proxy>(
    run: &Run<E, P>,
    spec: &ProxySpec,
    image: &ProxyImage,
) -> Result<(), DeployError> {
    let observed = run.engine().observe(&spec.name).await?;
    let stages = plan_certificates_upgrade(spec, &observed, image);
    let scope = Scope::shared_by(&stages);
    let executor = Executor::new(run, None, &scope);
    executor.stages(&stages, run.stop().by_user()).await.map_err(DeployError::Setup)
}
