//! The user's desired to stop, at any call.

use deploy_apps::event::Outcome;

use crate::failures::undisturbed;
use crate::judge::{differs_from_before, judge};
use crate::scenes::{self, Scene};
use crate::session::{at, finish, run};
use crate::world::Fault;

/// The index of the call that routes an app for good.
fn last_flip(calls: &[crate::world::Call]) -> usize {
    calls.iter().rposition(|call| call.what == "flip").unwrap_or(calls.len())
}

pub async fn stop_anywhere(scenes: Vec<Scene>) {
    for scene in &scenes {
        let (after, calls) = undisturbed(scene).await;
        for call in &calls {
            let world = scene.fork();
            let before = world.picture();
            let report = run(&world, &scene.desired, at(call.index, Fault::Cancel)).await;
            let context = format!("cancelled at {call}");
            judge(scene, &world, &before, &after, &report, &context);
            if call.index < last_flip(&calls)
                && scene.desired.apps.len() == 1
                && calls.iter().any(|call| call.what == "flip")
            {
                let key = scene.desired.project.key(&scene.desired.apps[0]);
                let differences = differs_from_before(&world, &before, &key, &[]);
                assert!(differences.is_empty(), "{}: {context}\n{differences:?}\n{}", scene.name, report.story());
                assert!(
                    !report.outcomes().contains(&Outcome::Completed),
                    "{}: {context}\n{}",
                    scene.name,
                    report.story()
                );
            }
            finish(&world, &scene.desired).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_first_deploy_is_undone_before_the_flip_and_stays_after_it() {
    stop_anywhere(scenes::first_deploys().await).await;
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_redeploy_is_undone_before_the_flip_and_stays_after_it() {
    stop_anywhere(scenes::redeploys().await).await;
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_adjustment_is_undone_before_the_flip_and_stays_after_it() {
    stop_anywhere(scenes::adjustments().await).await;
}

#[tokio::test(start_paused = true)]
async fn a_run_after_a_crash_can_be_cancelled_anywhere() {
    stop_anywhere(scenes::after_crashes().await).await;
}

#[tokio::test(start_paused = true)]
async fn two_apps_can_be_cancelled_anywhere() {
    stop_anywhere(scenes::pairs().await).await;
}

#[tokio::test(start_paused = true)]
async fn a_hand_over_of_routes_can_be_cancelled_anywhere() {
    stop_anywhere(scenes::hand_overs().await).await;
}
