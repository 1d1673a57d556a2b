//! Commands around the life of a container that go wrong, and which of them run when.

use std::sync::Arc;
use std::time::Duration;

use deploy_apps::event::{Fact, Outcome};

use crate::fixture::*;
use crate::session::{Desired, Report, no_faults, run, succeed};
use crate::world::{Behaviour, HookEnd, World};

/// An app with hooks is deployed and edited, and commands in containers whose name has `part` end like this.
async fn redeployed(part: &str, end: HookEnd) -> (Arc<World>, Report) {
    let desired = Desired::of(project([with_hooks(app("go-app"))]));
    let world = World::new();
    succeed(&world, &desired).await;
    world.edit("go-app");
    world.script(part, Behaviour::hooks_end(end));
    // The old replica was started with the old script.
    world.state().containers.values_mut().filter(|found| found.new.name.contains(part)).for_each(|found| {
        found.behaviour.hook = end;
    });
    let report = run(&world, &desired, no_faults()).await;
    world.assert_lawful(&report.story());
    (world, report)
}

fn hooked(world: &World) -> Vec<String> {
    world.state().hooked.iter().map(|(name, command)| format!("{command} in {name}")).collect()
}

fn error(report: &Report) -> Option<String> {
    report.facts().find_map(|fact| match fact {
        Fact::StepFailed { error, .. } => Some(error.clone()),
        _ => None,
    })
}

#[tokio::test(start_paused = true)]
async fn each_hook_runs_once_in_its_container_in_the_order_of_its_life() {
    let (world, report) = redeployed("nothing", HookEnd::Code(0)).await;
    assert_eq!(report.outcome(), Outcome::Completed, "{}", report.story());
    let names =
        ["./register in sample-go-app-r1-1", "./register in sample-go-app-r2-1", "./deregister in sample-go-app-r1-1"];
    assert_eq!(hooked(&world), names);
    let created = report.calls.iter().filter(|call| call.what == "create_container").map(|call| call.subject.as_str());
    let names = ["sample-go-app-r2-pre-start-1", "sample-go-app-r2-pre-start-2", "sample-go-app-r2-1"];
    assert_eq!(created.collect::<Vec<_>>(), names);
    assert!(world.state().containers.keys().all(|name| !name.contains("pre-start")), "{}", report.story());
}

#[tokio::test(start_paused = true)]
async fn a_post_start_that_fails_means_no_traffic_and_is_undone() {
    let (world, report) = redeployed("-r2-1", HookEnd::Code(3)).await;
    assert_eq!(report.outcome(), Outcome::RolledBack, "{}", report.story());
    assert_eq!(error(&report).as_deref(), Some("`./register` in `sample-go-app-r2-1` exited with code 3"));
    assert!(
        !hooked(&world).iter().any(|hook| hook.starts_with("./deregister")),
        "what never served is not taken leave of"
    );
}

#[tokio::test(start_paused = true)]
async fn a_post_start_that_hangs_is_given_up_at_its_limit() {
    let (_, report) = redeployed("-r2-1", HookEnd::Never).await;
    assert_eq!(report.outcome(), Outcome::RolledBack, "{}", report.story());
    assert_eq!(error(&report).as_deref(), Some("`./register` in `sample-go-app-r2-1` did not finish within 4s"));
}

#[tokio::test(start_paused = true)]
async fn a_pre_stop_that_fails_or_hangs_is_said_and_the_stop_goes_on() {
    for (end, why) in [(HookEnd::Code(1), "exited with code 1"), (HookEnd::Never, "did not finish within 4s")] {
        let (world, report) = redeployed("-r1-1", end).await;
        assert_eq!(report.outcome(), Outcome::Completed, "{}", report.story());
        let warned: Vec<&str> = report
            .facts()
            .filter_map(|fact| match fact {
                Fact::Warned { message } => Some(message.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(warned, [format!("`./deregister` in `sample-go-app-r1-1` {why}; its stop goes on")]);
        assert!(!world.state().containers.contains_key("sample-go-app-r1-1"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_pre_start_that_fails_flips_nothing() {
    let desired = Desired::of(project([with_hooks(app("go-app"))]));
    let world = World::new();
    succeed(&world, &desired).await;
    world.edit("go-app");
    world.script("-r2-pre-start-2", Behaviour::exits_after(Duration::from_millis(50), 9));
    let before = world.picture();
    let report = run(&world, &desired, no_faults()).await;
    world.assert_lawful(&report.story());
    assert_eq!(report.outcome(), Outcome::RolledBack, "{}", report.story());
    assert_eq!(error(&report).as_deref(), Some("`sample-go-app-r2-pre-start-2` exited with code 9"));
    assert_eq!(world.picture(), before, "{}", report.story());
}
