//! Steps are told apart by their number in the plan, not by their text.

use std::collections::BTreeSet;
use std::time::Duration;

use deploy_apps::event::{Event, Fact};
use deploy_apps::model::{AppKey, StepId};
use deploy_apps::plan::{AppPlan, Plan, Stage};

use crate::fixture::*;
use crate::scenes::{deployed, edited};
use crate::session::{Desired, look, succeed};

/// Every end belongs to a step that has begun, and no two with one number are open at once.
#[track_caller]
pub fn assert_paired(events: &[Event]) {
    let mut open: BTreeSet<(Option<AppKey>, StepId, String)> = BTreeSet::new();
    for Event { app, fact, .. } in events {
        match fact {
            Fact::StepStarted { id, step, .. } => {
                assert_ne!(*id, StepId::default(), "`{step}` has no number");
                let taken = open.iter().any(|(other, known, _)| other == app && known == id);
                // The proxy may be set up several times, and a step of it that was stopped does not say so.
                assert!(app.is_none() || !taken, "two steps {id} of {app:?} run beside each other");
                open.insert((app.clone(), *id, step.clone()));
            }
            Fact::StepFinished { id, step, .. } | Fact::StepFailed { id, step, .. } => {
                let ended = open.remove(&(app.clone(), *id, step.clone()));
                assert!(ended, "step {id} of {app:?}, `{step}`, ends and has not begun");
            }
            // A step that was stopped does not say so.
            Fact::AppPlanned { .. } | Fact::AccessoryPlanned { .. } | Fact::PlanMade { .. } => {
                open.retain(|(other, ..)| app.is_some() && other != app);
            }
            _ => {}
        }
    }
}

fn numbers(plan: &Plan) -> Vec<u32> {
    let steps = plan.shared.iter().flat_map(Stage::steps).chain(plan.apps.iter().flat_map(AppPlan::steps));
    steps.map(|planned| planned.id.0).collect()
}

#[tokio::test(start_paused = true)]
async fn two_equal_pauses_are_two_steps() {
    let mut app = in_batches_of(1, replicas(3, app("go-app")));
    app.rollout.delay = Duration::from_secs(30);
    let scene = edited("two pauses", project([app])).await;
    let (_, plan) = look(&scene.fork(), &scene.desired).await;
    let plan = plan.expect("a plan");
    let pauses = plan.apps.iter().flat_map(AppPlan::steps).filter(|planned| planned.step.to_string() == "pause 30s");
    let pauses: Vec<StepId> = pauses.map(|planned| planned.id).collect();
    assert!(pauses.len() == 2 && pauses[0] != pauses[1], "{plan}");
    for id in &pauses {
        assert!(
            plan.to_string().lines().any(|line| line.trim().starts_with(&format!("{id} [")) && line.contains("pause"))
        );
    }

    let report = succeed(&scene.world, &scene.desired).await;
    let of_pauses = |fact: &Fact| match fact {
        Fact::StepStarted { id, step, .. } | Fact::StepFinished { id, step, .. } if step == "pause 30s" => Some(*id),
        _ => None,
    };
    let told: Vec<StepId> = report.facts().filter_map(of_pauses).collect();
    assert_eq!(told, [pauses[0], pauses[0], pauses[1], pauses[1]], "{}", report.story());
}

#[tokio::test(start_paused = true)]
async fn numbers_go_through_the_whole_plan() {
    let desired = Desired::of(project([replicas(2, app("go-app")), app("node-app")]));
    let world = deployed(&desired.project).await;
    world.edit("go-app");
    world.edit("node-app");
    let (_, plan) = look(&world, &desired).await;
    let numbers = numbers(&plan.expect("a plan"));
    let count = u32::try_from(numbers.len()).expect("few steps");
    assert_eq!(numbers, (1..=count).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn an_atomic_flip_has_the_number_of_the_first_one() {
    let desired = Desired::of(project([app("go-app"), app("node-app")])).atomic();
    let world = deployed(&desired.project).await;
    world.edit("go-app");
    world.edit("node-app");
    let (_, plan) = look(&world, &desired).await;
    let plan = plan.expect("a plan");
    let flips: Vec<StepId> = plan.apps.iter().filter_map(|app| Some(app.flip.as_ref()?.id)).collect();
    assert!(plan.to_string().ends_with(&format!("atomic: steps {} and {} are one control call\n", flips[0], flips[1])));
    let report = succeed(&world, &desired).await;
    let flip = report.facts().find_map(|fact| match fact {
        Fact::StepStarted { id, step, .. } if step.starts_with("flip") => Some(*id),
        _ => None,
    });
    assert_eq!(flip, flips.first().copied(), "{}", report.story());
}
