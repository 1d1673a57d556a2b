//! Accessories that are asked for by name: made, started, replaced; with a fault, a crash and a cancel at every call.

use std::sync::Arc;
use std::time::Duration;

use deploy_apps::event::{Fact, Outcome};
use deploy_apps::model::{AccessoryChange, Condition, Hook, Project, Restart, Role};
use deploy_apps::ports::EngineErrorKind;
use tokio::time::Instant;

use crate::fixture::*;
use crate::plans::compare;
use crate::session::{Desired, at, at_first, look, no_faults, run, succeed};
use crate::world::{Behaviour, Call, Error, Fault, HookEnd, Port, World};

/// go-app needs redis, and nothing needs the mail catcher.
fn shop() -> Project {
    let go_app = after("redis", Condition::Started, app("go-app"));
    with_accessories([service("redis"), service("mail")], project([go_app]))
}

/// Both accessories have another command.
fn edited() -> Project {
    let mut project = shop();
    for accessory in project.accessories.values_mut() {
        accessory.service.container.command = Some(vec!["--verbose".to_owned()]);
    }
    project
}

/// The engine starts their accessories again, as it does unless the compose file says otherwise.
fn restarting(mut project: Project) -> Project {
    for accessory in project.accessories.values_mut() {
        accessory.service.container.restart = Restart::UnlessStopped;
    }
    project
}

fn asking(project: Project, names: &[&str]) -> Desired {
    Desired { apps: names.iter().map(|text| name(text)).collect(), ..Desired::of(project) }
}

/// go-app is deployed, and with it redis.
async fn deployed() -> Arc<World> {
    let world = World::new();
    succeed(&world, &Desired::of(shop())).await;
    world
}

/// The accessories that run, as `name command`.
fn running(world: &World) -> Vec<String> {
    let state = world.state();
    let own = state.containers.values().filter(|container| container.new.labels.role == Role::Accessory);
    let own = own.filter(|container| container.runs(Instant::now()));
    let command =
        |command: &Option<Vec<String>>| command.iter().flatten().map(|word| format!(" {word}")).collect::<String>();
    let mut names: Vec<String> =
        own.map(|container| format!("{}{}", container.new.name, command(&container.new.spec.command))).collect();
    names.sort();
    names
}

fn all(world: &World) -> usize {
    let state = world.state();
    state.containers.values().filter(|container| container.new.labels.role == Role::Accessory).count()
}

#[tokio::test(start_paused = true)]
async fn one_that_is_missing_is_created_by_its_name_and_left_alone_afterwards() {
    let world = deployed().await;
    assert_eq!(running(&world), ["sample-redis-1"]);
    let report = succeed(&world, &asking(shop(), &["mail"])).await;
    assert_eq!(report.outcome(), Outcome::Completed);
    assert_eq!(running(&world), ["sample-mail-1", "sample-redis-1"]);
    assert!(report.facts().any(|fact| *fact == Fact::AccessoryPlanned { change: AccessoryChange::Create }));
    assert!(world.state().history.iter().any(|(app, ..)| app.app.as_str() == "mail"), "its history says so");

    let before = world.picture();
    assert_eq!(succeed(&world, &asking(shop(), &["mail"])).await.outcome(), Outcome::UpToDate);
    assert_eq!(world.picture(), before);
}

#[tokio::test(start_paused = true)]
async fn one_that_has_changed_is_replaced_by_its_name_and_by_nothing_else() {
    let world = deployed().await;
    let report = succeed(&world, &Desired::of(edited())).await;
    assert_eq!(running(&world), ["sample-redis-1"], "{}", report.story());
    compare(
        "accessory-replaced",
        &look(&world, &asking(edited(), &["redis", "mail"])).await.1.expect("a plan").to_string(),
    );
    succeed(&world, &asking(edited(), &["redis"])).await;
    assert_eq!(running(&world), ["sample-redis-2 --verbose"]);
    assert_eq!(all(&world), 1);
    // The numbers go to and fro.
    succeed(&world, &asking(shop(), &["redis"])).await;
    assert_eq!(running(&world), ["sample-redis-1"]);
}

#[tokio::test(start_paused = true)]
async fn everything_creates_what_is_missing_and_replaces_nothing() {
    let world = deployed().await;
    let mut desired = asking(edited(), &["go-app", "redis", "mail"]);
    desired.options.keep_accessories = true;
    let report = succeed(&world, &desired).await;
    assert_eq!(running(&world), ["sample-mail-1 --verbose", "sample-redis-1"]);
    let warned = report.facts().any(|fact| {
        matches!(fact, Fact::Warned { message } if message == "accessory `redis` differs from the compose file and is \
            left as it is; `deploy-apps redis` replaces it")
    });
    assert!(warned, "{}", report.story());
}

#[tokio::test(start_paused = true)]
async fn one_that_has_stopped_is_started_by_its_name() {
    let world = deployed().await;
    world.kill("sample-redis-1");
    assert_eq!(succeed(&world, &asking(shop(), &["redis"])).await.outcome(), Outcome::Completed);
    assert_eq!(running(&world), ["sample-redis-1"]);
}

#[tokio::test(start_paused = true)]
async fn a_new_one_that_does_not_come_up_gives_way_to_the_old_one() {
    let world = World::new();
    succeed(&world, &Desired::of(restarting(shop()))).await;
    world.script("sample-redis-2", Behaviour::exits_after(Duration::from_millis(300), 1));
    let report = run(&world, &asking(restarting(edited()), &["redis"]), no_faults()).await;
    world.assert_lawful(&report.story());
    assert_eq!(report.outcome(), Outcome::RolledBack, "{}", report.story());
    assert_eq!(running(&world), ["sample-redis-1"]);
    assert_eq!(all(&world), 1);
}

#[tokio::test(start_paused = true)]
async fn one_with_a_name_of_its_own_keeps_it() {
    let named = |mut project: Project| {
        for accessory in project.accessories.values_mut() {
            accessory.container_name = Some(format!("my-{}", accessory.service.name));
        }
        project
    };
    let world = World::new();
    succeed(&world, &asking(named(shop()), &["go-app", "redis"])).await;
    succeed(&world, &asking(named(edited()), &["redis"])).await;
    assert_eq!(running(&world), ["my-redis --verbose"]);
}

/// With each fault at each call a run says what is true, and the next one ends where an undisturbed one would have.
async fn survives(names: &[&str], wanted: &[&str], faults: impl Fn(&Call) -> Vec<Fault>) {
    let begin = deployed().await;
    let desired = asking(edited(), names);
    let undisturbed = run(&begin.fork(), &desired, no_faults()).await;
    let mut runs = 0;
    for call in &undisturbed.calls {
        for fault in faults(call) {
            let world = begin.fork();
            let report = run(&world, &desired, at(call.index, fault)).await;
            let context = format!("{fault:?} at {call}\n{}", report.story());
            world.assert_lawful(&context);
            let outcomes = report.outcomes();
            if !outcomes.is_empty() && outcomes.iter().all(|outcome| *outcome == Outcome::Completed) {
                assert_eq!(running(&world), wanted, "it says that all is done: {context}");
            }
            if outcomes == [Outcome::RolledBack] {
                assert_eq!(running(&world), ["sample-redis-1"], "it says that all is as before: {context}");
            }
            let next = succeed(&world, &desired).await;
            let context = format!("{context}\nthen\n{}", next.story());
            let runs_as_desired = running(&world).iter().all(|line| line.ends_with(" --verbose"));
            assert!(runs_as_desired && running(&world).len() == wanted.len(), "{:?} {context}", running(&world));
            assert_eq!(all(&world), wanted.len(), "{context}");
            runs += 1;
        }
    }
    assert!(runs > 20, "only {runs} runs");
}

fn errors(call: &Call) -> Vec<Fault> {
    let general = if call.port == Port::Engine { Error::Engine(EngineErrorKind::Other) } else { Error::Refused };
    vec![Fault::Fail(general), Fault::Fail(Error::Unreachable), Fault::FailAfterEffect(Error::Unreachable)]
}

#[tokio::test(start_paused = true)]
async fn a_replacement_with_a_fault_anywhere_is_finished_by_the_next_one() {
    survives(&["redis"], &["sample-redis-2 --verbose"], errors).await;
}

#[tokio::test(start_paused = true)]
async fn a_replacement_killed_or_cancelled_anywhere_is_finished_by_the_next_one() {
    let faults = |_: &Call| vec![Fault::Crash, Fault::CrashAfterEffect, Fault::Cancel];
    survives(&["redis"], &["sample-redis-2 --verbose"], faults).await;
}

#[tokio::test(start_paused = true)]
async fn an_image_that_is_pruned_under_the_plan_is_planned_anew() {
    let world = deployed().await;
    succeed(&world, &asking(shop(), &["mail"])).await;
    {
        // Another project has built the same source; ours is gone.
        let mut state = world.state();
        state.containers.remove("sample-mail-1");
        let image = state.tags.remove("deploy-apps/sample-mail:accessory").expect("its image");
        state.tags.insert("deploy-apps/other-mail:accessory".to_owned(), image);
    }
    let gone = Fault::Fail(Error::Engine(EngineErrorKind::ImageNotFound));
    let report = run(&world, &asking(shop(), &["mail"]), at_first("tag_image", gone)).await;
    world.assert_lawful(&report.story());
    assert_eq!(report.outcome(), Outcome::Completed, "{}", report.story());
    assert!(report.calls.iter().filter(|call| call.what == "tag_image").count() > 1, "{}", report.story());
    assert_eq!(running(&world), ["sample-mail-1", "sample-redis-1"]);
}

#[tokio::test(start_paused = true)]
async fn what_an_interrupted_replacement_replaced_stays_until_the_new_one_is_well() {
    let world = World::new();
    succeed(&world, &Desired::of(restarting(shop()))).await;
    world.script("sample-redis-2", Behaviour::exits_after(Duration::from_millis(900), 1));
    let desired = asking(restarting(edited()), &["redis"]);
    let killed = run(&world, &desired, crash_after_second_start()).await;
    assert!(killed.result.is_none(), "{}", killed.story());
    world.state().leases.clear();
    let report = run(&world, &desired, no_faults()).await;
    world.assert_lawful(&report.story());
    assert!(world.state().containers.contains_key("sample-redis-1"), "{}", report.story());
    assert_ne!(report.outcome(), Outcome::Completed, "{}", report.story());
}

/// Killed when the new redis has been started and nobody has seen it well.
fn crash_after_second_start() -> crate::world::Faults {
    Arc::new(|call| {
        (call.what == "start_container" && call.subject == "sample-redis-2").then_some(Fault::CrashAfterEffect)
    })
}

#[tokio::test(start_paused = true)]
async fn an_app_waits_for_who_replaces_its_accessory_and_starts_no_second_writer() {
    let world = deployed().await;
    world.edit("go-app");
    // The old one is stopped, and what runs before the new one takes its time.
    let mut project = edited();
    let redis = project.accessories.get_mut(&name("redis")).expect("an accessory");
    let fill = Hook { command: vec!["./fill".to_owned()], timeout: Duration::from_secs(20), ..Hook::default() };
    redis.service.container.hooks.pre_start.push(fill);
    world.script("redis-2-pre-start", Behaviour::exits_after(Duration::from_secs(5), 0));
    let replacement = asking(project.clone(), &["redis"]);
    let app = asking(project, &["go-app"]);
    let (replaced, deployed) = tokio::join!(run(&world, &replacement, no_faults()), async {
        while running(&world).iter().any(|name| name.starts_with("sample-redis-1")) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        run(&world, &app, no_faults()).await
    });
    world.assert_lawful(&deployed.story());
    assert_eq!(
        (replaced.outcome(), deployed.outcome()),
        (Outcome::Completed, Outcome::Completed),
        "{}\n{}",
        replaced.story(),
        deployed.story()
    );
    let started = deployed.calls.iter().filter(|call| call.what == "start_container" && call.subject.contains("redis"));
    assert_eq!(started.count(), 0, "{}", deployed.story());
    assert_eq!(running(&world), ["sample-redis-2 --verbose"]);
}

/// Redis is saved before it is replaced.
fn saved(mut project: Project) -> Project {
    let command = vec!["./save".to_owned()];
    let hook = Hook { command, timeout: Duration::from_secs(4), ..Hook::default() };
    project.accessories.get_mut(&name("redis")).expect("redis").backup = Some(hook);
    project
}

#[tokio::test(start_paused = true)]
async fn a_backup_runs_in_the_old_container_before_it_is_replaced() {
    let world = deployed().await;
    // A backup is no part of what a container is made of.
    assert_eq!(succeed(&world, &asking(saved(shop()), &["redis"])).await.outcome(), Outcome::UpToDate);
    assert!(world.state().hooked.is_empty(), "and nothing is replaced, so nothing is saved");
    let desired = asking(saved(edited()), &["redis"]);
    compare("accessory-backed-up", &look(&world, &desired).await.1.expect("a plan").to_string());
    let report = succeed(&world, &desired).await;
    assert_eq!(world.state().hooked, [("sample-redis-1".to_owned(), "./save".to_owned())]);
    let told = report.facts().any(|fact| {
        matches!(fact, Fact::BackupFinished { name, output, .. }
            if name == "sample-redis-1" && *output == ["the hook's last words"])
    });
    assert!(told, "{}", report.story());
    assert_eq!(running(&world), ["sample-redis-2 --verbose"]);

    let mut desired = asking(saved(shop()), &["redis"]);
    desired.options.no_backup = true;
    succeed(&world, &desired).await;
    assert_eq!(world.state().hooked.len(), 1, "not with `--no-backup`");
}

#[tokio::test(start_paused = true)]
async fn a_backup_that_fails_or_hangs_leaves_the_accessory_as_it_is() {
    let ends = [
        (HookEnd::Code(3), "`./save` in `sample-redis-1` exited with code 3"),
        (HookEnd::Never, "`./save` in `sample-redis-1` did not finish within 4s"),
    ];
    for (end, message) in ends {
        let world = deployed().await;
        world.state().containers.get_mut("sample-redis-1").expect("redis").behaviour.hook = end;
        let before = world.picture().containers;
        let report = run(&world, &asking(saved(edited()), &["redis"]), no_faults()).await;
        world.assert_lawful(&report.story());
        assert_eq!(report.outcome(), Outcome::RolledBack, "{}", report.story());
        assert_eq!(world.picture().containers, before, "nothing was touched: {}", report.story());
        let told = report.facts().any(|fact| {
            matches!(fact, Fact::StepFailed { error, hint: Some(hint), .. }
                if error == message && hint.contains("`--no-backup`"))
        });
        assert!(told, "{}", report.story());
        assert!(report.calls.iter().all(|call| !["stop_container", "create_container"].contains(&call.what)));
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_is_stopped_is_started_for_its_backup() {
    let world = deployed().await;
    world.kill("sample-redis-1");
    let report = succeed(&world, &asking(saved(edited()), &["redis"])).await;
    assert_eq!(world.state().hooked.len(), 1, "{}", report.story());
    assert_eq!(running(&world), ["sample-redis-2 --verbose"]);
    assert_eq!(all(&world), 1);
}

#[tokio::test(start_paused = true)]
async fn a_replacement_with_a_backup_survives_faults_kills_and_cancels_anywhere() {
    let faults = |call: &Call| [errors(call), vec![Fault::Crash, Fault::CrashAfterEffect, Fault::Cancel]].concat();
    let begin = deployed().await;
    let desired = asking(saved(edited()), &["redis"]);
    let undisturbed = run(&begin.fork(), &desired, no_faults()).await;
    for call in &undisturbed.calls {
        for fault in faults(call) {
            let world = begin.fork();
            let report = run(&world, &desired, at(call.index, fault)).await;
            let context = format!("{fault:?} at {call}\n{}", report.story());
            world.assert_lawful(&context);
            let replaced = running(&world).iter().any(|line| line.ends_with("--verbose"));
            assert!(!replaced || !world.state().hooked.is_empty(), "replaced without a backup: {context}");
            let next = succeed(&world, &desired).await;
            assert_eq!((all(&world), running(&world).len()), (1, 1), "{context}\nthen\n{}", next.story());
            assert!(!world.state().hooked.is_empty(), "{context}");
        }
    }
}
