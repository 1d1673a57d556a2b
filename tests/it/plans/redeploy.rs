//! A release replaces another.

use deploy_apps::event::Outcome;
use deploy_apps::model::{ObservedState, ReleaseNumber, ResolvedImage};
use deploy_apps::plan::plan_deploy;
use deploy_apps::ports::EngineErrorKind;

use super::reads;
use crate::fixture::*;
use crate::scenes::{changed, deployed, edited, environment, pairs, pulled, redeploys};
use crate::session::{Desired, at_first, look, run, succeed};
use crate::world::{Error, Fault};

async fn named(file: &str, name: &str) {
    let scene = redeploys().await.into_iter().chain(pairs().await).find(|scene| scene.name == name);
    reads(file, &scene.expect("a scene of this name")).await;
}

#[tokio::test(start_paused = true)]
async fn two_replicas_are_replaced_at_once_and_each_old_one_drains_on_its_own() {
    named("redeploy", "redeploy").await;
}

#[tokio::test(start_paused = true)]
async fn force_replaces_what_has_not_changed_from_the_same_image() {
    named("forced", "forced").await;
}

#[tokio::test(start_paused = true)]
async fn three_replicas_one_at_a_time_are_three_flips() {
    named("redeploy-in-batches", "redeploy in batches").await;
}

#[tokio::test(start_paused = true)]
async fn two_become_five_two_at_a_time() {
    named("two-to-five-in-batches", "two to five in batches").await;
}

#[tokio::test(start_paused = true)]
async fn five_become_two_one_at_a_time() {
    named("five-to-two-in-batches", "five to two in batches").await;
}

#[tokio::test(start_paused = true)]
async fn stop_first_holds_requests_while_its_release_command_runs() {
    named("redeploy-stop-first", "redeploy, stop-first").await;
}

#[tokio::test(start_paused = true)]
async fn hooks_run_once_before_in_each_after_its_start_and_in_each_before_its_stop() {
    named("redeploy-hooks", "redeploy with hooks").await;
}

#[tokio::test(start_paused = true)]
async fn hooks_of_a_single_writer_run_while_requests_wait() {
    named("redeploy-hooks-stop-first", "redeploy with hooks, stop-first").await;
}

#[tokio::test(start_paused = true)]
async fn workers_are_replaced_start_first() {
    named("redeploy-worker", "redeploy of a worker").await;
}

#[tokio::test(start_paused = true)]
async fn a_release_command_runs_in_the_new_image_while_the_old_release_serves() {
    named("redeploy-release-command", "redeploy with a release command").await;
}

#[tokio::test(start_paused = true)]
async fn two_atomic_apps_flip_in_one_call() {
    named("two-apps-atomic", "two apps, atomic").await;
}

#[tokio::test(start_paused = true)]
async fn another_configuration_of_the_same_source_builds_nothing() {
    let scene = changed("configured", project([app("go-app")]), project([environment(app("go-app"))])).await;
    reads("redeploy-configuration", &scene).await;
}

#[tokio::test(start_paused = true)]
async fn a_source_that_was_built_before_is_only_tagged() {
    let scene = edited("built", project([app("go-app")])).await;
    succeed(&scene.world, &scene.desired).await;
    *scene.world.state().sources.entry("go-app".to_owned()).or_default() -= 1;
    reads("redeploy-source-built-before", &scene).await;
}

#[tokio::test(start_paused = true)]
async fn an_image_that_is_pruned_before_it_is_tagged_costs_no_number() {
    let scene = edited("built", project([app("go-app")])).await;
    succeed(&scene.world, &scene.desired).await;
    *scene.world.state().sources.entry("go-app".to_owned()).or_default() -= 1;
    let gone = Fault::Fail(Error::Engine(EngineErrorKind::ImageNotFound));
    let report = run(&scene.world, &scene.desired, at_first("tag_image", gone)).await;
    scene.world.assert_lawful(&report.story());
    assert_eq!(report.outcome(), Outcome::Completed, "{}", report.story());
    let serving = scene.world.state().record(&"sample/go-app".parse().expect("a key")).map(|record| record.release);
    assert_eq!(serving, Some(ReleaseNumber(3)), "{}", report.story());
    assert_eq!(report.calls.iter().filter(|call| call.what == "tag_image").count(), 2, "{}", report.story());
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_was_disconnected_is_replaced() {
    let scene = edited("cut-off", project([replicas(2, app("go-app"))])).await;
    succeed(&scene.world, &scene.desired).await;
    let mut names: Vec<String> =
        scene.world.state().containers.keys().filter(|name| name.contains("go-app")).cloned().collect();
    let lost = names.remove(0);
    scene.world.state().containers.get_mut(&lost).expect("a replica").new.spec.networks.clear();
    let report = succeed(&scene.world, &scene.desired).await;
    assert_eq!(report.outcome(), Outcome::Completed, "{}", report.story());
    let state = scene.world.state();
    assert!(!state.containers.contains_key(&lost) && state.containers.contains_key(&names[0]), "{}", report.story());
}

#[tokio::test(start_paused = true)]
async fn a_newer_image_behind_the_same_reference_is_a_new_release() {
    reads("redeploy-image", &pulled().await).await;
}

#[tokio::test(start_paused = true)]
async fn a_delay_between_batches_is_a_step() {
    let mut app = in_batches_of(1, replicas(2, app("go-app")));
    app.rollout.delay = std::time::Duration::from_secs(30);
    reads("redeploy-with-delay", &edited("delay", project([app])).await).await;
}

#[tokio::test(start_paused = true)]
async fn one_app_of_two_that_has_changed_is_the_only_one_replaced() {
    let both = project([app("go-app"), app("node-app")]);
    let world = deployed(&both).await;
    world.edit("go-app");
    let (_, plan) = crate::session::look(&world, &Desired::of(both)).await;
    super::compare("one-of-two-changed", &plan.expect("a plan").to_string());
}

#[tokio::test(start_paused = true)]
async fn a_plan_is_the_same_with_any_image_of_its_source() {
    let scene = edited("built", project([app("go-app")])).await;
    succeed(&scene.world, &scene.desired).await;
    *scene.world.state().sources.entry("go-app".to_owned()).or_default() -= 1;
    let (mut observed, plan) = look(&scene.world, &scene.desired).await;
    let before = plan.expect("a plan").digest();
    let again = |observed: &ObservedState| {
        let Desired { project, apps, options, .. } = &scene.desired;
        plan_deploy(project, apps, observed, options).expect("a plan").digest()
    };
    let image = observed.images.get_mut(&name("go-app"));
    let Some(ResolvedImage::Source { built: Some(id), .. }) = image else { panic!("built before") };
    // Another project has built the same source meanwhile.
    *id = "sha256:another".to_owned();
    assert_eq!(again(&observed), before);
    let Some(ResolvedImage::Source { digest, .. }) = observed.images.get_mut(&name("go-app")) else { unreachable!() };
    *digest = "sha256:another-source".to_owned();
    assert_ne!(again(&observed), before);
}
