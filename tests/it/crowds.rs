//! Many apps in one run: the engine gets their containers one handful after the other, and all get their turn.

use std::sync::Arc;

use deploy_apps::event::{Fact, Outcome};

use crate::fixture::*;
use crate::session::{Desired, Report, run, succeed};
use crate::world::{Call, Fault, World};

/// What the product promises to the engine.
const TURNS: usize = 16;
const APPS: usize = 40;

fn crowd() -> Desired {
    Desired::of(project((0..APPS).map(|index| app(&format!("app-{index}")))))
}

fn is_heavy(step: &str) -> bool {
    ["create `", "start `", "remove `"].iter().any(|verb| step.starts_with(verb))
}

/// How many of the steps that keep the engine busy were under way at once.
fn most_at_once(report: &Report) -> usize {
    let (mut now, mut most) = (0_usize, 0);
    for fact in report.facts() {
        match fact {
            Fact::StepStarted { step, .. } if is_heavy(step) => now += 1,
            Fact::StepFinished { step, .. } if is_heavy(step) => now -= 1,
            _ => {}
        }
        most = most.max(now);
    }
    assert_eq!(now, 0, "each has ended\n{}", report.story());
    most
}

#[tokio::test(start_paused = true)]
async fn only_so_many_containers_are_made_started_and_removed_at_once() {
    let (world, desired) = (World::new(), crowd());
    assert_eq!(most_at_once(&succeed(&world, &desired).await), TURNS, "as many as may be, and no more");
    for index in 0..APPS {
        world.edit(&format!("app-{index}"));
    }
    let report = succeed(&world, &desired).await;
    assert_eq!(most_at_once(&report), TURNS);
    let removed =
        report.facts().filter(|fact| matches!(fact, Fact::StepFinished { step, .. } if step.starts_with("remove `")));
    assert_eq!(removed.count(), APPS);
}

#[tokio::test(start_paused = true)]
async fn whoever_stops_a_run_does_not_wait_for_those_that_had_no_turn_yet() {
    let (world, desired) = (World::new(), crowd());
    // The first replica's, not the proxy's.
    let first = |call: &Call| call.what == "create_container" && call.subject == "sample-app-0-r1-1";
    let report = run(&world, &desired, Arc::new(move |call| first(call).then_some(Fault::Cancel))).await;
    world.assert_lawful(&report.story());
    assert_eq!(report.outcomes(), vec![Outcome::Cancelled; APPS]);
    let made = report.calls.iter().filter(|call| call.what == "create_container" && call.subject.contains("app-"));
    assert!((1..=TURNS).contains(&made.count()), "{}", report.story());
    assert!(world.state().containers.keys().all(|name| !name.contains("app-")), "{}", report.story());
}
