//! The proxy is replaced by a new one that takes its connections over.

use std::time::Duration;

use tokio::time::Instant;

use super::certificates::upgrade_certificates;
use super::cleanup::cleanup;
use super::failure::{DeployError, FailureKind};
use super::proxy::set_up;
use super::request::DeployRequest;
use super::run::Run;
use super::wait::pause;
use crate::model::ProxySpec;
use crate::plan::{
    Intent, ProxyImage, Serving, Stage, left_instances, plan_auto_upgrade, plan_proxy_upgrade, upgrade_due, upgrade_gap,
};
use crate::ports::{Engine, Proxy};

/// A proxy of before ends within its grace of 75 s, unless a request or a WebSocket is open for longer.
const RETIRING_PATIENCE: Duration = Duration::from_secs(100);
/// How often the end of the one of before is looked for.
const RETIRING_INTERVAL: Duration = Duration::from_millis(200);

/// How a proxy was replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upgraded {
    /// From the new container on until it served.
    pub serving_after: Duration,
    /// The nginx that retires, by its number.
    pub retiring: Option<u32>,
}

/// Replaces the proxy by one of this build, with `force` also one that is. Waits at most `patience` for a deploy that is under way.
/// `None` when there is nothing to do.
///
/// # Errors
/// When it cannot be set up, or does not take over; then the one of before serves on.
pub async fn upgrade_proxy<E: Engine, P: Proxy>(
    run: &Run<E, P>,
    spec: &ProxySpec,
    image: &ProxyImage,
    patience: Duration,
    force: bool,
) -> Result<Option<Upgraded>, DeployError> {
    let (observed, version) = tokio::join!(run.engine().observe(&spec.name), run.proxy().version());
    let observed = observed?;
    let (build, serving) = version.map(|version| (Some(version.build), version.serving)).unwrap_or_default();
    let gap = upgrade_gap(spec, image, &observed);
    if !force && !upgrade_due(spec, image, &observed, build.as_deref()) {
        remove_left(run, spec, &serving).await?;
        return Ok(None);
    }
    if let Some(why) = gap {
        let message = format!("{why}, so this once connections are refused for about a second");
        run.events().warn(None, message);
    }
    let upgrade = plan_proxy_upgrade(spec, image, &observed, &serving, patience, "the upgrade was asked for")?;
    let begun = Instant::now();
    set_up(run, &upgrade.stages).await.map_err(DeployError::Setup)?;
    let retiring = upgrade.hand_over.map(|(_, from)| from);
    Ok(Some(Upgraded { serving_after: begun.elapsed(), retiring }))
}

/// Hands over before a deploy where `upgrade: auto` is set and the proxy is not as it should be. Where another deploy is under way, a
/// later one does it.
pub(super) async fn upgrade_before_deploy<E: Engine, P: Proxy>(
    run: &Run<E, P>,
    request: &DeployRequest<'_>,
) -> Result<(), DeployError> {
    let (spec, image) = (&request.project.proxy, request.proxy_image);
    if spec.upgrade.is_manual() || request.options.intent != Intent::Deploy {
        return Ok(());
    }
    let (observed, version) = tokio::join!(run.engine().observe(&spec.name), run.proxy().version());
    let (observed, Ok(version)) = (observed?, version) else { return Ok(()) };
    let Some(upgrade) = plan_auto_upgrade(spec, image, &observed, &version.build, &version.serving)? else {
        return remove_left(run, spec, &version.serving).await;
    };
    if upgrade.stages.iter().flat_map(Stage::steps).any(|planned| planned.step.is_build()) {
        run.check_disk().await?;
    }
    match set_up(run, &upgrade.stages).await {
        Ok(()) => upgrade_certificates(run, spec, image).await.map(drop),
        Err(failure) if failure.kind == FailureKind::Locked => {
            let message = format!("the proxy is not replaced now: {failure}; the next deploy does it");
            run.events().warn(None, message);
            Ok(())
        }
        Err(failure) => Err(DeployError::Setup(failure)),
    }
}

/// Waits for the end of all that retire and removes their containers. False when one is still there: it ends by itself, and the next
/// upgrade removes it.
///
/// # Errors
/// When the engine cannot be asked.
pub async fn await_retired<E: Engine, P: Proxy>(run: &Run<E, P>, spec: &ProxySpec) -> Result<bool, DeployError> {
    let deadline = Instant::now() + RETIRING_PATIENCE;
    let serving = loop {
        let serving = run.proxy().version().await.map(|version| version.serving).unwrap_or_default();
        if serving.instance.is_some() && serving.retiring.is_empty() {
            break serving;
        }
        if Instant::now() >= deadline || pause(RETIRING_INTERVAL, run.stop().by_user()).await.is_err() {
            return Ok(false);
        }
    };
    remove_left(run, spec, &serving).await?;
    Ok(true)
}

/// Removes nginx containers that have ended.
async fn remove_left<E: Engine, P: Proxy>(
    run: &Run<E, P>,
    spec: &ProxySpec,
    serving: &Serving,
) -> Result<(), DeployError> {
    let observed = run.engine().observe(&spec.name).await?;
    let left = left_instances(spec, &observed, serving);
    for message in cleanup(run, None, &[Stage::beside(left)]).await.failed {
        run.events().warn(None, format!("an nginx that neither serves nor retires is left: {message}"));
    }
    Ok(())
}
