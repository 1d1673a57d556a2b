//! `scale` and `rollback` under faults, crashes and the cancellation; and what they leave for later deploys.

use std::time::Duration;

use deploy_apps::event::{Fact, Outcome};
use deploy_apps::model::{AppRecord, AuthUser, BasicAuth, ReleaseNumber, ReplicaSource, Scale};
use deploy_apps::ports::ProxyError;
use deploy_apps::rollout::DeployError;

use crate::cancels::stop_anywhere;
use crate::crashes::carry_on;
use crate::failures::{faults_of, survive};
use crate::fixture::*;
use crate::scenes::{self, deployed, replaced, scaled};
use crate::session::{Desired, at_first, look, no_faults, run, succeed};
use crate::world::{Behaviour, Fault, World};

#[tokio::test(start_paused = true)]
async fn any_failed_call_leaves_a_change_of_scale_undone_or_done() {
    survive(scenes::scales().await, faults_of).await;
}

#[tokio::test(start_paused = true)]
async fn any_failed_call_leaves_a_rollback_undone_or_done() {
    survive(scenes::rollbacks().await, faults_of).await;
}

#[tokio::test(start_paused = true)]
async fn a_change_of_scale_killed_anywhere_is_finished_by_the_next_one() {
    carry_on(scenes::scales().await).await;
}

#[tokio::test(start_paused = true)]
async fn a_rollback_killed_anywhere_leads_to_the_same_release_when_it_is_asked_for_again() {
    carry_on(scenes::rollbacks().await).await;
}

#[tokio::test(start_paused = true)]
async fn a_change_of_scale_can_be_cancelled_anywhere() {
    stop_anywhere(scenes::scales().await).await;
}

#[tokio::test(start_paused = true)]
async fn a_rollback_can_be_cancelled_anywhere() {
    stop_anywhere(scenes::rollbacks().await).await;
}

fn record(world: &World) -> AppRecord {
    world.state().record(&"sample/go-app".parse().expect("a key")).expect("a record").clone()
}

fn serving(world: &World) -> (ReleaseNumber, Vec<String>, Option<Scale>) {
    let record = record(world);
    (record.release, record.peers.iter().map(|peer| peer.id.clone()).collect(), record.scale)
}

#[tokio::test(start_paused = true)]
async fn neither_a_source_nor_a_registry_is_asked_for_a_kept_release() {
    let scene = replaced("rolled back", project([replicas(2, app("go-app"))])).await;
    let back = succeed(&scene.world, &scene.desired).await;
    let scaled = succeed(&scene.world, &Desired::scale(scene.desired.project.clone(), &[("go-app", 3)])).await;
    let asked = ["source_digest", "build_image", "pull_image", "image_id"];
    for call in back.calls.iter().chain(&scaled.calls) {
        assert!(!asked.contains(&call.what), "{call}");
    }
    let names = ["sample-go-app-r1-1", "sample-go-app-r1-2", "sample-go-app-r1-3"].map(str::to_owned).to_vec();
    assert_eq!(serving(&scene.world), (ReleaseNumber(1), names, Some(Scale { replicas: 3, file: Some(2) })));
}

#[tokio::test(start_paused = true)]
async fn what_was_scaled_to_is_kept_by_deploys_and_rollbacks_until_the_file_says_another_number() {
    let two = || project([replicas(2, app("go-app"))]);
    let scene = scaled("scaled", two(), 4).await;
    let world = &scene.world;
    world.edit("go-app");
    succeed(world, &Desired::of(two())).await;
    assert_eq!(serving(world).1.len(), 4, "a new release");
    succeed(world, &Desired::rollback(two(), &[])).await;
    assert_eq!((serving(world).0, serving(world).1.len()), (ReleaseNumber(1), 4), "an old one");

    let file = project([replicas(3, app("go-app"))]);
    let plan = look(world, &Desired::of(file.clone())).await.1.expect("a plan");
    assert_eq!(
        plan.apps[0].warnings,
        ["it was scaled to 4 while the compose file said 2; that says 3 now, which counts again"]
    );
    assert_eq!((plan.apps[0].replicas, plan.apps[0].replicas_from), (3, ReplicaSource::ComposeFile));
    succeed(world, &Desired::of(file)).await;
    assert_eq!((serving(world).1.len(), serving(world).2), (3, None));
}

#[tokio::test(start_paused = true)]
async fn a_rollback_asks_for_passwords_again_with_the_users_of_now() {
    let auth = |realm: &str, hash: &str| {
        let user = AuthUser { name: "ann".to_owned(), hash: hash.to_owned() };
        BasicAuth::new(realm.to_owned(), false, vec![user])
    };
    let with = |auth: Option<BasicAuth>| {
        let mut app = app("go-app");
        app.settings.basic_auth = auth;
        project([app])
    };
    let asks = |world: &World| record(world).settings.basic_auth.map(|auth| (auth.realm, auth.users[0].hash.clone()));
    let was = |realm: &str, hash: &str| Some((realm.to_owned(), hash.to_owned()));
    let world = deployed(&with(Some(auth("first", "old")))).await;
    assert_eq!(asks(&world), was("first", "old"));
    assert_eq!(succeed(&world, &Desired::of(with(Some(auth("first", "old"))))).await.outcome(), Outcome::UpToDate);
    world.edit("go-app");
    succeed(&world, &Desired::of(with(Some(auth("second", "new"))))).await;
    succeed(&world, &Desired::rollback(with(Some(auth("second", "new"))), &[])).await;
    assert_eq!(asks(&world), was("first", "new"));
    world.edit("go-app");
    succeed(&world, &Desired::of(with(None))).await;
    assert_eq!(asks(&world), None);
    let (_, plan) = look(&world, &Desired::rollback(with(None), &[])).await;
    let refused = plan.expect_err("its users are kept nowhere").to_string();
    assert!(refused.contains("`x-deploy-apps.basic_auth.users`"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn a_rollback_brings_back_the_settings_that_its_release_had_last() {
    let world = deployed(&project([app("go-app")])).await;
    let with = |to: &str| project([redirected(to, app("go-app"))]);
    let target = || record(&world).settings.redirects.first().map(|redirect| redirect.to.clone());
    let report = succeed(&world, &Desired::of(with("/one"))).await;
    assert!(report.facts().all(|fact| !matches!(fact, Fact::ReplicaStarted { .. })), "{}", report.story());
    assert_eq!(
        (serving(&world).0, target().as_deref()),
        (ReleaseNumber(1), Some("/one")),
        "one flip of the same release"
    );
    assert_eq!(succeed(&world, &Desired::of(with("/one"))).await.outcome(), Outcome::UpToDate);
    world.edit("go-app");
    succeed(&world, &Desired::of(with("/two"))).await;
    assert_eq!((serving(&world).0, target().as_deref()), (ReleaseNumber(2), Some("/two")));
    succeed(&world, &Desired::rollback(with("/two"), &[])).await;
    assert_eq!((serving(&world).0, target().as_deref()), (ReleaseNumber(1), Some("/one")));
    succeed(&world, &Desired::of(with("/two"))).await;
    assert_eq!(target().as_deref(), Some("/two"), "the next deploy applies the file again");
}

#[tokio::test(start_paused = true)]
async fn replicas_of_a_deploy_are_remembered_like_those_of_scale() {
    let one = || project([app("go-app")]);
    let world = deployed(&one()).await;
    let mut desired = Desired::of(one());
    desired.options.replicas = Some(3);
    succeed(&world, &desired).await;
    assert_eq!(serving(&world).2, Some(Scale { replicas: 3, file: None }));
    let again = succeed(&world, &Desired::of(one())).await;
    assert_eq!(again.outcome(), Outcome::UpToDate, "{}", again.story());
    // What the file says anyway is nothing to remember.
    succeed(&world, &Desired::scale(one(), &[("go-app", 1)])).await;
    assert_eq!((serving(&world).1.len(), serving(&world).2), (1, None));
}

#[tokio::test(start_paused = true)]
async fn what_is_changed_while_an_app_rests_is_a_release_of_its_own() {
    let one = || project([app("go-app")]);
    let scene = scaled("asleep", one(), 0).await;
    let world = &scene.world;
    assert_eq!(succeed(world, &Desired::of(one())).await.outcome(), Outcome::UpToDate);
    world.edit("go-app");
    succeed(world, &Desired::of(one())).await;
    assert_eq!((serving(world).0, serving(world).1.len()), (ReleaseNumber(2), 0));
    // Nobody has seen r2 healthy, so it is not scaled up blindly; r1 can be brought back.
    let refused = run(world, &Desired::scale(one(), &[("go-app", 2)]), no_faults()).await;
    let Some(Err(DeployError::Refused(refused))) = refused.result else { panic!("{}", refused.story()) };
    assert_eq!(
        refused.to_string(),
        "r2 of app `sample/go-app` was deployed with no replica, so it has never been seen healthy"
    );
    succeed(world, &Desired::rollback(one(), &[])).await;
    succeed(world, &Desired::scale(one(), &[("go-app", 2)])).await;
    assert_eq!((serving(world).0, serving(world).1.len()), (ReleaseNumber(1), 2));
}

#[tokio::test(start_paused = true)]
async fn a_rollback_that_does_not_get_healthy_is_undone() {
    let scene = replaced("rolled back", project([replicas(2, app("go-app"))])).await;
    scene.world.script("-r1-", Behaviour::never_healthy());
    let before = scene.world.picture();
    let report = run(&scene.world, &scene.desired, no_faults()).await;
    scene.world.assert_lawful(&report.story());
    assert_eq!(report.outcome(), Outcome::RolledBack, "{}", report.story());
    assert_eq!(scene.world.picture(), before);
}

#[tokio::test(start_paused = true)]
async fn of_two_apps_the_one_that_is_back_already_does_not_go_back_once_more() {
    let scene = replaced("two", project([app("go-app"), app("node-app")])).await;
    let (world, two) = (&scene.world, scene.desired.project.clone());
    for app in ["go-app", "node-app"] {
        world.edit(app);
    }
    succeed(world, &Desired::of(two.clone())).await;
    // r2 of go-app is there again and drains; node-app has come to its end.
    let mut node = scene.desired.clone();
    node.apps.remove(0);
    succeed(world, &node).await;
    let mut go = scene.desired.clone();
    go.apps.truncate(1);
    run(world, &go, at_first("flip", Fault::CrashAfterEffect)).await;
    world.state().leases.clear();

    let report = run(world, &scene.desired, no_faults()).await;
    let Some(Err(DeployError::Refused(refused))) = &report.result else { panic!("{}", report.story()) };
    assert_eq!(
        (refused.to_string().as_str(), refused.hint().as_str()),
        (
            "a rollback of app `sample/go-app` was cut off, so it is not known whether `sample/node-app` has been rolled \
             back already",
            "say the releases: `deploy-apps rollback go-app rN node-app rN`, or one app at a time",
        )
    );
    let named = Desired::rollback(two, &[("go-app", 2), ("node-app", 2)]);
    succeed(world, &named).await;
    assert_eq!(serving(world).0, ReleaseNumber(2));
    assert!(crate::judge::stray(world).is_empty());
    // Both are there now.
    let report = run(world, &named, no_faults()).await;
    assert!(matches!(report.result, Some(Err(DeployError::Refused(_)))), "{}", report.story());
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_still_counts_open_requests_lends_nobody_its_name() {
    let scene = replaced("rolled back", project([replicas(2, app("go-app"))])).await;
    // Its container is gone, but a half-open connection is still counted.
    scene.world.open("sample-go-app-r1-2", true, Duration::from_secs(600));
    succeed(&scene.world, &scene.desired).await;
    assert_eq!(serving(&scene.world).1, ["sample-go-app-r1-3", "sample-go-app-r1-4"]);
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_dies_while_it_waits_for_a_slower_one_is_not_flipped_in() {
    for atomic in [false, true] {
        let two = project([replicas(2, app("go-app")), app("node-app")]);
        let world = deployed(&two).await;
        for app in ["go-app", "node-app"] {
            world.edit(app);
        }
        world.script("go-app-r2-1", Behaviour::exits_after(Duration::from_millis(700), 3));
        world.script("go-app-r2-2", Behaviour::healthy_after(Duration::from_secs(2)));
        let mut desired = Desired::of(two);
        desired.options.atomic = atomic;
        let before = world.picture();
        let report = run(&world, &desired, no_faults()).await;
        world.assert_lawful(&report.story());
        let expected = [Outcome::RolledBack, if atomic { Outcome::RolledBack } else { Outcome::Completed }];
        let mut outcomes = report.outcomes();
        outcomes.sort();
        outcomes.reverse();
        assert_eq!(outcomes, expected, "{}", report.story());
        let why = report.facts().find_map(|fact| match fact {
            Fact::StepFailed { step, error, .. } => Some((step.clone(), error.clone())),
            _ => None,
        });
        let (step, error) = why.expect("a failed step");
        assert_eq!(step, "recheck `sample-go-app-r2-1` `sample-go-app-r2-2`");
        assert_eq!(error, "`sample-go-app-r2-1` exited with code 3");
        if atomic {
            assert_eq!(world.picture(), before);
        }
    }
}

/// A restart policy hides the end of the first one: whoever asks later meets the second one, which answers.
#[tokio::test(start_paused = true)]
async fn a_replica_that_the_engine_has_started_again_meanwhile_is_not_flipped_in() {
    let again = Behaviour::restarts_after(Duration::from_millis(700));
    // It answers as the first one did; and one that says nothing more is told as what it is too.
    let mute = Behaviour { ill_after: Some(Duration::from_millis(700)), ..again.clone() };
    let why = "`sample-go-app-r2-1` has exited since it was started, and the engine has started it again";
    let late = "`sample-go-app-r2-1` did not become healthy within 2s; the engine has started it again since";
    for (behaviour, expected) in [(again, why), (mute, late)] {
        let two = project([replicas(2, app("go-app"))]);
        let world = deployed(&two).await;
        world.edit("go-app");
        world.script("go-app-r2-1", behaviour);
        world.script("go-app-r2-2", Behaviour::healthy_after(Duration::from_secs(2)));
        let before = world.picture();
        let report = run(&world, &Desired::of(two), no_faults()).await;
        world.assert_lawful(&report.story());
        assert_eq!(report.outcomes(), [Outcome::RolledBack], "{}", report.story());
        let told = report.facts().find_map(|fact| match fact {
            Fact::StepFailed { error, .. } => Some(error.clone()),
            _ => None,
        });
        assert_eq!(told.as_deref(), Some(expected));
        assert_eq!(world.picture(), before);
    }
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_keeps_no_releases_still_deploys_and_says_what_it_cannot_do() {
    let two = || project([replicas(2, app("go-app"))]);
    let world = World::new();
    world.state().proxy_is_old = true;
    succeed(&world, &Desired::of(two())).await;
    world.edit("go-app");
    succeed(&world, &Desired::of(two())).await;
    let mut by_hand = Desired::of(two());
    by_hand.options.replicas = Some(4);
    let wants = [Desired::scale(two(), &[("go-app", 4)]), Desired::rollback(two(), &[]), by_hand];
    for desired in wants {
        let before = world.picture();
        let report = run(&world, &desired, no_faults()).await;
        assert!(
            matches!(report.result, Some(Err(DeployError::Proxy(ProxyError::TooOld { .. })))),
            "{}",
            report.story()
        );
        assert_eq!(world.picture(), before);
    }
    // After its upgrade the release that serves is made up for by a deploy that has nothing else to do.
    world.state().proxy_is_old = false;
    assert_eq!(succeed(&world, &Desired::of(two())).await.outcome(), Outcome::UpToDate);
    succeed(&world, &Desired::scale(two(), &[("go-app", 3)])).await;
    assert_eq!(serving(&world).1.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn on_a_bare_host_nothing_is_made_for_a_command_that_has_nothing_to_act_on() {
    let one = project([app("go-app")]);
    for desired in [Desired::scale(one.clone(), &[("go-app", 2)]), Desired::rollback(one, &[])] {
        let world = World::new();
        let report = run(&world, &desired, no_faults()).await;
        let Some(Err(DeployError::Refused(refused))) = &report.result else { panic!("{}", report.story()) };
        assert_eq!(refused.to_string(), "app `sample/go-app` is not deployed yet");
        assert!(world.picture().containers.is_empty(), "{}", report.story());
    }
}
