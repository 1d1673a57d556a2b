//! Maintenance and pauses: one flip under the lease, kept by whatever comes after.

use std::time::Duration;

use deploy_apps::model::{AppRecord, Interrupted, Interruption, Page};
use deploy_apps::plan::{PlanRefused, Verdict};
use deploy_apps::ports::ProxyError;
use deploy_apps::rollout::{DeployError, InterruptRequest, interrupt};

use crate::fixture::*;
use crate::scenes::deployed;
use crate::session::{Desired, at_first, look, no_faults, run_of, succeed};
use crate::world::{Client, Error, Fault, Faults, World};

fn record(world: &World) -> AppRecord {
    world.state().record(&"sample/go-app".parse().expect("a key")).expect("a record").clone()
}

fn on() -> Interruption {
    let page = Page::of("sorry.html", "<p>back soon".to_owned());
    Interruption::MaintenanceOn { retry_after: Duration::from_secs(90), allow: vec!["10.0.0.0/8".to_owned()], page }
}

/// Switches, and says which flips it took.
async fn switch(
    world: &std::sync::Arc<World>,
    apps: &[&str],
    what: &Interruption,
    faults: Faults,
) -> (Result<Vec<Interrupted>, DeployError>, usize) {
    let project = project([app("go-app")]);
    let client = Client::new(world, faults);
    let (run, _) = run_of(&client);
    let apps: Vec<_> = apps.iter().map(|app| name(app)).collect();
    let (operator, lock_wait) = (operator(&project), Duration::ZERO);
    let request = InterruptRequest { project: &project, apps: &apps, what, operator: &operator, lock_wait };
    let result = interrupt(&run, &request).await;
    let flips = client.calls().iter().filter(|call| call.what == "flip").count();
    (result, flips)
}

#[tokio::test(start_paused = true)]
async fn maintenance_stays_on_through_deploys_and_rollbacks_until_it_is_switched_off() {
    let file = || project([app("go-app")]);
    let world = deployed(&file()).await;
    let before = record(&world);
    let (found, flips) = switch(&world, &["go-app"], &on(), no_faults()).await;
    assert!(found.expect("it is on")[0].changed && flips == 1);
    let maintenance = record(&world).maintenance.expect("it is on");
    assert_eq!((maintenance.retry_after_s, maintenance.allow[0].as_str()), (90, "10.0.0.0/8"));
    assert_eq!(AppRecord { maintenance: None, ..record(&world) }, before, "all else stays as it is");
    let (found, flips) = switch(&world, &["go-app"], &on(), no_faults()).await;
    assert!(!found.expect("it is on").remove(0).changed && flips == 0, "it was on already");

    let plan = look(&world, &Desired::of(file())).await.1.expect("a plan");
    assert_eq!(plan.apps[0].verdict, Verdict::UpToDate, "nothing differs: {plan}");
    let wanted = ["it is in maintenance: requests get 503 until `deploy-apps maintenance off go-app`"];
    assert_eq!(plan.apps[0].warnings, wanted);
    world.edit("go-app");
    succeed(&world, &Desired::of(file())).await;
    assert_eq!((record(&world).release.0, record(&world).maintenance.as_ref()), (2, Some(&maintenance)));
    succeed(&world, &Desired::rollback(file(), &[])).await;
    assert_eq!((record(&world).release.0, record(&world).maintenance.as_ref()), (1, Some(&maintenance)));
    let (found, flips) = switch(&world, &["go-app"], &Interruption::MaintenanceOff, no_faults()).await;
    assert!(found.expect("it is off")[0].changed && flips == 1);
    let (found, flips) = switch(&world, &["go-app"], &Interruption::MaintenanceOff, no_faults()).await;
    assert!(!found.expect("it is off")[0].changed && flips == 0);
    assert_eq!(record(&world).maintenance, None);
}

#[tokio::test(start_paused = true)]
async fn a_pause_ends_by_the_clock_of_the_proxy() {
    let world = deployed(&project([app("go-app")])).await;
    let pause = Interruption::Pause(Duration::from_secs(30));
    let (found, _) = switch(&world, &["go-app"], &pause, no_faults()).await;
    assert!(found.expect("a pause")[0].pause.is_some());
    let set = record(&world).pause.expect("a pause");
    assert_eq!((set.until_ms, set.for_ms), (crate::world::NOW_MS + 30_000, 30_000));
    let (found, _) = switch(&world, &["go-app"], &Interruption::Resume, no_faults()).await;
    assert!(found.expect("no pause")[0].changed);
    assert_eq!(record(&world).pause, None);
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_found_out_about() {
    let world = deployed(&project([app("go-app")])).await;
    let lost = at_first("flip", Fault::FailAfterEffect(Error::Unreachable));
    switch(&world, &["go-app"], &on(), lost).await.0.expect("it is on");
    assert!(record(&world).maintenance.is_some());
    let failed = at_first("flip", Fault::Fail(Error::Unreachable));
    switch(&world, &["go-app"], &Interruption::MaintenanceOff, failed).await.0.expect("it is off");
    assert_eq!(record(&world).maintenance, None);
    let refused = at_first("flip", Fault::Fail(Error::PersistFailed));
    assert!(matches!(switch(&world, &["go-app"], &on(), refused).await.0, Err(DeployError::Setup(_))));
    assert_eq!(record(&world).maintenance, None);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_switched_is_told_and_nothing_is() {
    let world = deployed(&project([app("go-app")])).await;
    let (result, flips) = switch(&world, &["go-app", "other"], &on(), no_faults()).await;
    assert!(
        matches!(result, Err(DeployError::Refused(PlanRefused::NotDeployed { app })) if app.app.as_str() == "other")
    );
    assert_eq!((flips, record(&world).maintenance), (0, None));
    world.hold("sample/go-app");
    let (result, _) = switch(&world, &["go-app"], &on(), no_faults()).await;
    assert!(matches!(result, Err(DeployError::Proxy(ProxyError::LeaseHeld { .. }))), "{result:?}");
    let world = deployed(&project([app("go-app")])).await;
    world.change(|state| state.proxy_is_old = true);
    let (result, _) = switch(&world, &["go-app"], &on(), no_faults()).await;
    assert!(matches!(result, Err(DeployError::Proxy(ProxyError::TooOld { .. }))), "{result:?}");
}
