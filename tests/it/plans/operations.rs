//! `scale` and `rollback`: their plans, and what they refuse with all that a user reads.

use deploy_apps::model::{Mount, MountSource};
use deploy_apps::plan::{Intent, PlanRefused};

use super::{compare, reads};
use crate::fixture::*;
use crate::scenes::{deployed, replaced, rollbacks, scaled, scales};
use crate::session::{Desired, look, succeed};
use crate::world::World;

async fn named(file: &str, name: &str) {
    let scene = scales().await.into_iter().chain(rollbacks().await).find(|scene| scene.name == name);
    reads(file, &scene.expect("a scene of this name")).await;
}

#[tokio::test(start_paused = true)]
async fn more_of_the_serving_release_whatever_the_file_says_meanwhile() {
    named("scale-up", "scaled up beside a changed source").await;
}

#[tokio::test(start_paused = true)]
async fn fewer_are_flipped_out_drained_and_stopped() {
    named("scale-down", "scaled down").await;
}

#[tokio::test(start_paused = true)]
async fn to_zero_and_back_is_the_same_release() {
    named("scale-to-zero", "scaled to zero").await;
    named("scale-from-zero", "scaled from zero").await;
}

#[tokio::test(start_paused = true)]
async fn a_deploy_keeps_the_scaled_number_and_a_changed_file_drops_it() {
    let two = project([replicas(2, app("go-app"))]);
    let scene = scaled("remembered", two, 4).await;
    scene.world.edit("go-app");
    reads("deploy-as-scaled", &scene).await;
    let other = Desired::of(project([replicas(3, app("go-app"))]));
    reads("deploy-file-wins", &scene.desiring(other)).await;
}

#[tokio::test(start_paused = true)]
async fn an_earlier_release_comes_back_under_its_own_number() {
    named("rollback", "rolled back").await;
    named("rollback-in-batches", "rolled back in batches").await;
    named("rollback-stop-first", "rolled back, stop-first").await;
    named("rollback-atomic", "two apps rolled back, atomic").await;
}

#[tokio::test(start_paused = true)]
async fn a_mixed_state_after_a_crash_goes_back_to_the_older_release() {
    named("rollback-between-batches", "rolled back between two batches").await;
    named("rollback-after-a-kill", "rolled back once more after a kill").await;
}

#[tokio::test(start_paused = true)]
async fn the_release_command_runs_again_when_that_is_asked_for() {
    let mut scene = replaced("command", project([with_release_command(app("go-app"))])).await;
    scene.desired = scene.desired.intending(Intent::Rollback { to: [].into(), release_command: true });
    reads("rollback-release-command", &scene).await;
}

/// The refusal, with what could be rolled back to instead.
async fn refused(world: &std::sync::Arc<World>, desired: &Desired) -> (String, String, Vec<String>) {
    let refused: PlanRefused = look(world, desired).await.1.expect_err("a refusal");
    let targets = refused.targets().iter().map(|target| format!("{} {}", target.release, target.version)).collect();
    (refused.to_string(), refused.hint(), targets)
}

#[tokio::test(start_paused = true)]
async fn a_release_that_cannot_be_brought_back_is_refused_with_those_that_can() {
    let one = || project([app("go-app")]);
    let scene = replaced("refused", one()).await;
    let world = &scene.world;
    world.edit("go-app");
    succeed(world, &Desired::of(one())).await;
    // r4 fails, so it never serves.
    world.edit("go-app");
    world.script("-r4-", crate::world::Behaviour::never_healthy());
    crate::session::run(world, &Desired::of(one()), crate::session::no_faults()).await;

    let hint = "`deploy-apps rollback go-app r2` goes back to the newest of them";
    let both = ["r2 1.0.0+2", "r1 1.0.0+1"];
    for (release, why) in
        [(9, "there is no r9"), (0, "there is no r0"), (4, "r4 has never served"), (3, "r3 serves already")]
    {
        let (text, said, targets) = refused(world, &Desired::rollback(one(), &[("go-app", release)])).await;
        assert_eq!(text, format!("app `sample/go-app` cannot be rolled back: {why}"));
        assert_eq!((said.as_str(), targets), (hint, both.map(str::to_owned).to_vec()));
    }

    let gone = world.fork();
    gone.state().stored.retain(|(_, release), _| release.0 != 2);
    let (text, hint, targets) = refused(&gone, &Desired::rollback(one(), &[("go-app", 2)])).await;
    assert_eq!(text, "app `sample/go-app` cannot be rolled back: what r2 was made of is no longer kept");
    assert_eq!(hint, "`deploy-apps rollback go-app r1` goes back to the newest of them");
    assert_eq!(targets, ["r1 1.0.0+1"]);
    // Without a number it is the highest that is still kept.
    let plan = look(&gone, &Desired::rollback(one(), &[])).await.1.expect("a plan");
    assert_eq!(plan.apps[0].release.number.0, 1);

    // An image that is gone is said, not silently passed over.
    let gone = world.fork();
    {
        let mut state = gone.state();
        let id = state.tags.remove("deploy-apps/sample-go-app:r2").expect("a tag");
        state.built.remove(&id);
    }
    let (text, _, targets) = refused(&gone, &Desired::rollback(one(), &[])).await;
    assert_eq!(text, "app `sample/go-app` cannot be rolled back: the image of r2 is no longer on the engine");
    assert_eq!(targets, ["r1 1.0.0+1"]);
}

#[tokio::test(start_paused = true)]
async fn without_an_earlier_release_there_is_nothing_to_go_back_to() {
    let one = project([app("go-app")]);
    let world = deployed(&one).await;
    let (text, hint, targets) = refused(&world, &Desired::rollback(one, &[])).await;
    assert_eq!(text, "app `sample/go-app` cannot be rolled back: no release before r1 is kept that has served");
    assert_eq!(hint, "a release can be rolled back to once it has served and another has replaced it");
    assert!(targets.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_app_with_one_writer_is_not_scaled_beyond_it() {
    let mut writer = stop_first(app("go-app"));
    let source = MountSource::Volume("sample_data".to_owned());
    writer.service.container.mounts = vec![Mount { source, target: "/data".to_owned(), ..Mount::default() }];
    let wanted = project([writer.clone()]);
    let world = deployed(&wanted).await;
    world.state().volumes.insert("sample_data".to_owned());
    let (text, hint, _) = refused(&world, &Desired::scale(wanted.clone(), &[("go-app", 2)])).await;
    assert_eq!(
        text,
        "app `sample/go-app` cannot have 2 replicas: with `order: stop-first` only one may write to `sample_data`"
    );
    assert_eq!(
        hint,
        "use `order: start-first` if several may write at once, or mount it read-only; else one replica is all it can have"
    );
    let mut by_hand = Desired::of(wanted.clone());
    by_hand.options.replicas = Some(2);
    assert_eq!(refused(&world, &by_hand).await.0, text);
    // To rest and back is no second writer, and a file that asks for several knows what it does.
    assert!(look(&world, &Desired::scale(wanted, &[("go-app", 0)])).await.1.is_ok());
    let several = project([replicas(2, writer)]);
    assert!(look(&world, &Desired::scale(several, &[("go-app", 3)])).await.1.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_kept_release_whose_volume_is_gone_does_not_get_an_empty_one() {
    let mut app = app("go-app");
    let source = MountSource::Volume("uploads".to_owned());
    app.service.container.mounts = vec![Mount { source, target: "/data".to_owned(), ..Mount::default() }];
    let scene = replaced("gone", project([app])).await;
    let (text, hint, _) = refused(&scene.world, &scene.desired).await;
    assert_eq!(text, "r1 of app `sample/go-app` needs volume `uploads`, which is no longer on the engine");
    assert_eq!(hint, "`docker volume create uploads`");
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_is_shown_does_without_what_is_kept() {
    let mut app = app("go-app");
    app.service.container.environment.insert("PASSWORD".to_owned(), "hunter2".to_owned());
    let scene = crate::scenes::edited("secret", project([app])).await;
    let plan = look(&scene.world, &scene.desired).await.1.expect("a plan");
    let stored = plan.apps[0].steps().find(|planned| planned.to_string().starts_with("store")).expect("a step");
    let json = serde_json::to_string(stored).expect("JSON");
    assert!(!json.contains("hunter2") && !format!("{stored:?}").contains("hunter2"), "{json}");
    compare("keep-what-it-is-made-of", &format!("{json}\n"));
}
