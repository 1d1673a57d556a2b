//! One look at the engine and the proxy, before the plan is made.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::try_join_all;
use tokio::time::Instant;

use super::run::Run;
use crate::event::Fact;
use crate::model::{
    AppKey, AppName, HostFile, ImageSource, MountSource, ObservedEngine, ObservedProxy, ObservedState, Project,
    PullPolicy, ResolvedImage, Service, StoredRelease,
};
use crate::plan::{DeployOptions, Intent, built_image};
use crate::ports::{Engine, EngineError, EngineErrorKind, Proxy, ProxyError};

use super::failure::DeployError;

/// As [`observe`], for what is asked for. A kept release needs no image but the engine's own, so for a change of scale
/// and a rollback no source is read and no registry asked.
///
/// # Errors
/// As [`observe`]; and when the proxy is of a build that keeps no releases and one is needed.
pub async fn observe_for<E: Engine, P: Proxy>(
    run: &Run<E, P>,
    project: &Project,
    apps: &[AppName],
    options: &DeployOptions,
) -> Result<ObservedState, DeployError> {
    if options.intent == Intent::Deploy {
        if options.replicas.is_some() {
            // What was set by hand would be forgotten by an older one.
            kept(run, project, apps, true).await?;
        }
        return observe(run, project, apps).await;
    }
    let (engine, proxy) = tokio::join!(run.engine().observe(&project.proxy.name), kept(run, project, apps, true));
    let (proxy, releases) = proxy?;
    Ok(ObservedState { engine: engine?, proxy, images: BTreeMap::new(), releases, host_files: BTreeMap::new() })
}

/// Everything the planner needs to know for `apps`. Pulls images where their policy asks for it; builds nothing.
///
/// # Errors
/// When the engine or the proxy cannot be asked, or an image is not to be had.
pub async fn observe<E: Engine, P: Proxy>(
    run: &Run<E, P>,
    project: &Project,
    apps: &[AppName],
) -> Result<ObservedState, DeployError> {
    let (engine, proxy, sources, host_files) = tokio::join!(
        run.engine().observe(&project.proxy.name),
        kept(run, project, apps, false),
        sources(run, project, apps, Pulls::Done),
        host_files(run.engine(), project, apps),
    );
    let engine = engine?;
    let images = resolve_all(project, sources?.0, &engine);
    let (proxy, releases) = proxy?;
    Ok(ObservedState { engine, proxy, images, releases, host_files: host_files? })
}

pub(super) type Releases = BTreeMap<AppKey, Vec<StoredRelease>>;

/// The proxy's state, and what it keeps of the apps' releases. One of a build from before that keeps nothing, which is
/// an error only where it `must`.
pub(super) async fn kept<E: Engine, P: Proxy>(
    run: &Run<E, P>,
    project: &Project,
    apps: &[AppName],
    must: bool,
) -> Result<(ObservedProxy, Releases), ProxyError> {
    let proxy = run.proxy().state().await?;
    let keys: Vec<AppKey> = apps.iter().map(|app| project.key(app)).collect();
    let releases = if must || proxy.keeps_releases() { run.proxy().releases(&keys).await? } else { Releases::new() };
    Ok((proxy, releases))
}

/// Whether images are pulled where their policy asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pulls {
    Done,
    /// Nothing on the engine is changed; what is missing goes by its reference instead of its id.
    Foreseen,
}

/// What is known of the images of `apps` and of what they depend on; then the other images that are still missing.
pub(super) async fn sources<E: Engine, P: Proxy>(
    run: &Run<E, P>,
    project: &Project,
    apps: &[AppName],
    pulls: Pulls,
) -> Result<(Vec<(AppName, Source)>, Vec<String>), DeployError> {
    let services = services_behind(project, apps);
    let others = other_images(&services);
    let (sources, others) = tokio::try_join!(
        try_join_all(services.iter().map(|service| source(run, service, pulls))),
        try_join_all(others.into_iter().map(|reference| missing(run, reference, pulls))),
    )?;
    Ok((sources, others.into_iter().flatten().collect()))
}

pub(super) fn resolve_all(
    project: &Project,
    sources: Vec<(AppName, Source)>,
    engine: &ObservedEngine,
) -> BTreeMap<AppName, ResolvedImage> {
    let resolved = |(name, source)| {
        let image = resolve(&project.key(&name), source, engine);
        (name, image)
    };
    sources.into_iter().map(resolved).collect()
}

/// The apps and the accessories that they depend on, directly or through others.
pub(super) fn services_behind<'a>(project: &'a Project, apps: &[AppName]) -> Vec<&'a Service> {
    let mut seen = BTreeSet::new();
    let mut open: Vec<&AppName> = apps.iter().collect();
    let mut services = Vec::new();
    while let Some(name) = open.pop() {
        let app = project.apps.get(name).filter(|_| apps.contains(name)).map(|app| &app.service);
        let Some(service) = app.or(project.accessories.get(name).map(|accessory| &accessory.service)) else { continue };
        if seen.insert(&service.name) {
            open.extend(service.depends_on.iter().map(|dependency| &dependency.service));
            services.push(service);
        }
    }
    services
}

/// What the bind mounts of `apps`, and of what they depend on, lead to.
pub(super) async fn host_files<E: Engine>(
    engine: &E,
    project: &Project,
    apps: &[AppName],
) -> Result<BTreeMap<String, HostFile>, EngineError> {
    let services = services_behind(project, apps);
    let mounts = services.iter().flat_map(|service| &service.container.mounts);
    let paths: BTreeSet<String> = mounts.filter_map(|mount| Some(mount.bind_source()?.to_owned())).collect();
    if paths.is_empty() { Ok(BTreeMap::new()) } else { engine.host_files(&paths).await }
}

/// The images that services use besides their own.
fn other_images<'a>(services: &[&'a Service]) -> BTreeSet<&'a str> {
    let hooks = services.iter().flat_map(|service| &service.container.hooks.pre_start);
    let mounts = services.iter().flat_map(|service| &service.container.mounts);
    let mounted = mounts.filter_map(|mount| match &mount.source {
        MountSource::Image(reference) => Some(reference.as_str()),
        _ => None,
    });
    hooks.filter_map(|hook| hook.image.as_deref()).chain(mounted).collect()
}

/// The image's name, if it is still missing afterwards.
async fn missing<E: Engine, P: Proxy>(
    run: &Run<E, P>,
    reference: &str,
    pulls: Pulls,
) -> Result<Option<String>, DeployError> {
    match (run.engine().image_id(reference).await?, pulls) {
        (Some(_), _) => Ok(None),
        (None, Pulls::Foreseen) => Ok(Some(reference.to_owned())),
        (None, Pulls::Done) => pull(run, reference).await.map(|_| None),
    }
}

/// What is known of a service's image before the engine's list of images is.
pub(super) enum Source {
    Digest(String),
    Image(String),
    /// To be pulled by a deploy; `present` is the image that this reference names on the engine so far.
    Unpulled {
        reference: String,
        present: Option<String>,
    },
}

async fn source<E: Engine, P: Proxy>(
    run: &Run<E, P>,
    service: &Service,
    pulls: Pulls,
) -> Result<(AppName, Source), DeployError> {
    let source = match &service.image {
        ImageSource::Build(build) => Source::Digest(run.engine().source_digest(build).await?),
        ImageSource::Pull { reference, policy } => {
            let present = run.engine().image_id(reference).await?;
            match (policy, present) {
                (PullPolicy::Missing | PullPolicy::Never, Some(id)) => Source::Image(id),
                (PullPolicy::Never, None) => {
                    let message = format!("image `{reference}` of service `{}` is not on the engine", service.name);
                    return Err(EngineError::new(EngineErrorKind::ImageNotFound, message)
                        .hint(format!("`docker pull {reference}`, or set `pull_policy: missing`"))
                        .into());
                }
                (PullPolicy::Always | PullPolicy::Missing, present) if pulls == Pulls::Foreseen => {
                    Source::Unpulled { reference: reference.clone(), present }
                }
                (PullPolicy::Always | PullPolicy::Missing, _) => Source::Image(pull(run, reference).await?),
            }
        }
    };
    Ok((service.name.clone(), source))
}

async fn pull<E: Engine, P: Proxy>(run: &Run<E, P>, reference: &str) -> Result<String, DeployError> {
    run.check_disk().await?;
    let begun = Instant::now();
    let id = run.engine().pull_image(reference, run.events().progress(None)).await?;
    run.events().emit(None, Fact::ImagePulled { reference: reference.to_owned(), took: begun.elapsed() });
    Ok(id)
}

pub(super) fn resolve(service: &AppKey, source: Source, engine: &ObservedEngine) -> ResolvedImage {
    match source {
        Source::Image(id) | Source::Unpulled { present: Some(id), .. } => ResolvedImage::Image { id },
        Source::Unpulled { reference, present: None } => ResolvedImage::Image { id: reference },
        Source::Digest(digest) => {
            let built = built_image(service, &digest, engine).map(|image| image.id.clone());
            ResolvedImage::Source { digest, built }
        }
    }
}
