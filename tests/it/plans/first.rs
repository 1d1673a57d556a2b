//! Nothing serves yet.

use deploy_apps::model::{Condition, NetworkSettings, PullPolicy};

use super::reads;
use crate::fixture::*;
use crate::scenes::{changed, first_deploys};
use crate::world::World;

async fn first(file: &str, app: deploy_apps::model::App) {
    reads(file, &changed("first", project([app_beside()]), project([app])).await).await;
}

/// A neighbour, so that the proxy is there.
fn app_beside() -> deploy_apps::model::App {
    app("neighbour")
}

#[tokio::test(start_paused = true)]
async fn a_first_deploy_builds_starts_gates_and_flips() {
    first("first-deploy", replicas(2, app("go-app"))).await;
}

#[tokio::test(start_paused = true)]
async fn a_first_deploy_of_a_stop_first_app_has_nothing_to_stop() {
    first("first-deploy-stop-first", with_release_command(stop_first(app("go-app")))).await;
}

#[tokio::test(start_paused = true)]
async fn a_worker_is_gated_by_the_engine_and_recorded_without_a_port() {
    first("first-deploy-worker", worker("mailer")).await;
}

#[tokio::test(start_paused = true)]
async fn a_release_command_runs_before_any_replica_starts() {
    first("first-deploy-release-command", with_release_command(app("go-app"))).await;
}

#[tokio::test(start_paused = true)]
async fn a_first_deploy_in_batches_flips_after_each() {
    first("first-deploy-in-batches", in_batches_of(2, replicas(5, app("go-app")))).await;
}

#[tokio::test(start_paused = true)]
async fn a_first_deploy_of_no_replicas_makes_nothing() {
    first("first-deploy-at-rest", with_release_command(replicas(0, app("go-app")))).await;
}

#[tokio::test(start_paused = true)]
async fn a_pulled_image_is_tagged_for_its_release() {
    let scene = changed(
        "pulled",
        project([app_beside()]),
        project([from_image("registry/go-app:1", PullPolicy::Missing, app("go-app"))]),
    );
    let scene = scene.await;
    scene.world.publish("registry/go-app:1");
    reads("first-deploy-image", &scene).await;
}

#[tokio::test(start_paused = true)]
async fn a_missing_accessory_is_made_before_the_app_and_its_networks_and_volumes_too() {
    let mut wanted = crate::scenes::behind_redis();
    wanted.networks.insert("sample_default".to_owned(), NetworkSettings::default());
    wanted.volumes.push("sample_data".into());
    reads("accessory-missing", &changed("missing", project([app_beside()]), wanted).await).await;
}

#[tokio::test(start_paused = true)]
async fn an_accessory_that_has_exited_is_started_and_one_that_differs_is_left() {
    let scene = first_deploys().await.into_iter().find(|scene| scene.name.contains("accessory")).expect("a scene");
    let world = scene.fork();
    crate::session::succeed(&world, &scene.desired).await;
    world.kill("sample-redis-1");
    let mut desired = scene.desired.clone();
    let redis = desired.project.accessories.get_mut(&name("redis")).expect("redis");
    redis.service.container.command = Some(vec!["--appendonly".to_owned()]);
    desired.project.apps[0].service.depends_on[0].condition = Condition::Started;
    let (_, plan) = crate::session::look(&world, &desired).await;
    super::compare("accessory-exited-and-different", &plan.expect("a plan").to_string());
}

#[tokio::test(start_paused = true)]
async fn two_apps_on_a_bare_host_are_planned_beside_each_other() {
    let world = World::new();
    let scene = changed("two", project([app_beside()]), project([app("go-app"), app("node-app")])).await;
    drop(world);
    reads("first-deploy-two-apps", &scene).await;
}

#[tokio::test(start_paused = true)]
async fn an_app_that_depends_on_one_that_is_not_deployed_is_warned_about() {
    let wanted = project([after("node-app", Condition::Started, app("go-app")), app("node-app")]);
    let mut scene = changed("warned", project([app_beside()]), wanted).await;
    scene.desired.apps.truncate(1);
    reads("first-deploy-before-its-dependency", &scene).await;
}
