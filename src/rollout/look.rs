//! One look for those who only ask how things stand. Pulls nothing, builds nothing, and waits for nothing long.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::model::{
    AppKey, AppName, ContainerState, ImageSource, Lifetime, ObservedContainer, ObservedEngine, ObservedState, Project,
    ProxyOverview, Role, Service, StoredRelease, Unstable, unstable,
};
use crate::ports::{Engine, EngineError, InspectEngine, InspectProxy, Proxy, ProxyError};

use super::observe::{Source, host_files, resolve};

/// A proxy that hangs is told of as such, and what the engine knows is shown.
const PROXY_PATIENCE: Duration = Duration::from_secs(5);
/// Reading a build context takes as long as it is large. A status that is late for it helps nobody.
const SOURCE_PATIENCE: Duration = Duration::from_secs(1);
/// For the log of a container that ends again and again.
const LOG_PATIENCE: Duration = Duration::from_secs(2);
const LOG_LINES: usize = 5;
/// An nginx is back within this after the container that has its ports.
const START_OF_NGINX: SignedDuration = SignedDuration::from_secs(10);
/// Sources are read while the channel to the proxy opens, and must not take the processor from that.
const SOURCES_AT_ONCE: usize = 2;

/// What was seen.
#[derive(Debug)]
pub struct Snapshot {
    pub observed: ObservedState,
    pub lifetimes: BTreeMap<String, Lifetime>,
    pub proxy: Result<ProxyOverview, ProxyError>,
    /// Apps whose sources are known.
    pub compared: BTreeSet<AppName>,
}

/// What the images of services would be now; `None` for one that is not on the engine. Services that take too long to
/// read, or cannot be read, are left out.
async fn sources<E: Engine>(engine: &E, project: &Project, apps: &[AppName]) -> Vec<(AppName, Option<Source>)> {
    let accessories = project.accessories.values().map(|accessory| &accessory.service);
    let services = apps.iter().filter_map(|app| project.apps.get(app)).map(|app| &app.service).chain(accessories);
    let room = Semaphore::new(SOURCES_AT_ONCE);
    let found = join_all(services.map(|service| async {
        let _permit = room.acquire().await;
        let source = timeout(SOURCE_PATIENCE, source(engine, service)).await.ok()?.ok()?;
        Some((service.name.clone(), source))
    }));
    found.await.into_iter().flatten().collect()
}

async fn source<E: Engine>(engine: &E, service: &Service) -> Result<Option<Source>, EngineError> {
    Ok(match &service.image {
        ImageSource::Build(build) => Some(Source::Digest(engine.source_digest(build).await?)),
        ImageSource::Pull { reference, .. } => engine.image_id(reference).await?.map(Source::Image),
    })
}

/// Looks at everything at once: the proxy's answer takes as long as all the rest together.
///
/// # Errors
/// When the engine cannot be asked. A proxy that does not answer is part of what is seen.
pub async fn look<E: Engine + InspectEngine, P: Proxy + InspectProxy>(
    engine: &E,
    proxy: &P,
    project: &Project,
    apps: &[AppName],
    compare: bool,
) -> Result<Snapshot, EngineError> {
    let compared = if compare { apps } else { &[] };
    let (engine, told, sources, files) = tokio::join!(
        containers(engine, project),
        tell(proxy, project, compared),
        async { if compare { sources(engine, project, apps).await } else { Vec::new() } },
        host_files(engine, project, compared),
    );
    // What cannot be looked at is not compared.
    let host_files = files.unwrap_or_default();
    let (engine, lifetimes) = engine?;
    let (proxy, releases) = match told {
        Ok((overview, releases)) => (Ok(overview), releases),
        Err(error) => (Err(error), BTreeMap::new()),
    };
    let compared = sources.iter().map(|(name, _)| name.clone()).collect();
    let resolved = sources.into_iter().filter_map(|(name, source)| {
        let image = resolve(&project.key(&name), source?, &engine);
        Some((name, image))
    });
    let images = resolved.collect();
    let state = proxy.as_ref().map(|overview| overview.state.clone()).unwrap_or_default();
    Ok(Snapshot {
        observed: ObservedState { engine, proxy: state, images, releases, host_files },
        lifetimes,
        proxy,
        compared,
    })
}

/// Which of these containers end again and again, with the last lines of their logs and what helps as seen from the project.
pub async fn restarting<'c, E: Engine>(
    engine: &E,
    project: Option<&Project>,
    containers: impl IntoIterator<Item = &'c ObservedContainer>,
    lifetimes: &BTreeMap<String, Lifetime>,
) -> Vec<Unstable> {
    let now = Timestamp::now();
    let all: Vec<&ObservedContainer> = containers.into_iter().collect();
    // An nginx starts again with the container that has its ports.
    let started = |one: &ObservedContainer| lifetimes.get(&one.id)?.started_at;
    let holder = all.iter().find(|one| one.labels.role == Role::Proxy && one.state == ContainerState::Running);
    let held_since = holder.and_then(|holder| started(holder));
    let is_own = |one: &ObservedContainer| {
        held_since.zip(started(one)).is_some_and(|(since, started)| started.duration_since(since) > START_OF_NGINX)
    };
    // One that has handed over and ended is started again by the engine, only to wait for its removal.
    let newest = all.iter().filter(|one| one.labels.role == Role::ProxyInstance).map(|one| one.labels.replica).max();
    let counts = |one: &&ObservedContainer| {
        one.labels.role != Role::ProxyInstance || Some(one.labels.replica) == newest && is_own(one)
    };
    let found = all
        .into_iter()
        .filter(counts)
        .filter_map(|container| unstable(container, project, lifetimes.get(&container.id)?, now));
    join_all(found.map(|one| async move {
        let log = timeout(LOG_PATIENCE, engine.log_tail(&one.name, LOG_LINES)).await;
        Unstable { log: log.ok().and_then(Result::ok).unwrap_or_default(), ..one }
    }))
    .await
}

async fn containers<E: Engine + InspectEngine>(
    engine: &E,
    project: &Project,
) -> Result<(ObservedEngine, BTreeMap<String, Lifetime>), EngineError> {
    let observed = engine.observe(&project.proxy.name).await?;
    let ours = observed
        .containers
        .iter()
        .filter(|container| container.labels.project.as_ref().is_none_or(|owner| *owner == project.name));
    let ids: Vec<String> = ours.map(|container| container.id.clone()).collect();
    let lifetimes = engine.lifetimes(&ids).await?;
    Ok((observed, lifetimes))
}

type Told = (ProxyOverview, BTreeMap<AppKey, Vec<StoredRelease>>);

/// All over one channel: opening it takes longer than everything that is asked.
async fn tell<P: Proxy + InspectProxy>(proxy: &P, project: &Project, apps: &[AppName]) -> Result<Told, ProxyError> {
    let asking = async {
        let overview = proxy.overview(&project.name).await?;
        let deployed = |key: &AppKey| overview.state.apps.get(key).is_some_and(|known| known.record.is_some());
        let keys = apps.iter().map(|app| project.key(app)).filter(|_| overview.state.keeps_releases()).filter(deployed);
        let releases = proxy.releases(&keys.collect::<Vec<_>>()).await?;
        Ok((overview, releases))
    };
    timeout(PROXY_PATIENCE, asking).await.unwrap_or_else(|_| {
        let reason = format!("no answer within {PROXY_PATIENCE:?}");
        Err(ProxyError::Unreachable { proxy: project.proxy.name.to_string(), reason })
    })
}
