//! What the sample's parts check about themselves: format, lints, types and tests, each in its Dockerfile's stage `test`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use deploy_apps::compose::{self, LoadRequest};
use deploy_apps::docker::{DockerEngine, connect};
use deploy_apps::model::{BuildSpec, ImageSource};
use deploy_apps::ports::Engine;
use serde_json::{Map, Value, json};

use crate::harness::docker;

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The Dockerfiles of the sample with a stage `test`; that of `stack` itself is for the Python files below it.
fn checked() -> Vec<PathBuf> {
    let folders = ["apps", "stack"].map(|parent| fs::read_dir(repository().join(parent)).expect("a folder"));
    let files = folders.into_iter().flatten().flatten().map(|folder| folder.path().join("Dockerfile"));
    let files = files.chain([repository().join("stack/Dockerfile")]);
    let is_checked = |file: &PathBuf| fs::read_to_string(file).is_ok_and(|text| text.contains(" AS test\n"));
    let mut found: Vec<_> = files.filter(is_checked).collect();
    found.sort();
    found
}

/// How to build these stages, as the product reads it from a compose file.
fn builds(files: &[PathBuf]) -> Vec<(String, BuildSpec)> {
    let base = std::env::var("BASE_IMAGE").unwrap_or_else(|_| "debian:trixie-slim".to_owned());
    let service = |file: &PathBuf| {
        let folder = file.parent().expect("a folder");
        let name = folder.file_name().expect("a name").to_string_lossy().into_owned();
        let build = json!({ "context": folder, "target": "test", "args": { "BASE_IMAGE": base } });
        (name, json!({ "build": build, "x-deploy-apps": {} }))
    };
    let services: Map<String, Value> = files.iter().map(service).collect();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("compose.yaml");
    fs::write(&file, json!({ "name": "checks", "services": services }).to_string()).expect("a writable folder");
    let request = LoadRequest { files: vec![file], folder: folder.path().to_owned(), ..LoadRequest::default() };
    let project = compose::load(&request).expect("a valid file").project;
    let build = |image| match image {
        ImageSource::Build(build) => *build,
        ImageSource::Pull { .. } => unreachable!("each of them is built"),
    };
    project.apps.into_iter().map(|(name, app)| (name.to_string(), build(app.service.image))).collect()
}

/// Builds one stage; what it said, if it failed. A stage that passed before, with the same files, is in the engine's cache.
async fn failure(engine: &DockerEngine, name: &str, build: &BuildSpec) -> Option<String> {
    let tag = format!("e2e-checks-{name}:p{}", std::process::id());
    let digest = engine.source_digest(build).await.expect("readable sources");
    let told = Arc::new(Mutex::new(Vec::new()));
    let lines = Arc::clone(&told);
    let progress = Arc::new(move |line| lines.lock().expect("no panic").push(line));
    let built = engine.build_image(build, &tag, &digest, progress).await;
    // Its layers stay in the cache.
    docker(&["rmi", &tag]);
    println!("{name}: {:#?}", told.lock().expect("no panic"));
    built.err().map(|error| format!("{name}: {error}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "compiles for many minutes where nothing is cached: `tests/run --checks`"]
async fn every_part_of_the_sample_passes_its_own_checks() {
    let files = checked();
    for app in fs::read_dir(repository().join("apps")).expect("the apps").flatten() {
        assert!(files.iter().any(|file| file.starts_with(app.path())), "{} has no stage `test`", app.path().display());
    }
    let engine = connect(|name| std::env::var(name).ok()).await.expect("an engine");
    let mut failed = Vec::new();
    // `tests/run --app` names one.
    let chosen = std::env::var("SAMPLE_PART").ok();
    let builds = builds(&files).into_iter().filter(|(name, _)| chosen.as_ref().is_none_or(|chosen| chosen == name));
    for (name, build) in builds {
        failed.extend(failure(&engine, &name, &build).await);
    }
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}
