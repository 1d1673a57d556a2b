//! `run`: the container of a one-off command, with a fault or a kill at every call, and what others make of it.

use std::sync::Arc;

use deploy_apps::model::{AppKey, Project, Role};
use deploy_apps::plan::{Intent, OneOff, RemoveOptions};
use deploy_apps::ports::Proxy;
use deploy_apps::rollout::{DeployError, PruneRequest, RemovalScope, RemoveRequest, make_one_off, prune, remove};

use crate::failures::faults_of;
use crate::fixture::*;
use crate::scenes::deployed;
use crate::session::{Desired, at, no_faults, run_of, succeed};
use crate::world::{Call, Client, Fault, Faults, World};

fn shop() -> Project {
    project([replicas(2, app("go-app"))])
}

/// `None`: it was killed.
async fn make(world: &Arc<World>, faults: Faults) -> (Option<Result<String, DeployError>>, Vec<Call>) {
    let (made, calls) = make_held(world, faults).await;
    (
        made.map(|made| {
            made.map(|(name, lease)| {
                // Its run goes on beside the test's next ones.
                std::mem::forget(lease);
                name
            })
        }),
        calls,
    )
}

/// With the lease that a living run holds.
async fn make_held(
    world: &Arc<World>,
    faults: Faults,
) -> (Option<Result<(String, <Client as Proxy>::Lease), DeployError>>, Vec<Call>) {
    let client = Client::new(world, faults);
    world.expect(&shop());
    let (run, _) = run_of(&client);
    let (app, command) = (name("go-app"), ["./migrate".to_owned()]);
    let desired = OneOff { app: &app, command: &command, terminal: false, stdin: true };
    let project = shop();
    let operator = operator(&project);
    let result = tokio::select! {
        biased;
        () = client.crashed() => None,
        result = make_one_off(&run, &project, &desired, &operator) => Some(result),
    };
    (result, client.calls())
}

fn one_offs(world: &World) -> Vec<String> {
    world.picture().containers.into_keys().filter(|name| name.contains("-run-")).collect()
}

async fn take_away(world: &Arc<World>) {
    let client = Client::new(world, no_faults());
    let key: AppKey = "sample/go-app".parse().expect("a key");
    world.expect_gone([key].into());
    let (run, _) = run_of(&client);
    let (project, names) = (shop(), [name("go-app")]);
    let operator = operator(&project);
    let goal = RemovalScope::Apps { names: &names, options: RemoveOptions::default() };
    let request = RemoveRequest { project: &project, goal, operator: &operator, lock_wait: std::time::Duration::ZERO };
    remove(&run, &request).await.expect("a removal");
}

#[tokio::test(start_paused = true)]
async fn it_is_made_beside_what_serves_and_no_deploy_touches_it() {
    let world = deployed(&shop()).await;
    let (made, calls) = make(&world, no_faults()).await;
    assert_eq!(made.expect("not killed").expect("made"), "sample-go-app-run-1");
    let asked = ["flip", "source_digest", "build_image", "pull_image"];
    assert!(calls.iter().all(|call| !asked.contains(&call.what)), "{calls:?}");
    let second = make(&world, no_faults()).await.0.expect("not killed").expect("made");
    assert_eq!(second, "sample-go-app-run-2", "several run beside each other");
    {
        let state = world.state();
        let container = &state.containers["sample-go-app-run-1"].new;
        assert_eq!(
            (container.labels.role, container.spec.command.as_deref()),
            (Role::OneOff, Some(&["./migrate".to_owned()][..]))
        );
        assert!(
            container.spec.ports.is_empty() && container.spec.networks.iter().all(|network| network.address.is_none())
        );
    }
    succeed(&world, &Desired::of(shop()).intending(Intent::Restart)).await;
    assert_eq!(one_offs(&world).len(), 2);
    take_away(&world).await;
    assert!(one_offs(&world).is_empty(), "{:?}", one_offs(&world));
}

#[tokio::test(start_paused = true)]
async fn a_fault_or_a_kill_at_any_call_leaves_what_serves_alone() {
    let begin = deployed(&shop()).await;
    let (_, calls) = make(&begin.fork(), no_faults()).await;
    let mut runs = 0;
    for call in &calls {
        for fault in faults_of(call).into_iter().chain([Fault::Crash, Fault::CrashAfterEffect]) {
            let world = begin.fork();
            let before = world.picture();
            let (made, _) = make(&world, at(call.index, fault)).await;
            let context = format!("{fault:?} at {call}: {made:?}");
            world.assert_lawful(&context);
            assert_eq!(world.picture().records, before.records, "{context}");
            if matches!(made, Some(Err(DeployError::Setup(_) | DeployError::Refused(_))))
                && !matches!(fault, Fault::FailAfterEffect(_))
            {
                assert!(one_offs(&world).is_empty(), "{context}");
            }
            make(&world, no_faults()).await.0.expect("not killed").expect("the next one is made");
            take_away(&world).await;
            assert!(one_offs(&world).is_empty(), "{context}");
            runs += 1;
        }
    }
    assert!(runs > 10, "only {runs} runs");
}

async fn pruned(world: &Arc<World>) -> Vec<String> {
    let (run, _) = run_of(&Client::new(world, no_faults()));
    let (project, names) = (shop(), [name("go-app")]);
    let operator = operator(&project);
    let request = PruneRequest {
        project: &project,
        apps: &names,
        keep: 5,
        dry_run: false,
        operator: &operator,
        lock_wait: std::time::Duration::ZERO,
    };
    prune(&run, &request).await.expect("pruned").one_offs
}

#[tokio::test(start_paused = true)]
async fn what_a_killed_run_has_left_is_removed_by_the_next_one_and_by_prune() {
    let world = deployed(&shop()).await;
    let first = make_held(&world, no_faults()).await.0.expect("not killed").expect("made");
    let second = make_held(&world, no_faults()).await.0.expect("not killed").expect("made");
    assert_eq!((first.0.as_str(), second.0.as_str()), ("sample-go-app-run-1", "sample-go-app-run-2"));
    assert_eq!(pruned(&world).await, [""; 0], "both runs live, although neither command has begun");
    // The first is killed before its command has begun.
    drop(first.1);
    let third = make_held(&world, no_faults()).await.0.expect("not killed").expect("made");
    assert_eq!(third.0, "sample-go-app-run-1");
    assert_eq!(one_offs(&world), ["sample-go-app-run-1", "sample-go-app-run-2"]);
    drop(third.1);
    assert_eq!(pruned(&world).await, ["sample-go-app-run-1"]);
    assert_eq!(one_offs(&world), ["sample-go-app-run-2"], "its run lives");
}
