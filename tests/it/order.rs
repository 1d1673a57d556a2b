//! Dependencies between named services: what a service depends on is ready before its containers start, one-shot services
//! run once for each image and configuration, and a failure ends those who depend on it and nobody else.

use std::sync::Arc;
use std::time::Duration;

use deploy_apps::event::{Fact, Outcome};
use deploy_apps::model::{Condition, Dependency, Healthcheck, Project, Service};
use deploy_apps::plan::PlanRefused;

use crate::failures::faults_of;
use crate::fixture::*;
use crate::plans::compare;
use crate::session::{Desired, Report, at, at_first, look, no_faults, run, succeed};
use crate::world::{Behaviour, Fault, World};

const MIGRATION_TAKES: Duration = Duration::from_secs(3);

fn needs(other: &str, condition: Condition, mut service: Service) -> Service {
    service.depends_on.push(Dependency { service: name(other), condition });
    service
}

/// web waits for the migration, the worker for web, the migration for the database; api is on its own.
fn shop() -> Project {
    let migrate = needs("db", Condition::Started, service("migrate"));
    let web = after("migrate", Condition::CompletedSuccessfully, app("web"));
    let jobs = after("web", Condition::Healthy, worker("jobs"));
    with_accessories([service("db"), migrate], project([jobs, web, app("api")]))
}

fn asking(project: Project, names: &[&str]) -> Desired {
    Desired { apps: names.iter().map(|text| name(text)).collect(), ..Desired::of(project) }
}

const ALL: [&str; 4] = ["migrate", "jobs", "web", "api"];

fn world() -> Arc<World> {
    let world = World::new();
    world.script("-migrate-", Behaviour::exits_after(MIGRATION_TAKES, 0));
    world
}

/// The shop is deployed, and all of it has changed since.
async fn edited() -> Arc<World> {
    let world = world();
    succeed(&world, &asking(shop(), &ALL)).await;
    for app in ALL {
        world.edit(app);
    }
    world.state().starts.clear();
    world
}

fn starts(world: &World, part: &str) -> usize {
    world.state().starts.iter().filter(|name| name.contains(part)).count()
}

fn outcome_of(report: &Report, app: &str) -> Outcome {
    let Some(Ok(results)) = &report.result else { panic!("no results\n{}", report.story()) };
    let result = results.iter().find(|result| result.app.app.as_str() == app);
    result.unwrap_or_else(|| panic!("no outcome of {app}\n{}", report.story())).outcome
}

fn errors(report: &Report) -> Vec<String> {
    let error = |fact: &Fact| match fact {
        Fact::StepFailed { error, .. } => Some(error.clone()),
        _ => None,
    };
    report.facts().filter_map(error).collect()
}

/// The index of the first call of `what` about `subject`.
#[track_caller]
fn call(report: &Report, what: &str, subject: &str) -> usize {
    let found = report.calls.iter().find(|call| call.what == what && call.subject.contains(subject));
    found.unwrap_or_else(|| panic!("no {what} {subject}\n{}", report.story())).index
}

#[tokio::test(start_paused = true)]
async fn plan_shows_the_order() {
    let world = world();
    succeed(&world, &Desired::of(project([app("neighbour")]))).await;
    compare("first-deploy-in-order", &look(&world, &asking(shop(), &ALL)).await.1.expect("a plan").to_string());
    let world = edited().await;
    compare("redeploy-in-order", &look(&world, &asking(shop(), &ALL)).await.1.expect("a plan").to_string());
}

#[tokio::test(start_paused = true)]
async fn dependents_wait_and_others_do_not() {
    for desired in [asking(shop(), &ALL), asking(shop(), &["api", "web", "jobs"])] {
        let world = edited().await;
        let report = succeed(&world, &desired).await;
        let migrated = call(&report, "await_exit", "migrate");
        assert!(migrated < call(&report, "create_container", "-web-"), "{}", report.story());
        assert!(call(&report, "flip", "web") < call(&report, "create_container", "-jobs-"), "{}", report.story());
        assert!(call(&report, "flip", "api") < call(&report, "create_container", "-web-"), "{}", report.story());
        assert_eq!(starts(&world, "migrate"), 1, "{}", report.story());
    }
}

#[tokio::test(start_paused = true)]
async fn one_shot_runs_once_for_each_image_and_configuration() {
    let world = edited().await;
    succeed(&world, &asking(shop(), &["web"])).await;
    assert_eq!(starts(&world, "migrate"), 1);
    let again = succeed(&world, &asking(shop(), &["migrate", "web", "jobs"])).await;
    assert_eq!(starts(&world, "migrate"), 1, "{}", again.story());
    let mut changed = shop();
    let migrate = changed.accessories.get_mut(&name("migrate")).expect("a service");
    migrate.service.container.command = Some(vec!["./migrate".to_owned(), "--all".to_owned()]);
    succeed(&world, &asking(changed.clone(), &["web"])).await;
    assert_eq!(starts(&world, "migrate"), 2);
    let containers = world.state().containers.keys().filter(|name| name.contains("migrate")).count();
    assert_eq!(containers, 1, "what has run before goes");
    let forced = succeed(&world, &asking(changed.clone(), &["migrate"]).forced()).await;
    assert_eq!(starts(&world, "migrate"), 3, "{}", forced.story());
    succeed(&world, &asking(changed, &["web"]).forced()).await;
    assert_eq!(starts(&world, "migrate"), 3, "nobody asked for it by name");
}

#[tokio::test(start_paused = true)]
async fn failed_one_shot_ends_its_dependents_and_is_repeated_as_the_file_says_then() {
    for names in [&ALL[..], &["jobs", "web", "api"]] {
        let world = edited().await;
        let before = world.picture();
        world.script("-migrate-", Behaviour::exits_after(MIGRATION_TAKES, 3));
        let report = run(&world, &asking(shop(), names), no_faults()).await;
        world.assert_lawful(&report.story());
        for (app, outcome) in [
            ("migrate", Outcome::RolledBack),
            ("web", Outcome::RolledBack),
            ("jobs", Outcome::RolledBack),
            ("api", Outcome::Completed),
        ] {
            assert_eq!(outcome_of(&report, app), outcome, "{app}\n{}", report.story());
        }
        let said = errors(&report);
        assert!(said.iter().any(|error| error.contains("migrate-2` exited with code 3")), "{said:?}");
        let why = "not resumed, because `migrate`, which `web` depends on, failed";
        assert!(said.iter().any(|error| error == why), "{said:?}");
        let why = "not resumed, because `web`, which `jobs` depends on, failed";
        assert!(said.iter().any(|error| error == why), "{said:?}");
        let of = |picture: &crate::world::Picture, part: &str| {
            picture.containers.keys().filter(|name| name.contains(part)).cloned().collect::<Vec<_>>()
        };
        for part in ["-web-", "-jobs-", "-migrate-"] {
            assert_eq!(of(&world.picture(), part), of(&before, part), "{}", report.story());
        }

        let mut repaired = shop();
        let migrate = repaired.accessories.get_mut(&name("migrate")).expect("a service");
        migrate.service.container.command = Some(vec!["./repaired".to_owned()]);
        world.script("-migrate-", Behaviour::exits_after(MIGRATION_TAKES, 0));
        let report = succeed(&world, &asking(repaired, names)).await;
        let state = world.state();
        let ran = state.containers.values().find(|container| container.new.name.contains("migrate"));
        let command = ran.and_then(|container| container.new.spec.command.clone());
        assert_eq!(command.as_deref(), Some(&["./repaired".to_owned()][..]), "{}", report.story());
    }
}

#[tokio::test(start_paused = true)]
async fn failed_accessory_nobody_named_ends_its_dependents_only() {
    let world = world();
    world.script("-db-", Behaviour::exits_after(Duration::from_millis(20), 1));
    let mut project = shop();
    let web = project.apps.get_mut(&name("web")).expect("an app");
    web.service.depends_on = vec![Dependency { service: name("db"), condition: Condition::Healthy }];
    let db = project.accessories.get_mut(&name("db")).expect("a service");
    db.service.container.healthcheck = Some(check());
    let report = run(&world, &asking(project, &["web", "api"]), no_faults()).await;
    world.assert_lawful(&report.story());
    assert_eq!(outcome_of(&report, "web"), Outcome::RolledBack, "{}", report.story());
    assert_eq!(outcome_of(&report, "api"), Outcome::Completed, "{}", report.story());
    assert_eq!(outcome_of(&report, "db"), Outcome::RolledBack, "{}", report.story());
}

#[tokio::test(start_paused = true)]
async fn atomic_waits_too_and_flips_all_or_none() {
    let world = edited().await;
    let report = succeed(&world, &asking(shop(), &ALL).atomic()).await;
    assert!(call(&report, "await_exit", "migrate") < call(&report, "create_container", "-web-"), "{}", report.story());
    assert_eq!(report.calls.iter().filter(|call| call.what == "flip").count(), 1);

    let world = edited().await;
    let before = world.picture().records;
    world.script("-api-r2", Behaviour::never_healthy());
    let report = run(&world, &asking(shop(), &ALL).atomic(), no_faults()).await;
    world.assert_lawful(&report.story());
    assert_eq!(outcome_of(&report, "web"), Outcome::RolledBack, "{}", report.story());
    assert_eq!(world.picture().records, before);
    // What has run has run: it is not run again for the same image.
    let ran = starts(&world, "migrate");
    world.script("-api-", Behaviour::default());
    succeed(&world, &asking(shop(), &ALL).atomic()).await;
    assert_eq!((ran, starts(&world, "migrate")), (1, 1), "{}", report.story());
}

#[tokio::test(start_paused = true)]
async fn two_runs_beside_each_other_run_a_one_shot_once() {
    let world = edited().await;
    let mut project = shop();
    let jobs = project.apps.get_mut(&name("jobs")).expect("an app");
    jobs.service.depends_on =
        vec![Dependency { service: name("migrate"), condition: Condition::CompletedSuccessfully }];
    let (web, jobs) = (asking(project.clone(), &["web"]), asking(project, &["jobs"]));
    let (web, jobs) = tokio::join!(run(&world, &web, no_faults()), run(&world, &jobs, no_faults()));
    world.assert_lawful(&jobs.story());
    assert_eq!((web.outcome(), jobs.outcome()), (Outcome::Completed, Outcome::Completed), "{}", jobs.story());
    assert_eq!(starts(&world, "migrate"), 1, "{}\n{}", web.story(), jobs.story());
}

#[tokio::test(start_paused = true)]
async fn circle_is_refused_by_name() {
    let circle = |condition| {
        let a = after("b", condition, app("a"));
        project([a, after("c", condition, app("b")), after("a", condition, app("c"))])
    };
    let world = world();
    succeed(&world, &Desired::of(project([app("neighbour")]))).await;
    let refused = look(&world, &asking(circle(Condition::Started), &["a", "c"])).await.1.expect_err("a circle");
    assert_eq!(refused.to_string(), "service `a` depends on itself through `b`, `c`, `a`");
    let waits = project([after("b", Condition::CompletedSuccessfully, app("a")), app("b")]);
    let refused = look(&world, &asking(waits, &["a"])).await.1.expect_err("it never completes");
    assert!(matches!(refused, PlanRefused::NeverCompletes { .. }), "{refused}");
}

/// With each fault at each call: a one-shot never runs twice at once, nobody starts before what it depends on (the world
/// judges both), and the next run comes to the end.
async fn survives(atomic: bool, faults: impl Fn(&crate::world::Call) -> Vec<Fault>, once: bool) {
    let begin = edited().await;
    let mut desired = asking(shop(), &["jobs", "web", "migrate"]);
    desired.options.atomic = atomic;
    let undisturbed = run(&begin.fork(), &desired, no_faults()).await;
    let mut runs = 0;
    for call in &undisturbed.calls {
        for fault in faults(call) {
            let world = begin.fork();
            let report = run(&world, &desired, at(call.index, fault)).await;
            let context = format!("{fault:?} at {call}\n{}", report.story());
            world.assert_lawful(&context);
            world.state().leases.clear();
            let next = succeed(&world, &desired).await;
            let context = format!("{context}\nthen\n{}", next.story());
            let ran = starts(&world, "migrate");
            assert!(if once { ran == 1 } else { (1..=2).contains(&ran) }, "it ran {ran} times: {context}");
            assert_eq!(look(&world, &desired).await.1.map(|plan| plan.changes_nothing()), Ok(true), "{context}");
            runs += 1;
        }
    }
    assert!(runs > 40, "only {runs} runs");
}

#[tokio::test(start_paused = true)]
async fn fault_anywhere_is_mended_by_the_next_run() {
    survives(false, faults_of, false).await;
    survives(true, faults_of, false).await;
}

#[tokio::test(start_paused = true)]
async fn one_shot_runs_once_although_the_run_is_killed_anywhere() {
    survives(false, |_| vec![Fault::Crash, Fault::CrashAfterEffect], true).await;
    survives(true, |_| vec![Fault::Crash, Fault::CrashAfterEffect], true).await;
}

#[tokio::test(start_paused = true)]
async fn one_shot_of_a_killed_run_is_waited_for() {
    let world = edited().await;
    let desired = asking(shop(), &["web"]);
    let killed = run(&world, &desired, at_first("await_exit", Fault::Crash)).await;
    assert!(killed.result.is_none());
    world.state().leases.clear();
    let report = succeed(&world, &desired).await;
    assert_eq!(starts(&world, "migrate"), 1, "{}", report.story());
    assert!(call(&report, "await_exit", "migrate") < call(&report, "create_container", "-web-"), "{}", report.story());
}

#[tokio::test(start_paused = true)]
async fn app_that_fails_ends_its_dependents() {
    let world = edited().await;
    world.script("-web-r2", Behaviour::never_healthy());
    let report = run(&world, &asking(shop(), &ALL), no_faults()).await;
    world.assert_lawful(&report.story());
    let outcomes = ["migrate", "web", "jobs", "api"].map(|app| outcome_of(&report, app));
    let (done, back) = (Outcome::Completed, Outcome::RolledBack);
    assert_eq!(outcomes, [done, back, back, done], "{}", report.story());
    assert_eq!(starts(&world, "-jobs-"), 0);
}

#[tokio::test(start_paused = true)]
async fn order_goes_through_an_app_that_was_not_named() {
    let world = edited().await;
    let report = succeed(&world, &asking(shop(), &["jobs", "migrate"])).await;
    let migrated = call(&report, "await_exit", "migrate");
    assert!(migrated < call(&report, "create_container", "-jobs-"), "{}", report.story());
    assert_eq!(starts(&world, "-web-"), 0, "an app is deployed by its own name");
}

/// Never asked by a world in memory, which knows when a container is healthy.
fn check() -> Healthcheck {
    let test = vec!["CMD".to_owned(), "true".to_owned()];
    let (interval, timeout, retries, start_period, start_interval) = (None, None, None, None, None);
    Healthcheck::Test { test, interval, timeout, retries, start_period, start_interval }
}
