//! The proxy before a run: set up, started, or taken as it is.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::executor::Executor;
use super::failure::{DeployError, FailureKind, StepFailure};
use super::request::DeployRequest;
use super::run::Run;
use super::scope::Scope;
use super::undo::Undo;
use super::wait::pause;
use crate::model::{ContainerState, ObservedEngine, ProxyName, ProxySpec};
use crate::plan::{PlanRefused, ProxyImage, Stage, interim, plan_proxy, plan_proxy_start, plan_proxy_wait};
use crate::ports::{Engine, Proxy, ProxyVersion};

/// The engine holds a name or a subnet some time before it lists what it is for: seconds, when it is busy.
const SETUP_PAUSE: Duration = Duration::from_millis(500);
const SETUP_ATTEMPTS: usize = 12;

/// Brings the proxy up; without its port, and then true, while docker compose runs an app of the project there. Without a
/// compose file nobody says how the proxy should be, so it is taken as it is; it must run.
pub(super) async fn ready_proxy<E: Engine, P: Proxy>(
    run: &Run<E, P>,
    request: &DeployRequest<'_>,
) -> Result<bool, DeployError> {
    let (project, image) = (request.project, request.proxy_image);
    if project.remembered {
        ensure_proxy_running(run, &project.proxy.name, &run.engine().observe(&project.proxy.name).await?).await?;
        warn_if_outdated(run, &run.proxy().version().await?, image);
        return Ok(false);
    }
    let begun = AtomicBool::new(false);
    prepare_as(run, &project.proxy, image, |engine| {
        let begins = interim(project, image, engine);
        begun.store(begins.is_some(), Ordering::Relaxed);
        begins
    })
    .await?;
    Ok(begun.into_inner())
}

/// Where there is no proxy nothing is deployed, so there is nothing to scale or to go back to, and no reason to make one.
pub(super) async fn check_proxy<E: Engine, P: Proxy>(
    run: &Run<E, P>,
    request: &DeployRequest<'_>,
) -> Result<(), DeployError> {
    let engine = run.engine().observe(&request.project.proxy.name).await?;
    match request.apps.first() {
        Some(app) if engine.container(&request.project.proxy.name.container()).is_none() => {
            Err(PlanRefused::NotDeployed { app: request.project.key(app) }.into())
        }
        _ => Ok(()),
    }
}

pub(super) fn proxy_state(proxy: &ProxyName, engine: &ObservedEngine) -> Option<ContainerState> {
    engine.container(&proxy.container()).map(|container| container.state)
}

/// Routes can be taken out of a running proxy only, and a stopped one would bring them back with its next start.
/// Returns whether there is a proxy.
pub(super) async fn ensure_proxy_running<E: Engine, P: Proxy>(
    run: &Run<E, P>,
    proxy: &ProxyName,
    engine: &ObservedEngine,
) -> Result<bool, DeployError> {
    if matches!(proxy_state(proxy, engine), None | Some(ContainerState::Dead)) {
        return Ok(false);
    }
    let stages = plan_proxy_start(proxy, engine);
    if !stages.is_empty() {
        let scope = Scope::shared();
        let executor = Executor::new(run, None, &scope);
        executor.stages(&stages, run.stop().by_user()).await.map_err(DeployError::Setup)?;
    }
    Ok(true)
}

/// Brings the proxy up and makes sure that both sides speak the same control API.
///
/// # Errors
/// When it cannot be set up, runs with other settings, or speaks another version.
pub async fn prepare_proxy<E: Engine, P: Proxy>(
    run: &Run<E, P>,
    spec: &ProxySpec,
    image: &ProxyImage,
) -> Result<(), DeployError> {
    prepare_as(run, spec, image, |_| None).await
}

/// The same; `instead` may choose other settings by what there is.
async fn prepare_as<E: Engine, P: Proxy>(
    run: &Run<E, P>,
    spec: &ProxySpec,
    image: &ProxyImage,
    instead: impl Fn(&ObservedEngine) -> Option<ProxySpec> + Send + Sync,
) -> Result<(), DeployError> {
    for attempt in 1..=SETUP_ATTEMPTS {
        let (observed, version) = tokio::join!(run.engine().observe(&spec.name), run.proxy().version());
        let observed = observed?;
        let chosen = instead(&observed);
        let mut stages = plan_proxy(chosen.as_ref().unwrap_or(spec), image, &observed)?;
        if stages.is_empty() {
            if let Ok(version) = version {
                warn_if_outdated(run, &version, image);
                return Ok(());
            }
            stages = plan_proxy_wait(&spec.name);
        }
        if stages.iter().flat_map(Stage::steps).any(|planned| planned.step.is_build()) {
            run.check_disk().await?;
        }
        match set_up(run, &stages).await {
            Ok(()) => break,
            // Another run is setting it up right now, or has taken the subnet for a proxy of its own: check again.
            Err(failure)
                if matches!(failure.kind, FailureKind::NotOurs | FailureKind::StateChanged)
                    && attempt < SETUP_ATTEMPTS =>
            {
                pause(SETUP_PAUSE, run.stop().by_user()).await.map_err(DeployError::Setup)?;
            }
            Err(failure) => return Err(DeployError::Setup(failure)),
        }
    }
    warn_if_outdated(run, &run.proxy().version().await?, image);
    Ok(())
}

fn warn_if_outdated<E: Engine, P: Proxy>(run: &Run<E, P>, version: &ProxyVersion, image: &ProxyImage) {
    if version.build != image.build_id {
        // One of before does not say which nginx serves.
        let gap = if version.serving.instance.is_none() { ", this once with a gap of about a second" } else { "" };
        let message = format!(
            "the proxy is of another build than this deploy-apps; `deploy-apps proxy upgrade` replaces it{gap}"
        );
        run.events().warn(None, message);
    }
}

/// A half-made proxy is taken back, so that a port that is taken does not leave a container that never started.
pub(super) async fn set_up<E: Engine, P: Proxy>(run: &Run<E, P>, stages: &[Stage]) -> Result<(), StepFailure> {
    let scope = Scope::shared_by(stages);
    let result = Executor::new(run, None, &scope).stages(stages, run.stop().by_user()).await;
    // A name that is taken means that another run sets up the same; what this one made is then that one's too.
    if result.as_ref().is_err_and(|failure| !matches!(failure.kind, FailureKind::NotOurs | FailureKind::Unknown)) {
        Undo::new(run, None, &scope).all().await;
    }
    result
}
