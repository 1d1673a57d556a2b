//! Builds, tags and pulls.

use deploy_apps::model::BuildSpec;
use deploy_apps::ports::{Engine, EngineErrorKind};
use tokio_util::sync::CancellationToken;

use crate::world::{BASE, World, docker, folder, inspect, labels, recording};

#[tokio::test]
async fn a_build_takes_arguments_target_and_ignored_files_as_asked_and_is_found_again() {
    let world = World::new().await;
    let files = folder(&[
        (
            "Dockerfile",
            "FROM debian:trixie-slim AS base\nARG GREETING\nCOPY . /src\nRUN echo \"$GREETING\" > /greeting\n\
             FROM base AS chosen\nRUN ls -A /src > /list\nFROM base AS last\nRUN exit 9\n",
        ),
        (".dockerignore", "*.log\nsecret\n"),
        ("a.txt", "a"),
        ("b.log", "b"),
        ("secret/key", "c"),
    ]);
    let mut build = world.build(files.path());
    build.args.insert("GREETING".to_owned(), "hi there".to_owned());
    build.target = Some("chosen".to_owned());
    let digest = world.engine.source_digest(&build).await.unwrap();
    let tag = format!("{}:r1", world.name("image"));
    let (progress, lines) = recording();
    world.engine.build_image(&build, &tag, &digest, progress).await.unwrap();
    let (progress, again) = recording();
    let id = world.engine.build_image(&build, &tag, &digest, progress).await.unwrap();
    let cached = again.lock().unwrap().join("\n");
    assert!(cached.contains("cached"), "{cached}");

    assert_eq!(world.engine.image_id(&tag).await.unwrap().as_deref(), Some(id.as_str()));
    assert_eq!(labels(&tag)["deploy-apps.source"], digest);
    let mut container = world.container("look", "cat /greeting /list");
    container.image.clone_from(&id);
    world.engine.create_container(&container).await.unwrap();
    world.engine.start_container(&container.name).await.unwrap();
    world.engine.await_exit(&container.name).await.unwrap();
    let seen = world.engine.log_tail(&container.name, 20).await.unwrap();
    assert_eq!(seen, ["hi there", ".dockerignore", "Dockerfile", "a.txt"]);
    let told = lines.lock().unwrap().join("\n");
    assert!(told.contains("RUN ls -A /src > /list") && !told.contains("internal"), "{told}");

    let observed = world.engine.observe(&world.proxy()).await.unwrap();
    let image = observed.images.iter().find(|image| image.id == id).expect("observed");
    assert_eq!((image.tags.clone(), image.source.as_deref()), (vec![tag.clone()], Some(digest.as_str())));

    let other = format!("{}:r2", world.name("image"));
    world.engine.tag_image(&id, &other).await.unwrap();
    world.engine.untag_image(&tag).await.unwrap();
    world.engine.untag_image(&tag).await.expect("gone already is no error");
    let used = world.engine.untag_image(&other).await.unwrap_err();
    assert_eq!(used.kind, EngineErrorKind::Conflict, "{used}");
    world.engine.remove_container(&container.name).await.unwrap();
    world.engine.untag_image(&other).await.unwrap();
    assert_eq!(world.engine.image_id(&id).await.unwrap(), None, "without a tag it is gone");
}

/// Built by somebody else from an image of ours, or committed from its container.
fn derive(world: &World, base: &str, part: &str, text: &str) -> String {
    let tag = format!("{}:1", world.name(part));
    let files = folder(&[("Dockerfile", &format!("FROM {base}\n{text}"))]);
    docker(&["build", "-q", "-t", &tag, &files.path().to_string_lossy()]);
    docker(&["image", "inspect", "--format", "{{.Id}}", &tag])
}

#[tokio::test]
async fn an_image_that_inherits_our_labels_is_no_build_of_ours() {
    let world = World::new().await;
    let files = folder(&[("Dockerfile", "FROM debian:trixie-slim\nCOPY x /x\n"), ("x", &world.name("x"))]);
    for builder in ["buildkit", "classic"] {
        let engine = connect_with(builder).await;
        let mut build = world.build(files.path());
        build.args.insert("BUILDER".to_owned(), builder.to_owned());
        let digest = engine.source_digest(&build).await.unwrap();
        let tag = format!("{}:r1", world.name(builder));
        let id = engine.build_image(&build, &tag, &digest, recording().0).await.unwrap();
        let derived = derive(&world, &tag, &format!("{builder}-derived"), "ENV A=b\n");
        let committed = format!("{}:1", world.name(&format!("{builder}-committed")));
        let container = world.name(&format!("{builder}-c"));
        docker(&["create", "--name", &container, &tag, "true"]);
        docker(&["commit", &container, &committed]);
        // As a deploy names an image that was pulled.
        let release = format!("deploy-apps/{}:r7", world.name(builder));
        docker(&["tag", &committed, &release]);
        let committed = docker(&["image", "inspect", "--format", "{{.Id}}", &committed]);
        assert!(derived != id && committed != id && derived.starts_with("sha256:"), "{derived} {committed}");

        let known = |observed: &deploy_apps::model::ObservedEngine, wanted: &str| {
            observed
                .images
                .iter()
                .filter(|image| image.id == wanted)
                .map(|image| image.source.clone())
                .collect::<Vec<_>>()
        };
        let observed = engine.observe(&world.proxy()).await.unwrap();
        assert_eq!(known(&observed, &id), [Some(digest.clone())]);
        assert_eq!(known(&observed, &derived), [], "neither ours nor tagged by us");
        assert_eq!(known(&observed, &committed), [None], "tagged by us, and not built by us");
        // Ours is gone; what was built from it is still not ours.
        docker(&["rm", &container]);
        engine.untag_image(&tag).await.unwrap();
        let observed = engine.observe(&world.proxy()).await.unwrap();
        assert_eq!(observed.images.iter().filter(|image| image.source.as_ref() == Some(&digest)).count(), 0);
        docker(&["rmi", &release]);
    }
}

#[tokio::test]
async fn a_container_that_inherits_our_labels_is_none_of_ours() {
    let world = World::new().await;
    let ours = world.run("web-r3-1", "sleep 60").await;
    let image = format!("{}:1", world.name("committed"));
    docker(&["commit", &ours, &image]);
    docker(&["run", "-d", "--name", &world.name("stranger"), &image, "sleep", "60"]);
    // What we make of that image ourselves has labels of its own.
    let mut own = world.container("web-r4-1", "sleep 60");
    own.image.clone_from(&image);
    own.labels.release = Some(deploy_apps::model::ReleaseNumber(4));
    world.engine.create_container(&own).await.unwrap();
    let observed = world.engine.observe(&world.proxy()).await.unwrap();
    let names: Vec<&str> = observed.containers.iter().map(|container| container.name.as_str()).collect();
    assert_eq!(names, [world.name("web-r3-1"), world.name("web-r4-1")]);
}

#[tokio::test]
async fn what_only_its_build_names_goes_when_nothing_uses_it() {
    let world = World::new().await;
    let files = folder(&[("Dockerfile", "FROM debian:trixie-slim\nCOPY x /x\n"), ("x", &world.name("x"))]);
    let build = world.build(files.path());
    let digest = world.engine.source_digest(&build).await.unwrap();
    let tag = format!("{}:r1", world.name("unused"));
    let id = world.engine.build_image(&build, &tag, &digest, recording().0).await.unwrap();
    // Its release's tag has moved on.
    world.engine.tag_image(BASE, &tag).await.unwrap();
    let known = async || {
        let observed = world.engine.observe(&world.proxy()).await.unwrap();
        observed.images.into_iter().find(|image| image.id == id)
    };
    let left = known().await.expect("it may be built upon for a while");
    assert_eq!((left.tags, left.source), (Vec::new(), Some(digest.clone())));
    world.engine.remove_dangling().await.unwrap();
    assert!(known().await.is_some(), "it is too young to be surely unused");
    let named = docker(&["image", "inspect", "--format", "{{index .RepoTags 0}}", &id]);
    assert!(named.starts_with(&format!("deploy-apps/built:{digest}-")), "{named}");
    world.engine.untag_image(&named).await.unwrap();
    assert_eq!(world.engine.image_id(&id).await.unwrap(), None);
}

#[tokio::test]
async fn an_old_image_that_has_another_name_stays_known_as_a_build() {
    let world = World::new().await;
    let files = folder(&[("Dockerfile", "FROM debian:trixie-slim\nCOPY x /x\n"), ("x", &world.name("x"))]);
    let mut build = world.build(files.path());
    // What BuildKit takes for the time of the image.
    build.args.insert("SOURCE_DATE_EPOCH".to_owned(), "1000000000".to_owned());
    let digest = world.engine.source_digest(&build).await.unwrap();
    let tag = format!("{}:r1", world.name("old"));
    let id = world.engine.build_image(&build, &tag, &digest, recording().0).await.unwrap();
    let created = docker(&["image", "inspect", "--format", "{{.Created}}", &id]);
    assert!(created.starts_with("2001-"), "{created}");
    world.engine.remove_dangling().await.unwrap();
    let observed = world.engine.observe(&world.proxy()).await.unwrap();
    let image = observed.images.iter().find(|image| image.id == id).expect("it is there");
    assert_eq!((image.tags.clone(), image.source.clone()), (vec![tag], Some(digest)));
}

#[tokio::test]
async fn a_second_build_of_a_source_leaves_the_first_one_known() {
    let world = World::new().await;
    let files = folder(&[("Dockerfile", "FROM debian:trixie-slim\nRUN date +%N >/x\n")]);
    let build = BuildSpec { no_cache: true, ..world.build(files.path()) };
    let digest = world.engine.source_digest(&build).await.unwrap();
    let tags = [format!("{}:r1", world.name("first")), format!("{}:r1", world.name("second"))];
    for tag in &tags {
        world.engine.build_image(&build, tag, &digest, recording().0).await.unwrap();
    }
    let observed = world.engine.observe(&world.proxy()).await.unwrap();
    for tag in &tags {
        let image = observed.images.iter().find(|image| image.tags.contains(tag)).expect("an image");
        assert_eq!(image.source.as_ref(), Some(&digest), "{tag}");
    }
}

async fn connect_with(builder: &str) -> deploy_apps::docker::DockerEngine {
    let connected = deploy_apps::docker::connect(|name| match name {
        "DEPLOY_APPS_BUILDER" => Some(builder.to_owned()),
        other => std::env::var(other).ok(),
    });
    connected.await.unwrap()
}

#[tokio::test]
async fn a_failing_step_is_named_with_its_last_lines() {
    let world = World::new().await;
    let files = folder(&[(
        "Dockerfile",
        "FROM debian:trixie-slim\nRUN for i in $(seq 30); do echo line $i; done; sleep 0.3; echo broken >&2; exit 3\n",
    )]);
    for builder in ["buildkit", "classic"] {
        let engine = connect_with(builder).await;
        let build = BuildSpec { no_cache: true, ..world.build(files.path()) };
        let tag = format!("{}:r1", world.name(builder));
        let (progress, _) = recording();
        let error = engine.build_image(&build, &tag, "0", progress).await.unwrap_err();
        assert_eq!(error.kind, EngineErrorKind::BuildFailed);
        assert!(error.message.contains(&tag) && error.message.contains("RUN for i in"), "{builder}: {error}");
        assert!(error.message.ends_with("exit code 3"), "{builder}: {error}");
        let lines = &error.details[0].lines;
        assert_eq!((lines.len(), lines[19].as_str(), lines[18].as_str()), (20, "broken", "line 30"), "{builder}");
        assert_eq!(world.engine.image_id(&tag).await.unwrap(), None);
    }
}

#[tokio::test]
async fn the_classic_builder_builds_the_same() {
    let world = World::new().await;
    let files = folder(&[("Dockerfile", "FROM debian:trixie-slim\nCOPY x /x\nRUN cat /x\n"), ("x", "y\n")]);
    let engine = connect_with("classic").await;
    let build = world.build(files.path());
    let tag = format!("{}:r1", world.name("classic"));
    let (progress, lines) = recording();
    engine.build_image(&build, &tag, "0", progress).await.unwrap();
    let told = lines.lock().unwrap().join("\n");
    assert!(told.contains("] RUN cat /x …"), "{told}");
}

#[tokio::test]
async fn faults_in_the_builds_files_are_told_from_failing_steps() {
    let world = World::new().await;
    let build_of = |dockerfile: &str| BuildSpec {
        dockerfile_inline: Some(dockerfile.to_owned()),
        ..world.build(std::path::Path::new("/var/empty"))
    };
    let empty = folder(&[("x", "")]);
    let fails = async |mut build: BuildSpec| {
        build.context = empty.path().to_owned();
        let (progress, _) = recording();
        world.engine.build_image(&build, &world.name("bad"), "0", progress).await.unwrap_err()
    };
    let missing = fails(world.build(empty.path())).await;
    assert_eq!(missing.kind, EngineErrorKind::BadBuild);
    assert!(missing.message.contains("Dockerfile` does not exist") && missing.hint.is_some(), "{missing}");
    let unknown = fails(build_of("FROM scratch\nRUNN x\n")).await;
    assert_eq!(unknown.kind, EngineErrorKind::BadBuild, "{unknown}");
    let copy = fails(build_of("FROM scratch\nCOPY nope /\n")).await;
    assert_eq!(copy.kind, EngineErrorKind::BadBuild, "{copy}");
    assert!(copy.message.contains("nope"), "{copy}");
    let target = fails(BuildSpec { target: Some("dev".to_owned()), ..build_of("FROM scratch\nCOPY x /\n") }).await;
    assert_eq!(target.kind, EngineErrorKind::BadBuild, "{target}");
    let base = fails(build_of("FROM dat-docker-no-such-base:1\nCOPY x /\n")).await;
    assert_eq!(base.kind, EngineErrorKind::BuildFailed, "{base}");
    assert!(base.message.contains("dat-docker-no-such-base") && base.hint.is_some(), "{base}");
}

#[tokio::test]
async fn several_extra_hosts_and_a_large_context_reach_the_build() {
    let world = World::new().await;
    let files = folder(&[(
        "Dockerfile",
        "FROM debian:trixie-slim\nCOPY big /big\nRUN grep -c -e 10.0.0.1 -e 10.0.0.2 /etc/hosts && wc -c < /big\n",
    )]);
    std::fs::write(files.path().join("big"), vec![7; 5_000_001]).unwrap();
    let mut build = world.build(files.path());
    build.extra_hosts = vec!["one:10.0.0.1".to_owned(), "two:10.0.0.2".to_owned()];
    let (progress, _) = recording();
    world.engine.build_image(&build, &format!("{}:r1", world.name("big")), "0", progress).await.unwrap();
}

#[tokio::test]
async fn dropping_a_build_stops_it_on_the_engine() {
    let world = World::new().await;
    let marker = world.name("marker");
    let files = folder(&[("Dockerfile", &format!("FROM debian:trixie-slim\nRUN : {marker} && sleep 47.11\n"))]);
    let build = world.build(files.path());
    let started = CancellationToken::new();
    let seen = started.clone();
    let progress = std::sync::Arc::new(move |line: String| {
        if line.contains("sleep 47.11") {
            seen.cancel();
        }
    });
    let tag = format!("{}:r1", world.name("dropped"));
    tokio::select! {
        result = world.engine.build_image(&build, &tag, "0", progress) => panic!("ended: {result:?}"),
        () = started.cancelled() => {}
    }
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(15);
    while is_running("sleep\x0047.11") {
        assert!(std::time::Instant::now() < deadline, "the build goes on");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

fn is_running(command_line: &str) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter_map(|process| std::fs::read(process.path().join("cmdline")).ok())
        .any(|line| String::from_utf8_lossy(&line).trim_end_matches('\0') == command_line)
}

#[tokio::test]
async fn an_image_that_cannot_be_pulled_is_named_with_the_reason() {
    let world = World::new().await;
    let (progress, _) = recording();
    // Port 9 of the engine's own host: nothing listens there, so the answer comes at once.
    let reference = "127.0.0.1:9/dat-docker-nope:1";
    let error = world.engine.pull_image(reference, progress).await.unwrap_err();
    assert_eq!(error.kind, EngineErrorKind::ImageNotFound, "{error}");
    assert!(error.message.contains(reference) && error.message.contains("refused"), "{error}");
    assert!(error.hint.unwrap().contains("registry"));
    assert_eq!(world.engine.image_id(reference).await.unwrap(), None);
}

#[tokio::test]
async fn the_times_of_files_survive_the_build() {
    let world = World::new().await;
    let files = folder(&[("Dockerfile", "FROM debian:trixie-slim\nCOPY x /x\n"), ("x", "")]);
    let file = std::fs::File::options().write(true).open(files.path().join("x")).unwrap();
    file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000)).unwrap();
    let tag = format!("{}:r1", world.name("times"));
    let (progress, _) = recording();
    world.engine.build_image(&world.build(files.path()), &tag, "0", progress).await.unwrap();
    assert_eq!(docker(&["run", "--rm", &tag, "stat", "-c", "%Y", "/x"]), "1000000000");
    assert!(inspect(&tag)["Id"].as_str().is_some());
}
