//! The images of a run: the measured app, the proxy, and wrk.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use deploy_apps::docker::DockerEngine;
use deploy_apps::model::{BuildSpec, ProxyName};
use deploy_apps::plan::ProxyImage;
use deploy_apps::ports::Engine;
use deploy_apps::proxy;
use indexmap::IndexMap;

use super::Result;
use super::host::docker_now;

const WRK_DOCKERFILE: &str = "ARG BASE_IMAGE
FROM ${BASE_IMAGE}
RUN apt-get update && apt-get install -y --no-install-recommends wrk && rm -rf /var/lib/apt/lists/*
ENTRYPOINT [\"wrk\"]
";

/// Built or found before the first row, so that no row includes a build. Dropping it removes images of the benchmark.
#[derive(Debug)]
pub struct Images {
    /// The app of the end-to-end tests, which has a path for every kind of client.
    pub app: String,
    pub wrk: String,
    /// The proxy's image. The other tools run its nginx too, so all use the same build. It stays, as after any deploy.
    pub proxy: String,
}

impl Images {
    pub async fn prepare(engine: &DockerEngine) -> Result<Self> {
        let base = std::env::var("BASE_IMAGE").unwrap_or_else(|_| "debian:trixie-slim".to_owned());
        let image = ProxyImage { build_id: proxy::build_id(), build: proxy::build(&base) };
        // Per process: concurrent benchmarks must not remove each other's images.
        let tag = |name: &str| format!("bench-{name}:{}", std::process::id());
        let images = Self { app: tag("app"), wrk: tag("wrk"), proxy: image.tag() };
        if engine.image_id(&images.proxy).await?.is_none() {
            build(engine, &image.build, &images.proxy, &image.build_id).await?;
        }
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/apps/fault-app");
        find_or_build(engine, &spec(folder, &base, None), &images.app).await?;
        let empty = tempfile::tempdir()?;
        find_or_build(engine, &spec(empty.path().to_owned(), &base, Some(WRK_DOCKERFILE)), &images.wrk).await?;
        Ok(images)
    }
}

impl Drop for Images {
    fn drop(&mut self) {
        docker_now(&["rmi", &self.app, &self.wrk]);
    }
}

fn spec(context: PathBuf, base: &str, inline: Option<&str>) -> BuildSpec {
    BuildSpec {
        context,
        dockerfile: PathBuf::from("Dockerfile"),
        dockerfile_inline: inline.map(str::to_owned),
        args: IndexMap::from([("BASE_IMAGE".to_owned(), base.to_owned())]),
        target: None,
        labels: IndexMap::new(),
        network: None,
        extra_hosts: Vec::new(),
        ..BuildSpec::default()
    }
}

/// By the digest of its source, like in a deploy: the end-to-end tests may have left the same image.
async fn find_or_build(engine: &DockerEngine, spec: &BuildSpec, tag: &str) -> Result {
    let digest = engine.source_digest(spec).await?;
    let observed = engine.observe(&ProxyName::default()).await?;
    match observed.images.iter().find(|image| image.source.as_ref() == Some(&digest)) {
        Some(image) => engine.tag_image(&image.id, tag).await?,
        None => build(engine, spec, tag, &digest).await?,
    }
    Ok(())
}

async fn build(engine: &DockerEngine, spec: &BuildSpec, tag: &str, digest: &str) -> Result {
    eprintln!("building {tag}");
    engine.build_image(spec, tag, digest, Arc::new(|_| ())).await?;
    Ok(())
}
