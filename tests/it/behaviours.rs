//! New versions that misbehave: the old one goes on serving, and the user is told why.

use std::time::Duration;

use deploy_apps::event::{Fact, Outcome};

use crate::fixture::*;
use crate::judge::differs_from_before;
use crate::scenes;
use crate::session::{Desired, at, no_faults, run, succeed};
use crate::world::{Behaviour, Error, Fault, World};

/// The error and its evidence after a redeploy whose new replicas behave like this.
async fn refused(behaviour: Behaviour) -> (String, Vec<String>) {
    let desired = Desired::of(project([replicas(2, app("go-app"))]));
    let world = World::new();
    succeed(&world, &desired).await;
    world.edit("go-app");
    world.script("-r2-", behaviour);
    let before = world.picture();
    let report = run(&world, &desired, no_faults()).await;
    world.assert_lawful(&report.story());
    assert_eq!(report.outcome(), Outcome::RolledBack, "{}", report.story());
    assert_eq!(world.picture(), before, "{}", report.story());
    let failed = report.facts().find_map(|fact| match fact {
        Fact::StepFailed { error, details, .. } => Some((error.clone(), details.clone())),
        _ => None,
    });
    let (error, details) = failed.expect("a step that failed");
    (error, details.into_iter().flat_map(|detail| [vec![detail.title], detail.lines].concat()).collect())
}

#[tokio::test(start_paused = true)]
async fn a_version_that_never_gets_healthy_is_undone_with_its_last_answer_and_log() {
    let (error, details) = refused(Behaviour::never_healthy()).await;
    assert_eq!(error, "`sample-go-app-r2-1` did not become healthy within 5s");
    let log = ["last log lines of `sample-go-app-r2-1`", "the last words of `sample-go-app-r2-1`"];
    assert_eq!(details, [&["last probe", "status 503"][..], &log].concat());
}

#[tokio::test(start_paused = true)]
async fn a_version_that_exits_at_once_is_undone_for_its_exit_not_for_a_timeout() {
    let (error, _) = refused(Behaviour::exits_after(Duration::from_millis(20), 3)).await;
    assert_eq!(error, "`sample-go-app-r2-1` exited with code 3");
}

#[tokio::test(start_paused = true)]
async fn a_version_that_answers_once_and_dies_gets_no_traffic() {
    let (error, _) = refused(Behaviour::healthy_once()).await;
    assert_eq!(error, "`sample-go-app-r2-1` exited with code 1");
}

#[tokio::test(start_paused = true)]
async fn a_version_that_listens_on_another_port_gets_no_traffic() {
    let (error, details) = refused(Behaviour::listens_on(9999)).await;
    assert_eq!(error, "`sample-go-app-r2-1` did not become healthy within 5s: it listens on port 9999, not 8080");
    assert_eq!(details[1], "connection refused");
}

#[tokio::test(start_paused = true)]
async fn a_release_command_that_fails_is_undone_before_any_replica_starts() {
    let desired = Desired::of(project([with_release_command(app("go-app"))]));
    let world = World::new();
    succeed(&world, &desired).await;
    world.edit("go-app");
    world.script("-r2-release", Behaviour::exits_after(Duration::from_millis(50), 4));
    let before = world.picture();
    let report = run(&world, &desired, no_faults()).await;
    world.assert_lawful(&report.story());
    assert_eq!(report.outcome(), Outcome::RolledBack);
    assert_eq!(world.picture(), before);
    assert!(!report.calls.iter().any(|call| call.subject.contains("-r2-1")), "{}", report.story());
}

#[tokio::test(start_paused = true)]
async fn an_old_replica_that_ignores_its_signal_is_killed_and_that_is_said() {
    let desired = Desired::of(project([app("go-app")]));
    let world = World::new();
    world.script("-r1-", Behaviour::ignores_stop());
    succeed(&world, &desired).await;
    world.edit("go-app");
    let report = succeed(&world, &desired).await;
    let killed = |fact: &Fact| matches!(fact, Fact::ReplicaStopped { name, killed: true, took, .. } if name == "sample-go-app-r1-1" && *took >= Duration::from_secs(10));
    assert!(report.facts().any(killed), "{}", report.story());
}

/// A wrong `port` is the most frequent reason why a first deploy fails.
#[tokio::test(start_paused = true)]
async fn an_app_on_another_port_is_told_where_it_listens() {
    let desired = Desired::of(project([app("go-app")]));
    let world = World::new();
    world.script("-r1-", Behaviour::listens_on(3000));
    let report = run(&world, &desired, no_faults()).await;
    assert_eq!(report.outcome(), Outcome::RolledBack);
    let told = report.facts().find_map(|fact| match fact {
        Fact::StepFailed { error, hint, .. } => Some((error.clone(), hint.clone())),
        _ => None,
    });
    let (error, hint) = told.expect("a failure");
    assert_eq!(error, "`sample-go-app-r1-1` did not become healthy within 5s: it listens on port 3000, not 8080");
    assert_eq!(hint.as_deref(), Some("write `port: 3000`, or let the app listen on 8080"));
}

/// Healthy at the gate, and at an end again and again under traffic.
#[tokio::test(start_paused = true)]
async fn a_replica_that_restarts_after_the_flip_is_told_and_is_no_success() {
    let mut watched = app("go-app");
    let (first, second) = (Duration::from_secs(4), Duration::from_secs(3));
    watched.rollout.monitor = second;
    let world = World::new();
    succeed(&world, &Desired::of(project([watched.clone()]))).await;
    world.edit("go-app");
    world.script("-r2-", Behaviour::restarts_after(first));
    let report = run(&world, &Desired::of(project([watched])), no_faults()).await;
    assert_eq!(report.outcome(), Outcome::Unstable, "{}", report.story());
    let told = report.facts().find_map(|fact| match fact {
        Fact::ReplicaUnstable { name, restarts, log, hint, .. } => {
            Some((name.clone(), *restarts, log.clone(), hint.clone()))
        }
        _ => None,
    });
    let (name, restarts, log, hint) = told.expect("it is told");
    assert_eq!((name.as_str(), restarts), ("sample-go-app-r2-1", 1));
    assert_eq!(log, ["the last words of `sample-go-app-r2-1`"]);
    assert_eq!(hint, "`deploy-apps rollback go-app` brings r1 back; `deploy-apps logs go-app` has more");
}

/// The new version is bad, and while it is undone one more call fails.
#[tokio::test(start_paused = true)]
async fn a_failure_while_undoing_leaves_what_serves_alone() {
    for scene in scenes::redeploys().await {
        let worker = scene.desired.project.apps.values().all(|app| app.port.is_none());
        let bad =
            if worker { Behaviour::exits_after(Duration::from_millis(300), 1) } else { Behaviour::never_healthy() };
        // The last replica of the last batch, so that as much as possible is to be undone.
        let last = scene.desired.project.apps[0].replicas;
        let begin = || {
            let world = scene.fork();
            world.script(&format!("-r2-{last}"), bad.clone());
            world
        };
        let undisturbed = run(&begin(), &scene.desired, no_faults()).await;
        let key = scene.desired.project.key(&scene.desired.apps[0]);
        for call in &undisturbed.calls {
            if call.what == "probe" {
                continue;
            }
            for fault in [Fault::Fail(Error::Unreachable), Fault::FailAfterEffect(Error::Unreachable)] {
                let world = begin();
                let before = world.picture();
                let report = run(&world, &scene.desired, at(call.index, fault)).await;
                let context = format!("{}: {fault:?} at {call}\n{}", scene.name, report.story());
                world.assert_lawful(&context);
                match report.outcomes()[..] {
                    [Outcome::RolledBack] => {
                        let differences = differs_from_before(&world, &before, &key, &report.left_behind());
                        assert!(differences.is_empty(), "{context}\n{differences:?}");
                    }
                    [Outcome::Stuck] => assert!(!report.left_behind().is_empty(), "{context}"),
                    [] => assert!(matches!(report.result, Some(Err(_))), "{context}"),
                    _ => panic!("{context}"),
                }
                // And the next run, with a version that works, fixes it all.
                world.script("sample", Behaviour::default());
                for once in ["-release", "-pre-start"] {
                    world.script(once, Behaviour::exits_after(Duration::from_millis(100), 0));
                }
                succeed(&world, &scene.desired).await;
                assert!(crate::judge::stray(&world).is_empty(), "{context}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_rollout_that_pauses_keeps_the_batches_that_serve_and_the_next_deploy_goes_on() {
    let mut app = in_batches_of(1, replicas(3, app("go-app")));
    app.rollout.failure_action = deploy_apps::model::FailureAction::Pause;
    let desired = Desired::of(project([app]));
    let world = World::new();
    succeed(&world, &desired).await;
    world.edit("go-app");
    world.script("-r2-3", Behaviour::never_healthy());
    let report = run(&world, &desired, no_faults()).await;
    world.assert_lawful(&report.story());
    assert_eq!(report.outcome(), Outcome::CompletedWithLeftovers, "{}", report.story());
    assert_eq!(report.left_behind(), ["the rest of the rollout"]);
    let serving = |world: &World| -> Vec<String> {
        let picture = world.picture();
        let record = picture.records.values().next().expect("a record");
        record.peers.iter().map(|peer| peer.id.replace("sample-go-app-", "")).collect()
    };
    assert_eq!(serving(&world), ["r1-3", "r2-1", "r2-2"], "{}", report.story());
    assert!(!world.picture().containers.contains_key("sample-go-app-r2-3"), "{}", report.story());

    world.script("-r2-", Behaviour::default());
    succeed(&world, &desired).await;
    assert_eq!(serving(&world), ["r2-1", "r2-2", "r2-3"]);
    assert_eq!(world.picture().containers.keys().filter(|name| name.contains("-r1-")).count(), 0);
    world.edit("go-app");
    world.script("-r3-", Behaviour::never_healthy());
    let report = run(&world, &desired, no_faults()).await;
    world.assert_lawful(&report.story());
    assert_eq!(report.outcome(), Outcome::RolledBack, "{}", report.story());
}

#[tokio::test(start_paused = true)]
async fn batches_that_serve_stay_where_the_old_release_is_gone() {
    let desired = Desired::of(project([in_batches_of(1, replicas(3, app("go-app")))]));
    let (failed, cancelled) = ((None, Outcome::CompletedWithLeftovers), (Some(Fault::Cancel), Outcome::Cancelled));
    for (removed, (fault, outcome)) in [(true, failed), (true, cancelled), (false, failed), (false, cancelled)] {
        let world = World::new();
        succeed(&world, &Desired::of(project([app("go-app")]))).await;
        if removed {
            world.state().containers.remove("sample-go-app-r1-1");
        } else {
            world.kill("sample-go-app-r1-1");
        }
        world.edit("go-app");
        let faults = match fault {
            None => {
                world.script("-r2-2", Behaviour::never_healthy());
                no_faults()
            }
            Some(fault) => {
                let fork = world.fork();
                let calls = run(&fork, &desired, no_faults()).await.calls;
                let second = calls.iter().find(|call| call.to_string().contains("start_container sample-go-app-r2-2"));
                at(second.expect("a second batch").index, fault)
            }
        };
        let report = run(&world, &desired, faults).await;
        world.assert_lawful(&report.story());
        assert_eq!(report.outcome(), outcome, "{}", report.story());
        assert_eq!(report.left_behind(), ["the rest of the rollout"]);
        let picture = world.picture();
        let peers: Vec<&str> =
            picture.records.values().flat_map(|record| &record.peers).map(|peer| peer.id.as_str()).collect();
        assert_eq!(peers, ["sample-go-app-r2-1"], "{}", report.story());
        world.script("-r2-2", Behaviour::default());
        succeed(&world, &desired).await;
    }
}
