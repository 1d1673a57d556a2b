//! Images that scenarios share, built once and kept between runs.

use deploy_apps::compose::{self, LoadRequest};
use deploy_apps::docker::{DockerEngine, connect};
use deploy_apps::model::{BuildSpec, ImageSource, ProxyName};
use deploy_apps::plan::ProxyImage;
use deploy_apps::ports::Engine;
use deploy_apps::proxy;
use sha2::{Digest, Sha256};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use tokio::sync::OnceCell;

use super::{App, Scenario, docker};

/// The tag that keeps the image of `fault-app` when scenarios remove theirs; also a base for small variants.
pub const FAULT_APP: &str = "e2e-fault-app:cached";

static READY: OnceCell<()> = OnceCell::const_new();

/// Builds the images first; otherwise the first scenarios of a run would build the same images concurrently.
pub(super) async fn prepare(engine: &DockerEngine) {
    // In a task, which starts with an empty stack: with a large test on the stack, loading and building would overflow
    // it.
    let build_both = async {
        let engine = engine.clone();
        let building = tokio::spawn(async move {
            build_fault_app(&engine).await;
            build_proxy(&engine).await;
        });
        building.await.expect("images that are built");
    };
    READY.get_or_init(|| build_both).await;
}

async fn build_fault_app(engine: &DockerEngine) {
    keep(engine, &fault_app_build(), FAULT_APP).await;
}

/// Found by the digest of its source, like in a deploy.
async fn keep(engine: &DockerEngine, build: &BuildSpec, tag: &str) {
    let digest = engine.source_digest(build).await.expect("the sources of an image");
    let observed = engine.observe(&ProxyName::default()).await.expect("an engine that answers");
    match observed.images.iter().find(|image| image.source.as_ref() == Some(&digest)) {
        Some(image) => engine.tag_image(&image.id, tag).await.expect("tagged"),
        None => drop(engine.build_image(build, tag, &digest, Arc::new(|_| ())).await.expect("an image that is built")),
    }
}

/// The images of these services of a sample, as tags on the shared engine. Copying images to another engine is faster
/// than building them there.
pub async fn of_sample(folder: &Path, names: &[&str]) -> Vec<String> {
    let engine = connect(|name| std::env::var(name).ok()).await.expect("an engine");
    let named = names.iter().map(|&name| name.to_owned()).collect();
    let files = vec![folder.join("compose.yaml")];
    let env = std::env::vars().collect();
    let request = LoadRequest { files, folder: folder.to_owned(), named, env, ..LoadRequest::default() };
    let project = compose::load(&request).expect("the sample").project;
    let apps = project.apps.values().map(|app| &app.service);
    let services = apps.chain(project.accessories.values().map(|accessory| &accessory.service));
    let mut tags = Vec::new();
    for service in services.filter(|service| names.contains(&service.name.as_str())) {
        if let ImageSource::Build(build) = &service.image {
            let tag = format!("e2e-{}:cached", service.name);
            keep(&engine, build, &tag).await;
            tags.push(tag);
        }
    }
    tags
}

/// The image of this build's proxy.
pub(super) fn proxy_tag() -> String {
    format!("deploy-apps/proxy:{}", proxy::build_id())
}

async fn build_proxy(engine: &DockerEngine) {
    let base = std::env::var("BASE_IMAGE").unwrap_or_else(|_| "debian:trixie-slim".to_owned());
    let image = ProxyImage { build_id: proxy::build_id(), build: proxy::build(&base) };
    if engine.image_id(&image.tag()).await.expect("an engine that answers").is_none() {
        engine.build_image(&image.build, &image.tag(), &image.build_id, Arc::new(|_| ())).await.expect("proxy built");
    }
}

fn fault_app_build() -> BuildSpec {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("compose.yaml");
    std::fs::write(&file, Scenario::new("image").app(App::new("app")).compose()).expect("written");
    let env = std::env::vars().collect();
    let request = LoadRequest { files: vec![file], folder: folder.path().to_owned(), env, ..LoadRequest::default() };
    let project = compose::load(&request).expect("a valid file").project;
    match &project.apps.values().next().expect("one app").service.image {
        ImageSource::Build(build) => BuildSpec::clone(build),
        ImageSource::Pull { .. } => unreachable!("the generated service is built"),
    }
}

/// An image from a folder with only these files. Built once per machine: its tag is the digest of its source.
pub(super) fn cached(name: &str, folder: &Path, files: &[&str]) -> String {
    let mut digest = Sha256::new();
    for file in files {
        digest.update(std::fs::read(folder.join(file)).expect("a file of the image"));
    }
    let digest: String = digest.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let tag = format!("{name}:{digest}");
    if docker(&["images", "-q", &tag]).is_empty() {
        let base = std::env::var("BASE_IMAGE").unwrap_or_else(|_| "debian:trixie-slim".to_owned());
        let argument = format!("BASE_IMAGE={base}");
        let built =
            Command::new("docker").args(["build", "-q", "-t", &tag, "--build-arg", &argument]).arg(folder).output();
        let built = built.expect("docker");
        assert!(built.status.success(), "`{tag}` is not built: {}", String::from_utf8_lossy(&built.stderr));
    }
    tag
}
