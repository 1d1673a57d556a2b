//! The plan that a deploy would run, made without a lease and without touching anything.

use super::failure::DeployError;
use super::observe::{Pulls, Releases, Source, host_files, kept, resolve_all, sources};
use super::request::DeployRequest;
use super::run::Run;
use crate::model::{AppName, Features, ObservedEngine, ObservedProxy, ObservedState, ProxySpec};
use crate::plan::{
    Preview, Stage, Unknown, facts, interim, orphans_of_run, plan_auto_upgrade, plan_deploy, plan_proxy,
};
use crate::ports::{Engine, Proxy, ProxyError};

/// Looks, and plans as [`super::deploy`] does, with the steps that would set up the proxy before.
///
/// # Errors
/// When a deploy would end with the same, and when a proxy that does not run cannot be asked what it routes.
pub async fn preview<E: Engine, P: Proxy>(
    run: &Run<E, P>,
    request: &DeployRequest<'_>,
    pulls: Pulls,
) -> Result<Preview, DeployError> {
    let project = request.project;
    let spec = &project.proxy;
    let (engine, version, sources, host_files) = tokio::join!(
        run.engine().observe(&spec.name),
        run.proxy().version(),
        sources(run, project, request.apps, pulls),
        host_files(run.engine(), project, request.apps),
    );
    let engine = engine?;
    let (sources, missing) = sources?;
    let begins = interim(project, request.proxy_image, &engine);
    let upgrade = match &version {
        Ok(version) => plan_auto_upgrade(spec, request.proxy_image, &engine, &version.build, &version.serving)?,
        Err(_) => None,
    };
    let is_replaced = upgrade.is_some();
    let stages = match upgrade {
        Some(upgrade) => upgrade.stages,
        None => plan_proxy(begins.as_ref().unwrap_or(spec), request.proxy_image, &engine)?,
    };
    let mut unknowns = unknown_images(&sources);
    unknowns.extend(missing.into_iter().map(|reference| Unknown::ImageAbsent { reference, service: None }));
    let (mut proxy, releases) = if engine.container(&spec.name.container()).is_none() {
        unknowns.extend(unknown_history(spec, &engine));
        // The one that a deploy would make is of this build.
        (ObservedProxy { features: Features::all(), ..ObservedProxy::default() }, Releases::default())
    } else {
        if !is_replaced {
            refuse_if_down(spec, &stages)?;
        }
        version?;
        kept(run, project, request.apps, request.options.replicas.is_some()).await?
    };
    if is_replaced {
        proxy.features = Features::all();
    }
    let images = resolve_all(project, sources, &engine);
    let observed = ObservedState { engine, proxy, images, releases, host_files: host_files? };
    let plan = plan_deploy(project, request.apps, &observed, &request.planning())?;
    let facts = facts(project, request.apps, &observed);
    let orphans = orphans_of_run(project, request.apps, &observed.engine, &observed.proxy);
    Ok(Preview { proxy: stages, plan, unknowns, orphans, facts })
}

fn unknown_images(sources: &[(AppName, Source)]) -> Vec<Unknown> {
    let unknown = |(service, source): &(AppName, Source)| match source {
        Source::Unpulled { reference, present: None } => {
            Some(Unknown::ImageAbsent { reference: reference.clone(), service: Some(service.clone()) })
        }
        Source::Unpulled { reference, present: Some(_) } => {
            Some(Unknown::ImageMayMove { reference: reference.clone(), service: service.clone() })
        }
        Source::Digest(_) | Source::Image(_) => None,
    };
    sources.iter().filter_map(unknown).collect()
}

fn unknown_history(spec: &ProxySpec, engine: &ObservedEngine) -> Option<Unknown> {
    let volume = spec.name.volume();
    engine.volumes.contains(&volume).then_some(Unknown::History { volume })
}

/// Its container is there, so it has routes; but nobody can say which.
fn refuse_if_down(spec: &ProxySpec, stages: &[Stage]) -> Result<(), ProxyError> {
    if stages.iter().all(Stage::is_empty) {
        return Ok(());
    }
    let reason = "its container does not run, so what it routes is not known".to_owned();
    Err(ProxyError::Unreachable { proxy: spec.name.to_string(), reason })
}
