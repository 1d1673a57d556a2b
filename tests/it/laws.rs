//! The paper check of plans is itself checked: it must notice a plan that breaks a law.

use deploy_apps::model::ObservedState;
use deploy_apps::plan::{Plan, Planned, Stage, Step, check_laws};

use crate::fixture::*;
use crate::scenes::{Scene, edited};
use crate::session::look;

/// A good plan for a redeploy of two replicas, spoilt.
async fn spoilt(spoil: impl Fn(&mut Plan)) -> Vec<&'static str> {
    let scene: Scene = edited("redeploy", project([replicas(2, app("go-app"))])).await;
    let (observed, plan): (ObservedState, _) = look(&scene.world, &scene.desired).await;
    let mut plan = plan.expect("a plan");
    spoil(&mut plan);
    check_laws(&plan, &scene.desired.project, &observed).into_iter().map(|broken| broken.law).collect()
}

fn stop(name: &str) -> Stage {
    let stop = Step::StopContainer { name: name.to_owned(), signal: None, grace: None, restart: None };
    Stage::line(vec![Planned::new(stop, "a mistake")])
}

fn without(plan: &mut Plan, unwanted: impl Fn(&Step) -> bool) {
    let app = &mut plan.apps[0];
    for lane in app.before.iter_mut().chain(&mut app.after).flat_map(|stage| &mut stage.lanes) {
        lane.retain(|planned| !unwanted(&planned.step));
    }
}

#[tokio::test(start_paused = true)]
async fn a_good_plan_breaks_nothing() {
    assert!(spoilt(|_| {}).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn stopping_before_the_flip_is_noticed() {
    let broken = spoilt(|plan| plan.apps[0].before.push(stop("sample-go-app-r1-1"))).await;
    assert!(broken.contains(&"what the proxy says is serving is never stopped"), "{broken:?}");
}

#[tokio::test(start_paused = true)]
async fn a_flip_without_a_gate_is_noticed() {
    let broken = spoilt(|plan| without(plan, |step| matches!(step, Step::AwaitHealthy { .. }))).await;
    assert!(broken.contains(&"a replica gets traffic only after it was seen healthy"), "{broken:?}");
}

#[tokio::test(start_paused = true)]
async fn a_flip_without_a_last_look_is_noticed() {
    let broken = spoilt(|plan| plan.apps[0].look = None).await;
    assert_eq!(broken, ["what gets traffic is looked at right before"]);
}

#[tokio::test(start_paused = true)]
async fn a_stop_without_a_drain_is_noticed() {
    let broken = spoilt(|plan| without(plan, |step| matches!(step, Step::AwaitDrained { .. }))).await;
    assert!(broken.contains(&"a replica drains before it stops"), "{broken:?}");
}

#[tokio::test(start_paused = true)]
async fn draining_what_still_serves_is_noticed() {
    let broken = spoilt(|plan| {
        let cleanup = plan.apps[0].after.clone();
        plan.apps[0].before.extend(cleanup);
    })
    .await;
    assert!(broken.contains(&"what still gets requests cannot be drained"), "{broken:?}");
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_ends_with_fewer_replicas_is_noticed() {
    let broken = spoilt(|plan| plan.apps[0].flip = None).await;
    assert!(broken.contains(&"what the proxy says is serving is never stopped"), "{broken:?}");
    let broken = spoilt(|plan| plan.apps[0].replicas = 3).await;
    assert_eq!(broken, ["what serves at the end is what was asked for"]);
}
