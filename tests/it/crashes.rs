//! A process that is killed at any call: the next deploy ends where an undisturbed one would have, and nothing is left.

use deploy_apps::event::Outcome;

use crate::failures::undisturbed;
use crate::judge::{differs_from_after, stray};
use crate::scenes::{self, Scene};
use crate::session::{at, finish, look, no_faults, run};
use crate::world::{Behaviour, Fault};

pub async fn carry_on(scenes: Vec<Scene>) {
    for scene in &scenes {
        let (after, calls) = undisturbed(scene).await;
        for call in &calls {
            for fault in [Fault::Crash, Fault::CrashAfterEffect] {
                let context = format!("{}: {fault:?} at {call}", scene.name);
                let world = scene.fork();
                let killed = run(&world, &scene.desired, at(call.index, fault)).await;
                world.assert_lawful(&format!("{context}\n{}", killed.story()));
                let mut desired = scene.desired.clone();
                // What was asked for is done once; asking for it again would be another redeploy.
                desired.options.force = false;
                let next = finish(&world, &desired).await;
                let context = format!("{context}\n{}\nthen\n{}", killed.story(), next.story());
                for app in &desired.apps {
                    let key = desired.project.key(app);
                    // The image of the killed attempt stays: its layers make the next build quick.
                    let difference = differs_from_after(&world, &after, &key, false);
                    assert!(difference.is_none(), "{context}\n{difference:?}");
                }
                assert!(stray(&world).is_empty(), "{context}\nleft: {:?}", stray(&world));
                let (_, plan) = look(&world, &desired).await;
                // What was rolled back to serves now, so to go there again is refused.
                assert!(plan.is_ok_and(|plan| plan.changes_nothing()) || desired.is_rollback(), "{context}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_first_deploy_killed_anywhere_is_finished_by_the_next_one() {
    carry_on(scenes::first_deploys().await).await;
}

#[tokio::test(start_paused = true)]
async fn a_redeploy_killed_anywhere_is_finished_by_the_next_one() {
    carry_on(scenes::redeploys().await).await;
}

#[tokio::test(start_paused = true)]
async fn an_adjustment_killed_anywhere_is_finished_by_the_next_one() {
    carry_on(scenes::adjustments().await).await;
}

#[tokio::test(start_paused = true)]
async fn a_second_kill_anywhere_is_finished_by_the_third_run() {
    carry_on(scenes::after_crashes().await).await;
}

#[tokio::test(start_paused = true)]
async fn two_apps_killed_anywhere_are_finished_by_the_next_run() {
    carry_on(scenes::pairs().await).await;
}

#[tokio::test(start_paused = true)]
async fn a_hand_over_of_routes_killed_anywhere_is_finished_by_the_next_run() {
    carry_on(scenes::hand_overs().await).await;
}

#[tokio::test(start_paused = true)]
async fn a_bad_release_after_a_killed_stop_first_run_brings_the_old_one_back() {
    let scenes = scenes::after_crashes().await;
    let scene = scenes.into_iter().find(|scene| scene.name == "killed while it holds").expect("a scene");
    let world = scene.fork();
    world.script("-r3-1", Behaviour::never_healthy());
    let report = run(&world, &scene.desired, no_faults()).await;
    world.assert_lawful(&report.story());
    assert_eq!(report.outcome(), Outcome::RolledBack);
    let picture = world.picture();
    let record = picture.records.values().next().expect("a record");
    assert!(record.serves("sample-go-app-r1-1") && record.hold_ms == 0, "{}", report.story());
    assert!(picture.containers["sample-go-app-r1-1"], "{}", report.story());
}
