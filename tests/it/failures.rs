//! A fault at every call of every scene: the laws hold, and the world is as before or as after.

use deploy_apps::ports::EngineErrorKind;

use crate::judge::judge;
use crate::scenes::{self, Scene};
use crate::session::{at, no_faults, run};
use crate::world::{Call, Error, Fault, Port, World};
use std::sync::Arc;
use std::time::Duration;

/// The end of an undisturbed run, and the calls that it makes.
pub async fn undisturbed(scene: &Scene) -> (Arc<World>, Vec<Call>) {
    let world = scene.fork();
    let report = run(&world, &scene.desired, no_faults()).await;
    let context = format!("{}\n{}", scene.name, report.story());
    world.assert_lawful(&context);
    (world, report.calls)
}

/// What may go wrong at this call.
pub fn faults_of(call: &Call) -> Vec<Fault> {
    use Error::{Engine, GenerationMoved, Malformed, PersistFailed, Refused, Unreachable};
    let specific = match call.what {
        "create_container" => vec![Engine(EngineErrorKind::ImageNotFound), Engine(EngineErrorKind::Conflict)],
        "start_container" => vec![Engine(EngineErrorKind::AddressTaken), Engine(EngineErrorKind::PortTaken)],
        "build_image" => vec![Engine(EngineErrorKind::BuildFailed), Engine(EngineErrorKind::DiskFull)],
        "flip" => vec![GenerationMoved, PersistFailed],
        _ => Vec::new(),
    };
    let general = match call.port {
        Port::Engine => vec![Engine(EngineErrorKind::Other)],
        Port::Proxy => vec![Refused],
    };
    let before = specific.into_iter().chain(general).chain([Unreachable]).map(Fault::Fail);
    let lost = if call.port == Port::Proxy { vec![Unreachable, Malformed] } else { vec![Unreachable] };
    before.chain(lost.into_iter().map(Fault::FailAfterEffect)).collect()
}

pub async fn survive(scenes: Vec<Scene>, faults: impl Fn(&Call) -> Vec<Fault>) {
    let mut runs = 0;
    for scene in &scenes {
        let (after, calls) = undisturbed(scene).await;
        for call in &calls {
            for fault in faults(call) {
                let world = scene.fork();
                let before = world.picture();
                let report = run(&world, &scene.desired, at(call.index, fault)).await;
                judge(scene, &world, &before, &after, &report, &format!("{fault:?} at {call}"));
                runs += 1;
            }
        }
    }
    println!("{runs} runs");
}

#[tokio::test(start_paused = true)]
async fn any_failed_call_leaves_a_first_deploy_undone_or_done() {
    survive(scenes::first_deploys().await, faults_of).await;
}

#[tokio::test(start_paused = true)]
async fn any_failed_call_leaves_the_old_or_the_new_release_serving() {
    survive(scenes::redeploys().await, faults_of).await;
}

#[tokio::test(start_paused = true)]
async fn any_failed_call_leaves_an_adjustment_undone_or_done() {
    survive(scenes::adjustments().await, faults_of).await;
}

#[tokio::test(start_paused = true)]
async fn any_failed_call_after_a_crash_does_no_harm() {
    survive(scenes::after_crashes().await, faults_of).await;
}

#[tokio::test(start_paused = true)]
async fn any_failed_call_leaves_two_apps_each_as_before_or_as_after() {
    survive(scenes::pairs().await, faults_of).await;
}

#[tokio::test(start_paused = true)]
async fn any_failed_call_leaves_routes_with_their_old_or_their_new_app() {
    survive(scenes::hand_overs().await, faults_of).await;
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_restarts_at_any_call_costs_at_most_the_deploy() {
    survive(scenes::all().await, |_| vec![Fault::RestartProxy(Duration::from_millis(400))]).await;
}
