//! A saved plan is run as long as the world only looks different: what it would do is the same.

use std::sync::Arc;

use deploy_apps::event::Outcome;
use deploy_apps::model::AddressPool;
use deploy_apps::plan::SavedPlan;
use deploy_apps::ports::EngineErrorKind;
use deploy_apps::rollout::{AppResult, DeployError, Pulls, Run, deploy_saved, preview};

use crate::fixture::*;
use crate::session::{Desired, at_first, no_faults, run_of, succeed, with_request};
use crate::world::{Client, Error, Fault, Faults, World};

/// What `plan --out` writes, read again.
async fn save(world: &Arc<World>, desired: &Desired) -> SavedPlan {
    let (run, _) = run_of(&Client::new(world, no_faults()));
    let preview = with_request(desired, async |request| preview(&run, &request, Pulls::Foreseen).await).await;
    let preview = preview.expect("a plan");
    let saved =
        SavedPlan::new(&preview, &desired.project, &desired.apps, &desired.options, "2026-01-01T00:00:00Z".to_owned());
    SavedPlan::parse(&serde_json::to_string(&saved).expect("text keys")).expect("a saved plan")
}

async fn run_saved(
    run: &Run<Client, Client>,
    desired: &Desired,
    saved: &SavedPlan,
) -> Result<Vec<AppResult>, DeployError> {
    with_request(desired, async |request| deploy_saved(run, &request, saved).await).await
}

/// Runs it, and gives its one outcome.
async fn ends(world: &Arc<World>, desired: &Desired, saved: &SavedPlan, faults: Faults) -> Outcome {
    world.expect(&desired.project);
    let client = Client::new(world, faults);
    let (run, _) = run_of(&client);
    let results = run_saved(&run, desired, saved).await.expect("it is run");
    let [result] = &results[..] else { panic!("not one result: {results:?}") };
    world.assert_lawful(&format!("{:?}", client.calls()));
    result.outcome
}

/// A world without a proxy, and a desired whose container knows the proxy's address: by its neighbour's name.
fn first() -> (Arc<World>, Desired) {
    let world = World::new();
    let desired = Desired { apps: vec![name("go-app")], ..Desired::of(project([app("go-app"), app("node-app")])) };
    (world, desired)
}

#[tokio::test(start_paused = true)]
async fn a_subnet_that_another_network_took_before_the_run_is_no_moved_world() {
    let (world, desired) = first();
    let saved = save(&world, &desired).await;
    world.state().networks.insert("other".to_owned(), saved.subnet.into_iter().collect());
    assert_eq!(ends(&world, &desired, &saved, no_faults()).await, Outcome::Completed);
    let state = world.state();
    let made = state.networks.get(&desired.project.proxy.name.network()).expect("its network");
    assert_ne!(made.first().copied(), saved.subnet);
}

#[tokio::test(start_paused = true)]
async fn a_subnet_that_is_free_again_is_no_moved_world() {
    let (world, desired) = first();
    let wanted = AddressPool::free(desired.project.proxy.name.as_str(), &[]).expect("a pool").subnet();
    world.state().networks.insert("other".to_owned(), vec![wanted]);
    let saved = save(&world, &desired).await;
    world.state().networks.remove("other");
    assert_eq!(ends(&world, &desired, &saved, no_faults()).await, Outcome::Completed);
}

#[tokio::test(start_paused = true)]
async fn a_subnet_that_the_file_names_now_is_a_moved_world() {
    let (world, mut desired) = first();
    let saved = save(&world, &desired).await;
    desired.project.proxy.subnet = Some("10.99.0.0/20".parse().expect("a subnet"));
    let (run, _) = run_of(&Client::new(&world, no_faults()));
    let result = run_saved(&run, &desired, &saved).await;
    assert!(matches!(result, Err(DeployError::Moved { .. })), "{result:?}");
    assert!(!world.state().networks.contains_key(&desired.project.proxy.name.network()), "nothing was touched");
}

#[tokio::test(start_paused = true)]
async fn a_copy_of_the_image_that_goes_under_the_run_costs_another_look() {
    let world = World::new();
    let desired = Desired::of(project([app("go-app")]));
    succeed(&world, &desired).await;
    let again = desired.clone().forced();
    let saved = save(&world, &again).await;
    let gone = || at_first("tag_image", Fault::Fail(Error::Engine(EngineErrorKind::ImageNotFound)));
    assert_eq!(ends(&world, &again, &saved, gone()).await, Outcome::Completed);

    // Without any copy it would have to be built, which is not what was seen.
    let saved = save(&world, &again).await;
    let engine = Arc::clone(&world);
    let pruned: Faults = Arc::new(move |call| {
        let first = call.what == "tag_image" && !std::mem::take(&mut engine.state().built).is_empty();
        first.then_some(Fault::Fail(Error::Engine(EngineErrorKind::ImageNotFound)))
    });
    let serving = || world.state().record(&"sample/go-app".parse().expect("a key")).map(|record| record.release);
    let before = serving();
    assert_eq!(ends(&world, &again, &saved, pruned).await, Outcome::RolledBack);
    assert_eq!(serving(), before);
}
