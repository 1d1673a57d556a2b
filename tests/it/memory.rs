//! What is remembered in two places, the labels of containers and the proxy's volume; and what makes a release another one.

use std::sync::Arc;

use deploy_apps::event::Outcome;
use deploy_apps::model::{AppRecord, HostFile, Mount, MountOptions, MountSource};
use deploy_apps::plan::{Drift, drift, plan_repair};

use crate::fixture::*;
use crate::scenes::{deployed, version};
use crate::session::{Desired, Report, look, succeed};
use crate::world::World;

fn record(world: &World) -> AppRecord {
    world.state().record(&"sample/go-app".parse().expect("a key")).expect("a record").clone()
}

fn place(report: &Report, what: &str, subject: &str) -> usize {
    let found = report.calls.iter().position(|call| call.what == what && call.subject.contains(subject));
    found.unwrap_or_else(|| panic!("no `{what} {subject}`\n{}", report.story()))
}

/// `r2` runs, and the proxy has its volume from before.
async fn restored() -> (Arc<World>, Desired) {
    let desired = Desired::of(project([replicas(2, app("go-app"))]));
    let world = deployed(&desired.project).await;
    let (apps, stored, history) = {
        let state = world.state();
        (state.apps.clone(), state.stored.clone(), state.history.clone())
    };
    world.edit("go-app");
    succeed(&world, &desired).await;
    let mut state = world.state();
    (state.apps, state.stored, state.history) = (apps, stored, history);
    drop(state);
    (world, desired)
}

#[tokio::test(start_paused = true)]
async fn a_release_newer_than_the_proxys_state_goes_only_when_another_serves() {
    let (world, desired) = restored().await;
    let (observed, plan) = look(&world, &desired).await;
    let plan = plan.expect("a plan").to_string();
    assert!(plan.contains("the proxy's state is older than what runs"), "{plan}");
    assert!(plan_repair(&observed.engine, &observed.proxy).is_empty(), "it is no leftover");
    let report = succeed(&world, &desired).await;
    assert!(place(&report, "flip", "") < place(&report, "stop_container", "go-app-r2-1"), "{}", report.story());
    assert_eq!(record(&world).release.0, 3, "the higher number wins");
    assert_eq!(report.outcome(), Outcome::Completed);
}

#[tokio::test(start_paused = true)]
async fn a_release_that_a_lost_state_knows_nothing_of_goes_only_when_another_serves() {
    let (world, desired) = restored().await;
    {
        let mut state = world.state();
        (state.apps, state.stored, state.history) = Default::default();
    }
    let (observed, _) = look(&world, &desired).await;
    assert!(plan_repair(&observed.engine, &observed.proxy).is_empty(), "it is no leftover");
    let report = succeed(&world, &desired).await;
    assert!(place(&report, "flip", "") < place(&report, "stop_container", "go-app-r2-1"), "{}", report.story());
    assert_eq!(record(&world).release.0, 3);
}

#[tokio::test(start_paused = true)]
async fn a_version_text_alone_makes_no_release() {
    let of = |text: &'static str, count| project([version(text, replicas(count, app("go-app")))]);
    let world = deployed(&of("v1-3-gabc", 1)).await;
    let desired = Desired::of(of("v1-4-gdef", 1));
    let report = succeed(&world, &desired).await;
    assert_eq!(report.outcome(), Outcome::UpToDate, "{}", report.story());
    assert_eq!(record(&world).version, "v1-3-gabc+1");
    // A further replica of the same release has the same version as its siblings.
    succeed(&world, &Desired::of(of("v1-4-gdef", 2))).await;
    let versions: Vec<String> = record(&world).peers.iter().map(|peer| peer.version.clone()).collect();
    assert_eq!(versions, ["v1-3-gabc+1", "v1-3-gabc+1"]);
    world.edit("go-app");
    succeed(&world, &desired).await;
    assert_eq!(record(&world).version, "v1-4-gdef+2");
}

#[tokio::test(start_paused = true)]
async fn the_name_that_the_file_gives_an_image_follows_what_is_deployed() {
    let mut desired = app("go-app");
    desired.service.image = deploy_apps::model::ImageSource::Build(Box::new(deploy_apps::model::BuildSpec {
        tags: vec!["shop/web".to_owned()],
        ..build("go-app")
    }));
    let desired = Desired::of(project([desired]));
    let world = deployed(&desired.project).await;
    let named = || world.state().tags.get("shop/web:latest").cloned().expect("the name");
    let first = named();
    world.edit("go-app");
    succeed(&world, &desired).await;
    assert_ne!(named(), first);
    // The source of before, which is built already.
    world.state().sources.clear();
    succeed(&world, &desired).await;
    assert_eq!(named(), first);
}

fn with_file(read_only: bool) -> Desired {
    let mut desired = app("go-app");
    desired.service.container.mounts.push(Mount {
        source: MountSource::Bind("/srv/app.conf".to_owned()),
        target: "/etc/app.conf".to_owned(),
        read_only,
        options: MountOptions::default(),
    });
    Desired::of(project([desired]))
}

fn write(world: &World, content: Option<&str>) {
    let file = content.map_or(HostFile::Missing, |text| HostFile::File(Some(text.to_owned())));
    world.state().host_files.insert("/srv/app.conf".to_owned(), file);
}

#[tokio::test(start_paused = true)]
async fn a_changed_file_that_is_mounted_read_only_makes_a_release() {
    let (world, desired) = (World::new(), with_file(true));
    write(&world, Some("one"));
    succeed(&world, &desired).await;
    assert_eq!(succeed(&world, &desired).await.outcome(), Outcome::UpToDate);
    write(&world, Some("two"));
    let (observed, plan) = look(&world, &desired).await;
    let plan = plan.expect("a plan").to_string();
    assert!(plan.contains("`/srv/app.conf` has changed"), "{plan}");
    let told = drift(&desired.project, &name("go-app"), &observed);
    assert_eq!(told, [Drift::MountedFile { path: "/srv/app.conf".to_owned(), replaces: true }]);
    succeed(&world, &desired).await;
    assert_eq!(record(&world).release.0, 2);
    assert_eq!(succeed(&world, &desired).await.outcome(), Outcome::UpToDate);
}

#[tokio::test(start_paused = true)]
async fn a_changed_file_that_the_app_may_write_is_told_and_no_more() {
    let (world, desired) = (World::new(), with_file(false));
    write(&world, Some("one"));
    succeed(&world, &desired).await;
    write(&world, Some("two"));
    let told = drift(&desired.project, &name("go-app"), &look(&world, &desired).await.0);
    assert_eq!(told, [Drift::MountedFile { path: "/srv/app.conf".to_owned(), replaces: false }]);
    assert_eq!(succeed(&world, &desired).await.outcome(), Outcome::UpToDate);
    // Nor is what cannot be seen taken for a change.
    world.state().host_files.clear();
    assert!(drift(&desired.project, &name("go-app"), &look(&world, &desired).await.0).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_mounted_file_that_is_missing_is_refused() {
    let (world, desired) = (World::new(), with_file(true));
    succeed(&world, &Desired::of(project([app("node-app")]))).await;
    write(&world, None);
    let refused = look(&world, &desired).await.1.expect_err("a refusal");
    assert_eq!(
        (refused.to_string().as_str(), refused.hint().as_str()),
        (
            "bind mount of service `go-app`: `/srv/app.conf` does not exist on the engine's host",
            "create the file; compose would make a folder of that name: if one is meant, `mkdir -p /srv/app.conf`",
        )
    );
}
