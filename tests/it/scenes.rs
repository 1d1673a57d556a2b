//! Situations that a deploy may meet, each made by real runs.

use std::sync::Arc;
use std::time::Duration;

use deploy_apps::model::{Condition, Project, PullPolicy, Route};

use crate::fixture::*;
use crate::session::{Desired, at_first, run, succeed};
use crate::world::{Fault, World};

/// A world and what is desired of it.
pub struct Scene {
    pub name: &'static str,
    pub world: Arc<World>,
    pub desired: Desired,
    /// What happens right before the run; open requests would have ended in a world that is kept for later.
    prelude: fn(&World),
}

impl Scene {
    pub fn new(name: &'static str, world: Arc<World>, desired: Desired) -> Self {
        Self { name, world, desired, prelude: |_| {} }
    }

    /// Something else is desired.
    pub fn desiring(self, desired: Desired) -> Self {
        Self { desired, ..self }
    }

    /// A world of its own for one run.
    pub fn fork(&self) -> Arc<World> {
        let world = self.world.fork();
        (self.prelude)(&world);
        world
    }
}

/// A world in which `project` is deployed, with requests open whenever a replica leaves.
pub async fn deployed(project: &Project) -> Arc<World> {
    let world = World::new();
    succeed(&world, &Desired::of(project.clone())).await;
    world.load(&[Duration::from_millis(700), Duration::from_secs(2)], &[Duration::from_secs(3)]);
    world
}

/// `project` is deployed and the source of `app` has changed since.
pub async fn edited(name: &'static str, project: Project) -> Scene {
    let world = deployed(&project).await;
    for app in project.apps.keys() {
        world.edit(app.as_str());
    }
    Scene::new(name, world, Desired::of(project))
}

/// `first` is deployed and `then` is desired.
pub async fn changed(name: &'static str, first: Project, then: Project) -> Scene {
    Scene::new(name, deployed(&first).await, Desired::of(then))
}

/// The redeploy of a changed app was killed at the first call of `what`.
pub async fn interrupted(name: &'static str, project: Project, what: &'static str, fault: Fault) -> Scene {
    let scene = edited(name, project).await;
    let report = run(&scene.world, &scene.desired, at_first(what, fault)).await;
    assert!(report.result.is_none(), "{}", report.story());
    scene.world.state().leases.clear();
    scene
}

pub async fn first_deploys() -> Vec<Scene> {
    let neighbour = project([app("node-app")]);
    vec![
        Scene::new("bare host", World::new(), Desired::of(project([app("go-app")]))),
        changed("first deploy", neighbour.clone(), project([replicas(2, app("go-app"))])).await,
        changed(
            "first deploy with a release command",
            neighbour.clone(),
            project([with_release_command(app("go-app"))]),
        )
        .await,
        changed("first deploy in batches", neighbour.clone(), project([in_batches_of(1, replicas(3, app("go-app")))]))
            .await,
        changed(
            "first deploy, stop-first",
            neighbour.clone(),
            project([with_release_command(stop_first(app("go-app")))]),
        )
        .await,
        changed("first deploy of a worker", neighbour.clone(), project([worker("mailer")])).await,
        changed("first deploy with hooks", neighbour.clone(), project([with_hooks(app("go-app"))])).await,
        changed("first deploy with an accessory", neighbour, behind_redis()).await,
    ]
}

pub fn behind_redis() -> Project {
    with_accessories([service("redis")], project([after("redis", Condition::Started, app("go-app"))]))
}

pub async fn redeploys() -> Vec<Scene> {
    let two = project([replicas(2, app("go-app"))]);
    let mut forced = changed("forced", two.clone(), two).await;
    forced.desired = forced.desired.forced();
    vec![
        edited("redeploy", project([replicas(2, app("go-app"))])).await,
        edited("redeploy with a release command", project([with_release_command(app("go-app"))])).await,
        edited("redeploy in batches", project([in_batches_of(1, replicas(3, app("go-app")))])).await,
        changed(
            "two to five in batches",
            project([version("0.9", in_batches_of(2, replicas(2, app("go-app"))))]),
            project([in_batches_of(2, replicas(5, environment(app("go-app"))))]),
        )
        .await,
        changed(
            "five to two in batches",
            project([in_batches_of(1, replicas(5, app("go-app")))]),
            project([in_batches_of(1, replicas(2, environment(app("go-app"))))]),
        )
        .await,
        edited("redeploy, stop-first", project([with_release_command(stop_first(replicas(2, app("go-app"))))])).await,
        changed("a worker gets a port", project([worker("go-app")]), project([app("go-app")])).await,
        changed("an app becomes a worker", project([app("go-app")]), project([stop_first(worker("go-app"))])).await,
        edited("redeploy with hooks", project([with_hooks(with_release_command(replicas(2, app("go-app"))))])).await,
        edited("redeploy with hooks, stop-first", project([with_hooks(stop_first(app("go-app")))])).await,
        edited("redeploy with hooks, in batches", project([with_hooks(in_batches_of(1, replicas(2, app("go-app"))))]))
            .await,
        edited("redeploy of a worker", project([replicas(2, worker("mailer"))])).await,
        forced,
    ]
}

pub async fn adjustments() -> Vec<Scene> {
    let two = project([replicas(2, app("go-app"))]);
    let mut dead = changed("one replica dead", two.clone(), two.clone()).await;
    dead.prelude = |world| world.kill("sample-go-app-r1-2");
    vec![
        changed("nothing to do", two.clone(), two.clone()).await,
        changed("routes", two.clone(), project([replicas(2, with_path("/go", app("go-app")))])).await,
        changed("more replicas", project([app("go-app")]), project([replicas(3, app("go-app"))])).await,
        changed("fewer replicas", project([replicas(3, app("go-app"))]), project([app("go-app")])).await,
        changed("to zero", two.clone(), project([replicas(0, app("go-app"))])).await,
        changed("from zero", project([replicas(0, app("go-app"))]), two.clone()).await,
        dead,
    ]
}

pub async fn after_crashes() -> Vec<Scene> {
    let two = || project([replicas(2, app("go-app"))]);
    let three = project([in_batches_of(1, replicas(3, app("go-app")))]);
    let writer = project([with_release_command(stop_first(app("go-app")))]);
    let mut busy = interrupted("killed after the flip, old still busy", two(), "flip", Fault::CrashAfterEffect).await;
    busy.prelude = |world| {
        world.open("sample-go-app-r1-1", false, Duration::from_secs(2));
        world.open("sample-go-app-r1-2", true, Duration::from_secs(4));
    };
    vec![
        interrupted("killed before the flip", two(), "flip", Fault::Crash).await,
        interrupted("killed after the flip", two(), "flip", Fault::CrashAfterEffect).await,
        busy,
        interrupted("killed between batches", three.clone(), "flip", Fault::CrashAfterEffect).await,
        interrupted("killed between batches, old stopped", three, "stop_container", Fault::CrashAfterEffect).await,
        interrupted("killed while it holds", writer.clone(), "flip", Fault::CrashAfterEffect).await,
        interrupted("killed while it holds, old stopped", writer, "stop_container", Fault::CrashAfterEffect).await,
        interrupted(
            "killed in the release command",
            project([with_release_command(app("go-app"))]),
            "await_exit",
            Fault::Crash,
        )
        .await,
    ]
}

/// Changes of scale by hand.
pub async fn scales() -> Vec<Scene> {
    let two = || project([replicas(2, app("go-app"))]);
    let scale = |project: Project, count| Desired::scale(project, &[("go-app", count)]);
    let mut asleep = scaled("scaled from zero", two(), 0).await;
    asleep.desired = scale(two(), 3);
    // The file and the source have moved on meanwhile: that is the next deploy's matter.
    let mut edited = edited("scaled up beside a changed source", two()).await;
    edited.desired = scale(project([replicas(2, with_path("/new", environment(app("go-app"))))]), 4);
    let writers = project([in_batches_of(1, stop_first(worker("go-app")))]);
    vec![
        changed("scaled up", two(), two()).await.desiring(scale(two(), 4)),
        changed("scaled down", two(), two()).await.desiring(scale(two(), 1)),
        changed("scaled to zero", two(), two()).await.desiring(scale(two(), 0)),
        asleep,
        edited,
        changed("a worker scaled up", writers.clone(), writers.clone()).await.desiring(scale(writers, 3)),
    ]
}

/// `project` is deployed and go-app was scaled to `count`.
pub async fn scaled(name: &'static str, project: Project, count: u32) -> Scene {
    let world = deployed(&project).await;
    succeed(&world, &Desired::scale(project.clone(), &[("go-app", count)])).await;
    Scene::new(name, world, Desired::of(project))
}

/// Every app of `project` has served as r1 and as r2, which serves.
pub async fn replaced(name: &'static str, project: Project) -> Scene {
    let scene = edited(name, project).await;
    succeed(&scene.world, &scene.desired).await;
    Scene { desired: Desired::rollback(scene.desired.project.clone(), &[]), ..scene }
}

pub async fn rollbacks() -> Vec<Scene> {
    let two = || project([replicas(2, app("go-app"))]);
    let pair = project([replicas(2, app("go-app")), app("node-app")]);
    let mut both = replaced("two apps rolled back, atomic", pair.clone()).await;
    both.desired = Desired::rollback(pair, &[("go-app", 1), ("node-app", 1)]).atomic();
    let batches = project([in_batches_of(1, replicas(3, app("go-app")))]);
    let mixed = interrupted("rolled back between two batches", batches.clone(), "flip", Fault::CrashAfterEffect).await;
    let mut named = replaced("rolled back by number", two()).await;
    named.desired = Desired::rollback(two(), &[("go-app", 1)]);
    let mut again = replaced("rolled back once more after a kill", two()).await;
    let killed = run(&again.world, &again.desired, at_first("flip", Fault::CrashAfterEffect)).await;
    assert!(killed.result.is_none(), "{}", killed.story());
    again.world.state().leases.clear();
    again.prelude = |world| world.open("sample-go-app-r2-1", false, Duration::from_secs(2));
    vec![
        replaced("rolled back", two()).await,
        named,
        replaced("rolled back in batches", batches.clone()).await,
        replaced("rolled back, stop-first", project([with_release_command(stop_first(app("go-app")))])).await,
        replaced("a worker rolled back", project([worker("go-app")])).await,
        mixed.desiring(Desired::rollback(batches, &[])),
        again,
        both,
    ]
}

pub async fn pairs() -> Vec<Scene> {
    let two = || project([replicas(2, app("go-app")), app("node-app")]);
    let mut atomic = edited("two apps, atomic", two()).await;
    atomic.desired = atomic.desired.atomic();
    vec![edited("two apps", two()).await, atomic]
}

/// Routes that change hands in one flip: two apps swap theirs, and one app takes over from another.
pub async fn hand_overs() -> Vec<Scene> {
    let mut swap = changed("swapped routes", project([app("go-app"), app("node-app")]), swapped()).await;
    swap.desired = swap.desired.atomic();
    let first = project([replicas(2, app("go-app"))]);
    vec![
        swap,
        changed("taken over", first.clone(), project([successor(replicas(2, app("web")))])).await,
        changed(
            "taken over in batches",
            first.clone(),
            project([in_batches_of(1, successor(replicas(2, app("web"))))]),
        )
        .await,
        changed(
            "taken over by an app that serves",
            project([app("go-app"), app("web")]),
            project([successor(app("web"))]),
        )
        .await,
    ]
}

pub fn swapped() -> Project {
    let (mut one, mut other) = (app("go-app"), app("node-app"));
    std::mem::swap(&mut one.routes, &mut other.routes);
    project([one, other])
}

/// Has the routes of go-app, and replaces it.
pub fn successor(mut app: deploy_apps::model::App) -> deploy_apps::model::App {
    app.routes = crate::fixture::app("go-app").routes;
    app.replaces = Some("sample/go-app".parse().expect("a valid key"));
    app
}

pub async fn all() -> Vec<Scene> {
    let mut scenes = first_deploys().await;
    scenes.extend(redeploys().await);
    scenes.extend(adjustments().await);
    scenes.extend(after_crashes().await);
    scenes.extend(pairs().await);
    scenes.extend(hand_overs().await);
    scenes.extend(scales().await);
    scenes.extend(rollbacks().await);
    scenes.push(pulled().await);
    scenes
}

pub async fn pulled() -> Scene {
    let world = World::new();
    world.publish("registry/go-app:1");
    let desired = Desired::of(project([from_image("registry/go-app:1", PullPolicy::Always, app("go-app"))]));
    succeed(&world, &desired).await;
    world.publish("registry/go-app:1");
    Scene::new("a newer image", world, desired)
}

pub fn with_path(path: &str, mut app: deploy_apps::model::App) -> deploy_apps::model::App {
    app.routes.push(Route { host: None, path: path.to_owned(), strip: true, tls: None });
    app
}

pub fn version(text: &str, app: deploy_apps::model::App) -> deploy_apps::model::App {
    deploy_apps::model::App { version: text.to_owned(), ..app }
}

/// Another configuration, so that a new release is due.
pub fn environment(mut app: deploy_apps::model::App) -> deploy_apps::model::App {
    app.service.container.environment.insert("COLOUR".to_owned(), "green".to_owned());
    app
}
