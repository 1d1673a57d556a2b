//! Random histories: deploys with random wants and faults, and hands that meddle in between. Whatever came of it,
//! the laws held all the time, the next deploy reaches its desired, and the one after that has nothing to do.

use std::sync::Arc;
use std::time::Duration;

use deploy_apps::model::{App, Role};
use proptest::prelude::*;

use crate::fixture::*;
use crate::judge::stray;
use crate::session::{Desired, at, look, no_faults, run, succeed};
use crate::world::{Behaviour, Error, Fault, World};

/// What is desired of the app.
#[derive(Debug, Clone)]
struct Shape {
    replicas: u32,
    parallelism: u32,
    stop_first: bool,
    release: bool,
    forced: bool,
}

impl Shape {
    fn desired(&self, app: &App) -> Desired {
        let app = app.clone();
        let app = in_batches_of(self.parallelism, replicas(self.replicas, app));
        let app = if self.stop_first { stop_first(app) } else { app };
        let app = if self.release { with_release_command(app) } else { app };
        let desired = Desired::of(project([app]));
        if self.forced { desired.forced() } else { desired }
    }
}

/// One thing that happens to the world.
#[derive(Debug, Clone)]
enum Event {
    Deploy(Shape, Option<(usize, Fault)>),
    /// How the containers of later deploys behave.
    Version(Behaviour),
    Edit,
    Kill(usize),
    Remove(usize),
    Untag(usize),
    Open(usize, bool, u64),
}

fn shape() -> impl Strategy<Value = Shape> {
    let flag = prop::bool::weighted(0.3);
    (0..4u32, 0..3u32, flag, flag, flag).prop_map(|(replicas, parallelism, stop_first, release, forced)| Shape {
        replicas,
        parallelism,
        stop_first,
        release,
        forced,
    })
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        Just(Fault::Crash),
        Just(Fault::CrashAfterEffect),
        Just(Fault::Cancel),
        Just(Fault::Fail(Error::Unreachable)),
        Just(Fault::FailAfterEffect(Error::Unreachable)),
        Just(Fault::RestartProxy(Duration::from_millis(300))),
        Just(Fault::LoseLease),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    let behaviour = prop_oneof![
        Just(Behaviour::default()),
        Just(Behaviour::never_healthy()),
        Just(Behaviour::healthy_once()),
        Just(Behaviour::ignores_stop()),
        Just(Behaviour::exits_after(Duration::from_millis(40), 1)),
    ];
    prop_oneof![
        6 => (shape(), prop::option::weighted(0.7, (0..60usize, fault()))).prop_map(|(shape, fault)| Event::Deploy(shape, fault)),
        2 => Just(Event::Edit),
        1 => behaviour.prop_map(Event::Version),
        1 => (0..9usize).prop_map(Event::Kill),
        1 => (0..9usize).prop_map(Event::Remove),
        1 => (0..9usize).prop_map(Event::Untag),
        1 => (0..9usize, any::<bool>(), 1..40u64).prop_map(|(nth, websocket, seconds)| Event::Open(nth, websocket, seconds)),
    ]
}

/// The nth container of the app, if there is one.
fn nth(world: &World, nth: usize) -> Option<String> {
    let state = world.state();
    let own = state.containers.values().filter(|container| container.new.labels.role == Role::Replica);
    own.map(|container| container.new.name.clone()).nth(nth)
}

async fn happen(world: &Arc<World>, app: &App, event: &Event) {
    match event {
        Event::Deploy(shape, fault) => {
            let faults = fault.map_or_else(no_faults, |(index, fault)| at(index, fault));
            let report = run(world, &shape.desired(app), faults).await;
            world.state().leases.clear();
            world.assert_lawful(&report.story());
        }
        Event::Version(behaviour) => world.script("go-app", behaviour.clone()),
        Event::Edit => world.edit("go-app"),
        Event::Kill(index) => nth(world, *index).into_iter().for_each(|name| world.kill(&name)),
        Event::Remove(index) => {
            let name = nth(world, *index);
            name.into_iter().for_each(|name| drop(world.state().containers.remove(&name)));
        }
        Event::Untag(index) => {
            let mut state = world.state();
            let tag = state.tags.keys().filter(|tag| tag.contains("go-app")).nth(*index).cloned();
            tag.into_iter().for_each(|tag| drop(state.tags.remove(&tag)));
        }
        Event::Open(index, websocket, seconds) => {
            let name = nth(world, *index).filter(|name| world.state().server_of(name).is_some());
            name.into_iter().for_each(|name| world.open(&name, *websocket, Duration::from_secs(*seconds)));
        }
    }
}

async fn walk(app: &App, events: &[Event], last: &Shape) {
    let world = World::new();
    world.load(&[Duration::from_millis(300), Duration::from_secs(4)], &[Duration::from_secs(9)]);
    for event in events {
        happen(&world, app, event).await;
    }
    world.script("go-app", Behaviour::default());
    world.script("-release", Behaviour::exits_after(Duration::from_millis(100), 0));
    // What still runs behaves from now on, except for what has died or is unhealthy: that is to be replaced.
    let mut desired = last.desired(app);
    let report = succeed(&world, &desired).await;
    let key = desired.project.key(&desired.apps[0]);
    let peers = world.state().record(&key).map_or(0, |record| record.peers.len());
    assert_eq!(peers, last.replicas as usize, "{}", report.story());
    assert!(stray(&world).is_empty(), "{:?}\n{}", stray(&world), report.story());
    desired.options.force = false;
    let plan = look(&world, &desired).await.1.expect("a plan");
    assert!(plan.changes_nothing(), "{plan}\n{}", report.story());
}

fn in_virtual_time(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(test);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_history_of_an_app_ends_well(events in prop::collection::vec(event(), 1..9), last in shape()) {
        in_virtual_time(walk(&app("go-app"), &events, &last));
    }

    #[test]
    fn any_history_of_a_worker_ends_well(events in prop::collection::vec(event(), 1..9), last in shape()) {
        in_virtual_time(walk(&worker("go-app"), &events, &last));
    }
}
