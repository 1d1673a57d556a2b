//! Canaries: a new release gets a rising share of the requests, and is watched.

use std::sync::Arc;
use std::time::Duration;

use deploy_apps::event::{CanaryStanding, Fact, Outcome};
use deploy_apps::model::{
    App, AppKey, CanaryGate, CanaryOrder, CanaryPolicy, CanaryStep, Features, OnSilence, Order, ReleaseNumber, Share,
};
use deploy_apps::plan::{CanaryChoice, PlanRefused, plan_deploy};

use crate::cancels::stop_anywhere;
use crate::crashes::carry_on;
use crate::failures::{faults_of, survive};
use crate::fixture::*;
use crate::scenes::{Scene, edited};
use crate::session::{Desired, Report, at_first, look, no_faults, run, succeed};
use crate::world::{Behaviour, Fault, World};

/// Two steps of 3 s each.
fn with_canary(mut app: App) -> App {
    let step = |percent| CanaryStep { weight: Share::of_percent(percent), duration: Duration::from_secs(3) };
    let gate = CanaryGate { min_requests: 100, max_wait: Duration::from_secs(9), ..CanaryGate::default() };
    app.canary = Some(CanaryPolicy { steps: vec![step(5), step(25)], gate, ..CanaryPolicy::default() });
    app
}

fn on_silence(on_silence: OnSilence, mut app: App) -> App {
    app.canary.as_mut().expect("a canary").gate.on_silence = on_silence;
    app
}

async fn scene(app: App) -> Scene {
    let scene = edited("canary", project([replicas(2, app)])).await;
    scene.world.state().traffic = 100;
    scene
}

fn key() -> AppKey {
    "sample/go-app".parse().expect("a key")
}

/// All requests go to what served, and nothing of the new release is left.
#[track_caller]
fn assert_as_before(world: &World, report: &Report) {
    world.assert_lawful(&report.story());
    let state = world.state();
    let record = state.record(&key()).expect("a record");
    assert_eq!((record.release, record.peers.len(), record.canary.is_none()), (ReleaseNumber(1), 2, true));
    let new = state.containers.keys().filter(|name| name.contains("-r2-")).count();
    assert_eq!(new, 0, "{}", report.story());
    assert_eq!(state.apps[&key()].served, [ReleaseNumber(1)], "a canary that was aborted is nothing to go back to");
}

fn standings(report: &Report) -> Vec<(CanaryStanding, &str)> {
    let told = report.facts().filter_map(|fact| match fact {
        Fact::CanaryCompared { standing, summary, .. } => Some((*standing, summary.as_str())),
        _ => None,
    });
    told.filter(|(standing, _)| *standing != CanaryStanding::Watched).collect()
}

#[tokio::test(start_paused = true)]
async fn the_plan_has_every_step_and_its_gate() {
    let scene = scene(with_canary(app("go-app"))).await;
    let (_, plan) = look(&scene.world, &scene.desired).await;
    let plan = plan.expect("a plan").to_string();
    let lines = [
        "flip `sample/go-app` from #1 to `sample-go-app-r1-1` `sample-go-app-r1-2` `sample-go-app-r2-1` \
         `sample-go-app-r2-2`, r2 at 5 % — canary step 1 of 2",
        "watch r2 at 5 % for 3s: at most 1 % more errors than r1, by 100 requests within 9s, else go on — a bad release is \
         seen by few",
        "`sample-go-app-r2-2`, r2 at 25 % — canary step 2 of 2",
        "watch r2 at 25 % for 3s",
        "flip `sample/go-app` to `sample-go-app-r2-1` `sample-go-app-r2-2` — the source has changed",
    ];
    let mut rest = plan.as_str();
    for line in lines {
        let Some((_, after)) = rest.split_once(line) else { panic!("no `{line}` in its place in\n{plan}") };
        rest = after;
    }
}

#[tokio::test(start_paused = true)]
async fn a_good_release_gets_everything_step_by_step() {
    let scene = scene(with_canary(app("go-app"))).await;
    let report = succeed(&scene.world, &scene.desired).await;
    let (standings, words): (Vec<_>, Vec<_>) = standings(&report).into_iter().unzip();
    assert_eq!(standings, [CanaryStanding::Passed, CanaryStanding::Passed]);
    assert_eq!(words[0], "r2 at 5 %: 0.0 % errors of 300 requests, r1 0.0 % errors of 300 requests");
    let state = scene.world.state();
    let record = state.record(&key()).expect("a record");
    assert_eq!((record.release, record.peers.len(), record.canary.is_none()), (ReleaseNumber(2), 2, true));
}

#[tokio::test(start_paused = true)]
async fn a_bad_release_is_aborted_before_its_step_is_over() {
    let scene = scene(with_canary(app("go-app"))).await;
    scene.world.state().failing = [ReleaseNumber(2)].into();
    let report = run(&scene.world, &scene.desired, no_faults()).await;
    assert_eq!(report.outcome(), Outcome::Aborted, "{}", report.story());
    assert_as_before(&scene.world, &report);
    let result = &report.result.as_ref().expect("an end").as_ref().expect("results")[0];
    assert_eq!(
        result.reason.as_deref(),
        Some("r2 aborted at 5 %: 10.0 % errors of 200 requests, r1 0.0 % errors of 200 requests")
    );
    assert!(result.took < Duration::from_secs(8), "{:?}", result.took);
}

#[tokio::test(start_paused = true)]
async fn a_release_that_fails_as_much_as_what_serves_is_no_worse() {
    let scene = scene(with_canary(app("go-app"))).await;
    scene.world.state().failing = [ReleaseNumber(1), ReleaseNumber(2)].into();
    succeed(&scene.world, &scene.desired).await;
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_ends_aborts_the_canary_at_once() {
    let scene = scene(with_canary(app("go-app"))).await;
    scene.world.script("-r2-2", Behaviour::exits_after(Duration::from_secs(2), 3));
    let report = run(&scene.world, &scene.desired, no_faults()).await;
    assert_eq!(report.outcome(), Outcome::Aborted, "{}", report.story());
    assert_as_before(&scene.world, &report);
    assert!(report.story().contains("`sample-go-app-r2-2` exited with code 3"), "{}", report.story());
}

#[tokio::test(start_paused = true)]
async fn somebody_else_may_promote_or_abort_it() {
    for (order, outcome) in [(CanaryOrder::Promote, Outcome::Completed), (CanaryOrder::Abort, Outcome::Aborted)] {
        let scene = scene(with_canary(app("go-app"))).await;
        scene.world.state().orders.insert(key(), order);
        let report = run(&scene.world, &scene.desired, no_faults()).await;
        assert_eq!(report.outcome(), outcome, "{}", report.story());
        let standings = standings(&report);
        assert!(standings[0].1.contains("ed by `bob` on `ci`"), "{standings:?}");
        if outcome == Outcome::Aborted {
            assert_as_before(&scene.world, &report);
        } else {
            let watched = report.calls.iter().filter(|call| call.what == "canary").count();
            assert_eq!(watched, 2, "the second step is not watched: {}", report.story());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn without_requests_it_goes_on_or_is_aborted_as_asked() {
    for (silence, outcome) in [(OnSilence::Promote, Outcome::Completed), (OnSilence::Abort, Outcome::Aborted)] {
        let scene = scene(on_silence(silence, with_canary(app("go-app")))).await;
        scene.world.state().traffic = 0;
        let report = run(&scene.world, &scene.desired, no_faults()).await;
        assert_eq!(report.outcome(), outcome, "{}", report.story());
        let least = if silence == OnSilence::Promote { 18 } else { 9 };
        let took = report.result.as_ref().expect("an end").as_ref().expect("results")[0].took;
        assert!(took >= Duration::from_secs(least), "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_killed_watcher_leaves_what_served_and_the_next_run_cleans_up() {
    let scene = scene(with_canary(app("go-app"))).await;
    let report = run(&scene.world, &scene.desired, at_first("canary", Fault::Crash)).await;
    assert!(report.result.is_none(), "{}", report.story());
    let record = scene.world.state().record(&key()).cloned().expect("a record");
    assert_eq!((record.release, record.peers.len(), record.canary), (ReleaseNumber(1), 2, None));
    succeed(&scene.world, &scene.desired).await;
    assert_eq!(crate::judge::stray(&scene.world), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn options_add_a_canary_change_its_steps_or_leave_it_out() {
    let weights = |world: Arc<World>, desired: Desired| async move {
        let (_, plan) = look(&world, &desired).await;
        let plan = plan.expect("a plan").to_string();
        let weight = |line: &str| Some(line.split_once("watch r2 at ")?.1.split_once(':')?.0.to_owned());
        plan.lines().filter_map(weight).collect::<Vec<_>>()
    };
    let with = scene(with_canary(app("go-app"))).await;
    let without = scene(app("go-app")).await;
    let choosing = |scene: &Scene, canary: CanaryChoice| {
        let mut desired = scene.desired.clone();
        desired.options.canary = canary;
        weights(Arc::clone(&scene.world), desired)
    };
    let on = |percents: &[u32], seconds: Option<u64>| CanaryChoice::On {
        weights: percents.iter().map(|percent| Share::of_percent(*percent)).collect(),
        duration: seconds.map(Duration::from_secs),
    };
    assert_eq!(choosing(&with, CanaryChoice::File).await, ["5 % for 3s", "25 % for 3s"]);
    assert!(choosing(&with, CanaryChoice::Off).await.is_empty());
    assert!(choosing(&without, CanaryChoice::File).await.is_empty());
    assert_eq!(choosing(&with, on(&[], Some(7))).await, ["5 % for 7s", "25 % for 7s"]);
    assert_eq!(choosing(&with, on(&[10], None)).await, ["10 % for 120s"]);
    assert_eq!(choosing(&without, on(&[], None)).await, ["5 % for 120s", "25 % for 120s", "50 % for 60s"]);
}

#[tokio::test(start_paused = true)]
async fn a_first_deploy_has_nothing_to_compare_with() {
    let world = World::new();
    let report = succeed(&world, &Desired::of(project([with_canary(app("go-app"))]))).await;
    assert_eq!(standings(&report), []);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_have_a_canary_is_refused() {
    let mut stop_first = with_canary(app("go-app"));
    stop_first.rollout.order = Order::StopFirst;
    let stop_first = scene(stop_first).await;
    let (_, refused) = look(&stop_first.world, &stop_first.desired).await;
    assert!(matches!(refused, Err(PlanRefused::NoCanary { .. })), "{refused:?}");

    let scene = scene(with_canary(app("go-app"))).await;
    let (_, refused) = look(&scene.world, &scene.desired.clone().atomic()).await;
    assert!(matches!(refused, Err(PlanRefused::NoCanary { .. })), "{refused:?}");

    let (mut observed, _) = look(&scene.world, &scene.desired).await;
    let known = ["releases", "scale"].into_iter().collect::<Features>();
    observed.proxy.features = known;
    let refused = plan_deploy(&scene.desired.project, &scene.desired.apps, &observed, &scene.desired.options);
    assert!(matches!(refused, Err(PlanRefused::ProxyWithoutSetting { setting: "canary", .. })), "{refused:?}");
}

#[tokio::test(start_paused = true)]
async fn any_fault_at_any_call_of_a_canary_leaves_the_app_as_before_or_as_after() {
    survive(vec![scene(with_canary(app("go-app"))).await], faults_of).await;
}

#[tokio::test(start_paused = true)]
async fn a_canary_can_be_cancelled_anywhere() {
    stop_anywhere(vec![scene(with_canary(app("go-app"))).await]).await;
}

#[tokio::test(start_paused = true)]
async fn a_run_after_a_canary_that_was_killed_anywhere_comes_to_the_desired_end() {
    carry_on(vec![scene(with_canary(app("go-app"))).await]).await;
}
