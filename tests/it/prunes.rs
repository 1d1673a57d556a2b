//! What nobody needs any more goes, and nothing else: by itself after a deploy, and when it is asked for.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use deploy_apps::event::{Fact, Outcome};
use deploy_apps::model::{DiskSpace, ProxyName};
use deploy_apps::plan::PlanRefused;
use deploy_apps::rollout::{DeployError, DiskBudget, PruneRequest, Pruned, prune};

use crate::fixture::*;
use crate::plans::compare;
use crate::session::{Desired, at, at_first, look, no_faults, run, run_of, succeed};
use crate::world::{Behaviour, Call, Client, Error, Fault, World};

fn keeping(keep: u32) -> Desired {
    let mut desired = Desired::of(project([replicas(2, app("go-app"))]));
    desired.options.keep = Some(keep);
    desired
}

/// The releases whose images are there.
fn tags(world: &World) -> BTreeSet<u32> {
    let state = world.state();
    let tags = state.tags.keys().filter_map(|tag| tag.strip_prefix("deploy-apps/sample-go-app:r"));
    tags.map(|number| number.parse().expect("a number")).collect()
}

/// `count` releases, one after the other, each of another source.
async fn releases(count: u32, desired: &Desired) -> Arc<World> {
    let world = World::new();
    for _ in 0..count {
        world.edit("go-app");
        succeed(&world, desired).await;
    }
    world
}

async fn pruned(
    world: &Arc<World>,
    keep: u32,
    dry_run: bool,
    faults: crate::world::Faults,
) -> (Option<Pruned>, Vec<Call>) {
    let client = Client::new(world, faults);
    let (run, _) = run_of(&client);
    let project = project([replicas(2, app("go-app"))]);
    let operator = operator(&project);
    let apps = [name("go-app")];
    let lock_wait = Duration::ZERO;
    let request = PruneRequest { project: &project, apps: &apps, keep, dry_run, operator: &operator, lock_wait };
    let result = tokio::select! {
        biased;
        () = client.crashed() => None,
        result = prune(&run, &request) => result.ok(),
    };
    (result, client.calls())
}

#[tokio::test(start_paused = true)]
async fn a_deploy_leaves_the_serving_release_and_those_before_it() {
    let world = releases(5, &keeping(2)).await;
    assert_eq!(tags(&world), [3, 4, 5].into());
    world.edit("go-app");
    let (_, plan) = look(&world, &keeping(2)).await;
    compare("redeploy-prunes", &plan.expect("a plan").to_string());
    let report = succeed(&world, &keeping(0)).await;
    assert_eq!(tags(&world), [6].into());
    assert!(report.facts().any(|fact| *fact == Fact::Pruned { images: 3, containers: 0 }), "{}", report.story());
}

#[tokio::test(start_paused = true)]
async fn attempts_that_never_served_go_first() {
    let world = releases(2, &keeping(5)).await;
    world.edit("go-app");
    let killed = run(&world, &keeping(5), at_first("flip", Fault::Crash)).await;
    assert!(killed.result.is_none());
    world.state().leases.clear();
    assert_eq!(tags(&world), [1, 2, 3].into());
    succeed(&world, &keeping(5)).await;
    assert_eq!(tags(&world), [1, 2, 4].into());
}

#[tokio::test(start_paused = true)]
async fn what_is_up_to_date_is_not_pruned_and_costs_no_call() {
    let mut none = keeping(5);
    none.options.keep = None;
    let world = releases(4, &none).await;
    let report = succeed(&world, &keeping(0)).await;
    assert_eq!(report.outcome(), Outcome::UpToDate);
    assert_eq!(tags(&world), [1, 2, 3, 4].into());
}

#[tokio::test(start_paused = true)]
async fn a_fault_while_pruning_is_a_warning_and_changes_no_outcome() {
    let none = Desired { options: deploy_apps::plan::DeployOptions::default(), ..keeping(0) };
    let begin = releases(3, &none).await;
    begin.edit("go-app");
    let (fail, lost) = (Fault::Fail(Error::Unreachable), Fault::FailAfterEffect(Error::Unreachable));
    for what in ["untag_image", "forget_releases"] {
        for fault in [fail, lost] {
            let world = begin.fork();
            let report = run(&world, &keeping(0), at_first(what, fault)).await;
            world.assert_lawful(&report.story());
            assert_eq!(report.outcome(), Outcome::Completed, "{what} {fault:?}\n{}", report.story());
            let warned =
                report.facts().any(|fact| matches!(fact, Fact::Warned { message } if message.contains("old release")));
            assert!(warned, "{what}\n{}", report.story());
        }
        let world = begin.fork();
        run(&world, &keeping(0), at_first(what, Fault::CrashAfterEffect)).await;
        world.state().leases.clear();
        // The killed run had flipped; what it had not pruned yet, the next prune does.
        assert!(pruned(&world, 0, false, no_faults()).await.0.expect("pruned").apps[0].left.is_empty());
        assert_eq!(tags(&world), [4].into());
    }
}

#[tokio::test(start_paused = true)]
async fn prune_removes_stopped_containers_and_old_releases_and_nothing_that_serves() {
    let none = Desired { options: deploy_apps::plan::DeployOptions::default(), ..keeping(0) };
    let world = releases(4, &none).await;
    world.edit("go-app");
    world.script("-r5-", Behaviour::never_healthy());
    let killed = run(&world, &none, at_first("probe", Fault::Crash)).await;
    assert!(killed.result.is_none());
    world.state().leases.clear();
    world.kill("sample-go-app-r5-1");

    let before = world.picture();
    let (dry, _) = pruned(&world, 1, true, no_faults()).await;
    assert_eq!(world.picture(), before, "a dry run changes nothing");
    let (real, _) = pruned(&world, 1, false, no_faults()).await;
    let (dry, real) = (dry.expect("a list"), real.expect("pruned"));
    assert_eq!((&dry.apps, real.freed.is_some()), (&real.apps, true));
    assert_eq!(real.apps[0].containers, ["sample-go-app-r5-1"]);
    // r5-2 still runs, so its image stays for whoever looks into it; the next deploy removes both.
    assert_eq!(tags(&world), [3, 4, 5].into());
    assert_eq!(world.picture().records, before.records);
    assert!(world.picture().containers["sample-go-app-r4-1"]);
}

#[tokio::test(start_paused = true)]
async fn an_app_that_somebody_deploys_is_left_out() {
    let none = Desired { options: deploy_apps::plan::DeployOptions::default(), ..keeping(0) };
    let world = releases(3, &none).await;
    world.hold("sample/go-app");
    let before = world.picture();
    let (result, _) = pruned(&world, 0, false, no_faults()).await;
    let app = &result.expect("a list").apps[0];
    assert!(app.images.is_empty() && app.left[0].contains("is being deployed by `ann`"), "{app:?}");
    assert_eq!(world.picture(), before);
}

#[tokio::test(start_paused = true)]
async fn a_prune_killed_or_failed_anywhere_is_finished_by_the_next_one() {
    let none = Desired { options: deploy_apps::plan::DeployOptions::default(), ..keeping(0) };
    let begin = releases(4, &none).await;
    let (_, calls) = pruned(&begin.fork(), 1, false, no_faults()).await;
    let faults = [Fault::Crash, Fault::CrashAfterEffect, Fault::Fail(Error::Unreachable), Fault::Cancel];
    for call in &calls {
        for fault in faults {
            let world = begin.fork();
            let before = world.picture();
            pruned(&world, 1, false, at(call.index, fault)).await;
            world.state().leases.clear();
            let (next, _) = pruned(&world, 1, false, no_faults()).await;
            assert!(next.is_some_and(|next| next.apps[0].left.is_empty()), "{fault:?} at {call}");
            assert_eq!(tags(&world), [3, 4].into(), "{fault:?} at {call}");
            assert_eq!(world.picture().records, before.records, "{fault:?} at {call}");
            let kept = &world.state().apps[&"sample/go-app".parse().expect("a key")].served.clone();
            assert!(!kept.is_empty());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn two_apps_whose_images_have_the_same_names_are_not_pruned() {
    let world = World::new();
    let mut one = project([app("b-c")]);
    one.name = "a".parse().expect("a name");
    let desired = Desired::of(one);
    for _ in 0..3 {
        world.edit("b-c");
        succeed(&world, &desired).await;
    }
    let (mut observed, _) = look(&world, &desired).await;
    let key: deploy_apps::model::AppKey = "a/b-c".parse().expect("a key");
    let prune = |observed: &deploy_apps::model::ObservedState| {
        deploy_apps::plan::plan_prune(&key, &observed.engine, &observed.proxy, 0)
    };
    assert!(!prune(&observed).stages.is_empty());
    // Deployed by a version that did not refuse the second of two such names.
    let other = observed.proxy.apps[&key].clone();
    observed.proxy.apps.insert("a-b/c".parse().expect("a key"), other);
    let pruning = prune(&observed);
    assert!(pruning.stages.is_empty(), "{:?}", pruning.stages);
    assert!(pruning.warning.expect("a warning").contains("`a-b/c`"));
}

#[tokio::test(start_paused = true)]
async fn a_build_is_refused_while_the_disk_is_nearly_full() {
    let desired = keeping(5);
    let world = releases(1, &desired).await;
    world.edit("go-app");
    let gib = 1 << 30;
    let disk = |size: u64, free: u64| DiskSpace { path: "/var/lib/docker".to_owned(), size, free };
    let tried = async |disk: DiskSpace, minimum: Option<u64>| {
        world.state().disk = Some(disk);
        let fork = world.fork();
        let client = Client::new(&fork, no_faults());
        let (run, _) = run_of(&client);
        let run = run.in_room(DiskBudget { proxy: ProxyName::default(), minimum });
        crate::session::deploy_with(&run, &desired).await
    };
    let refused = tried(disk(100 * gib, gib - 1), None).await.expect_err("refused");
    assert!(matches!(refused, DeployError::Refused(PlanRefused::DiskLow { .. })), "{refused:?}");
    assert_eq!(
        refused.to_string(),
        "only 1023 MiB of 100 GiB are free at `/var/lib/docker`, where the engine keeps its images, and 1 GiB must be"
    );
    tried(disk(100 * gib, gib), None).await.expect("enough");
    tried(disk(2 * gib, gib / 8), None).await.expect("a twentieth of a small disk is enough");
    tried(disk(100 * gib, 1), Some(0)).await.expect("nothing was asked for");
    tried(disk(100 * gib, 50 * gib), Some(51 * gib)).await.expect_err("more was asked for");
    // Who builds nothing needs no room.
    world.state().sources.clear();
    world.state().disk = Some(disk(gib, 0));
    let same = releases(1, &desired).await;
    same.state().disk = Some(disk(gib, 0));
    succeed(&same, &desired).await;
}
