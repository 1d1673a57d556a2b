//! Measures the engine alone with the same work as a deploy. The difference is the product's own time.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use deploy_apps::docker::DockerEngine;
use deploy_apps::model::{
    AppName, ContainerSpec, ImageSource, NetworkAttachment, NewContainer, ObservedState, OwnLabels, ResolvedImage, Role,
};
use deploy_apps::plan::{DeployOptions, Step, plan_deploy};
use deploy_apps::ports::{Engine, Probe, Proxy};
use futures_util::future::try_join_all;
use tokio::time::sleep;

use super::host::{Host, address_of};
use super::{Result, http};

/// The measured app answers within milliseconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// The containers that a forced redeploy of `apps` would create now: same image, limits, network and addresses.
pub async fn planned(host: &Host, apps: &[AppName]) -> Result<Vec<NewContainer>> {
    let project = host.project()?;
    let mut references = BTreeMap::new();
    let mut observed = ObservedState { proxy: host.proxy.state().await?, ..ObservedState::default() };
    observed.engine = host.engine.observe(&host.name).await?;
    for app in apps {
        let ImageSource::Pull { reference, .. } = &project.apps[app].service.image else { continue };
        let id = host.engine.image_id(reference).await?.ok_or_else(|| format!("no image `{reference}`"))?;
        observed.images.insert(app.clone(), ResolvedImage::Image { id });
        references.insert(app, reference);
    }
    let options = DeployOptions { force: true, ..DeployOptions::default() };
    let plan = plan_deploy(&project, apps, &observed, &options)?;
    let steps = plan.apps.iter().flat_map(|app| app.before.iter()).flat_map(|stage| stage.steps());
    let containers = steps.filter_map(|planned| match &planned.step {
        Step::CreateContainer(container) => Some(NewContainer::clone(container)),
        _ => None,
    });
    // The plan refers to the tag of a release that is never made here; the same image is used.
    let present =
        containers.map(|container| match container.labels.service.as_ref().and_then(|app| references.get(app)) {
            Some(reference) => NewContainer { image: reference.to_string(), ..container },
            None => container,
        });
    Ok(present.collect())
}

/// Creates and starts all of them concurrently.
pub async fn create_and_start(host: &Host, containers: &[NewContainer]) -> Result<Duration> {
    let begun = Instant::now();
    try_join_all(containers.iter().map(|container| async {
        host.engine.create_container(container).await?;
        host.engine.start_container(&container.name).await
    }))
    .await?;
    Ok(begun.elapsed())
}

/// The same, until each has answered a health check. It is polled from the proxy.
pub async fn create_until_healthy(host: &Host, containers: &[NewContainer]) -> Result<Duration> {
    // Opening the channel is not part of the engine's time.
    host.proxy.version().await?;
    let begun = Instant::now();
    try_join_all(containers.iter().map(|container| until_healthy(host, container))).await?;
    Ok(begun.elapsed())
}

async fn until_healthy(host: &Host, container: &NewContainer) -> Result {
    let address = container.spec.networks.iter().find_map(|network| network.address).ok_or("no fixed address")?;
    let (path, name, timeout) = ("/healthz".to_owned(), "bench".to_owned(), Duration::from_secs(1));
    let probe = Probe { address, port: 8080, path, host: name, timeout };
    host.engine.create_container(container).await?;
    host.engine.start_container(&container.name).await?;
    let begun = Instant::now();
    while !host.proxy.probe(&probe).await?.healthy {
        if begun.elapsed() > PATIENCE {
            return Err(format!("`{}` is not healthy within {PATIENCE:?}", container.name).into());
        }
    }
    Ok(())
}

/// Stops and removes all of them concurrently.
pub async fn stop_and_remove(host: &Host, containers: &[NewContainer]) -> Result<Duration> {
    let begun = Instant::now();
    try_join_all(containers.iter().map(|container| async {
        host.engine.stop_container(&container.name, None, None).await?;
        host.engine.remove_container(&container.name).await
    }))
    .await?;
    Ok(begun.elapsed())
}

/// The minimum for every deployment tool: create, start and first healthy answer of one container of `image`.
pub async fn floor(engine: &DockerEngine, name: &str, image: &str, network: &str) -> Result<Duration> {
    let attached = NetworkAttachment { network: network.to_owned(), ..NetworkAttachment::default() };
    let spec = ContainerSpec { networks: vec![attached], ..ContainerSpec::default() };
    let labels = OwnLabels {
        role: Role::Accessory,
        proxy: name.parse()?,
        project: None,
        service: None,
        release: None,
        replica: None,
        version: None,
        identity: String::new(),
        tuning: None,
    };
    let container = NewContainer { name: format!("{name}-floor"), image: image.to_owned(), spec, labels };
    let begun = Instant::now();
    engine.create_container(&container).await?;
    engine.start_container(&container.name).await?;
    let started = begun.elapsed();
    let address = (address_of(&container.name).await?, 8080).into();
    let asked = Instant::now();
    while http::get(address, name, "/healthz").await.is_err() {
        if asked.elapsed() > PATIENCE {
            return Err(format!("`{}` is not healthy within {PATIENCE:?}", container.name).into());
        }
        sleep(Duration::from_millis(1)).await;
    }
    // Asking for the address is our time, not the engine's: the app was starting meanwhile.
    let took = started + asked.elapsed();
    engine.remove_container(&container.name).await?;
    Ok(took)
}
