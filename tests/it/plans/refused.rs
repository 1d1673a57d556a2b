//! What the planner will not do, with its whole text and how to fix it.

use deploy_apps::model::{App, Condition, HostRoute, ImageSource, ObservedEngine, ObservedNetwork, Route, Subnet};
use deploy_apps::plan::{PlanRefused, plan_deploy, plan_proxy};

use crate::fixture::*;
use crate::scenes::{changed, deployed, edited, successor, swapped};
use crate::session::{Desired, look};
use crate::world::World;

#[track_caller]
fn says(refused: &PlanRefused, text: &str, hint: &str) {
    assert_eq!((refused.to_string().as_str(), refused.hint().as_str()), (text, hint));
}

async fn refused(world: &std::sync::Arc<World>, desired: &Desired) -> PlanRefused {
    look(world, desired).await.1.expect_err("a refusal")
}

#[tokio::test(start_paused = true)]
async fn a_route_of_another_app_is_not_taken() {
    let mut thief = app("thief");
    thief.routes = app("go-app").routes;
    let world = deployed(&project([app("go-app")])).await;
    let mut desired = Desired::of(project([thief]));
    desired.project.name = "other".parse().expect("a valid name");
    says(
        &refused(&world, &desired).await,
        "route `go-app.localhost/` of app `other/thief` is taken by app `sample/go-app`, which the same proxy serves",
        "give one of the two another `host` or `path` than `go-app.localhost/` in `x-deploy-apps.routes`",
    );
}

#[tokio::test(start_paused = true)]
async fn routes_that_change_hands_need_one_flip() {
    let world = deployed(&project([app("go-app"), app("node-app")])).await;
    says(
        &refused(&world, &Desired::of(swapped())).await,
        "route `node-app.localhost/` of app `sample/go-app` still leads to app `sample/node-app`, which gives it up in the compose file",
        "`deploy-apps --atomic node-app go-app` flips both in one call",
    );
    let alone = Desired { apps: vec![name("go-app")], ..Desired::of(swapped()) };
    assert!(matches!(refused(&world, &alone.atomic()).await, PlanRefused::RouteChangesHands { .. }));
}

#[tokio::test(start_paused = true)]
async fn the_routes_of_a_removed_app_are_taken_over_only_when_asked_for() {
    let world = deployed(&project([app("go-app")])).await;
    let renamed = App { replaces: None, ..successor(app("web")) };
    says(
        &refused(&world, &Desired::of(project([renamed]))).await,
        "route `go-app.localhost/` of app `sample/web` is taken by app `sample/go-app`, which is no longer in the compose file",
        "`x-deploy-apps.replaces: go-app` takes over from it in one flip; `deploy-apps remove go-app` removes it first",
    );
    says(
        &refused(&world, &Desired::of(project([stop_first(successor(app("web")))]))).await,
        "app `sample/web` cannot replace app `sample/go-app` with `order: stop-first`: both would run at once",
        "`deploy-apps remove go-app` first, or use `order: start-first`",
    );
}

#[tokio::test(start_paused = true)]
async fn rejects_a_route_within_that_of_another_project() {
    let route = |host: Option<&str>, path: &str| Route {
        host: host.map(str::to_owned),
        path: path.to_owned(),
        strip: false,
        tls: None,
    };
    let mut owner = app("go-app");
    owner.routes =
        vec![route(Some("shop.test"), "/"), route(Some("docs.test"), "/api"), route(None, "/"), route(None, "/go")];
    let world = deployed(&project([owner])).await;
    let desired = |routes: Vec<Route>, project_name: &str| {
        let mut second = app("second");
        second.routes = routes;
        let mut desired = Desired::of(project([second]));
        desired.project.name = project_name.parse().expect("a valid name");
        desired
    };
    for (wanted, within) in [
        (route(Some("shop.test"), "/admin"), "shop.test/"),
        (route(Some("docs.test"), "/api/v2"), "docs.test/api"),
        (route(None, "/go/on"), "*/go"),
    ] {
        says(
            &refused(&world, &desired(vec![wanted.clone()], "other")).await,
            &format!(
                "route `{wanted}` of app `other/second` would take requests from route `{within}` of app `sample/go-app` of \
                 another project"
            ),
            "give `second` a host of its own in `x-deploy-apps.routes`, or deploy it as an app of project `sample`",
        );
        // Within a project the more specific route is what somebody has asked for.
        look(&world, &desired(vec![wanted], "sample")).await.1.expect("a plan");
    }
    // Beside it, above it, on another host and below the root of any host there is room.
    let beside = [
        route(Some("docs.test"), "/"),
        route(Some("docs.test"), "/apis"),
        route(Some("www.shop.test"), "/"),
        route(None, "/gopher"),
    ];
    look(&world, &desired(beside.to_vec(), "other")).await.1.expect("a plan");
}

#[tokio::test(start_paused = true)]
async fn an_app_that_flips_more_than_once_cannot_be_atomic() {
    let hint = "deploy it without `--atomic`, or use `order: start-first` and `parallelism: 0`";
    for (app, why) in [
        (in_batches_of(1, replicas(2, app("go-app"))), "`parallelism`"),
        (stop_first(app("go-app")), "`order: stop-first`"),
    ] {
        let scene = edited("atomic", project([app])).await;
        let text = format!(
            "app `sample/go-app` replaces its replicas in several steps ({why}), so it cannot flip in one call with others"
        );
        says(&refused(&scene.world, &scene.desired.atomic()).await, &text, hint);
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_network_has_no_address_left() {
    let scene = changed("full", project([app("node-app")]), project([replicas(4000, app("go-app"))])).await;
    says(
        &refused(&scene.world, &scene.desired).await,
        "no free address is left for app `sample/go-app` in network 10.242.16.0/20",
        "remove containers that are no longer needed from the proxy's network",
    );
}

fn engine_with(name: &str, subnet: &str) -> ObservedEngine {
    let subnets: Vec<Subnet> = vec![subnet.parse().expect("a subnet")];
    let network = ObservedNetwork { id: "n".to_owned(), name: name.to_owned(), subnets, project: None };
    ObservedEngine { networks: vec![network], ..ObservedEngine::default() }
}

#[test]
fn a_host_without_a_free_range_is_told_how_to_give_one() {
    let mut engine = engine_with("lan", "10.0.0.0/8");
    let route = |subnet: &str| HostRoute { subnet: subnet.parse().expect("a subnet"), device: "wg0".to_owned() };
    engine.host_routes = ["172.16.0.0/12", "192.168.0.0/16"].map(route).to_vec();
    says(
        &plan_proxy(&project([]).proxy, &proxy_image(), &engine).unwrap_err(),
        "no /20 network in 10.201.0.0–10.254.255.255, 172.16.0.0/12 or 192.168.0.0/16 is free: the engine's networks and its \
         machine's routes take 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16",
        "`docker network prune` removes unused networks; or set `x-deploy-apps.proxy.subnet` to a /20 that nothing here is to \
         reach, such as one of 100.64.0.0/10",
    );
}

#[test]
fn a_foreign_network_of_the_proxys_name_is_not_used() {
    let engine = engine_with("deploy-apps", "172.30.0.0/16");
    says(
        &plan_proxy(&project([]).proxy, &proxy_image(), &engine).unwrap_err(),
        "network `deploy-apps` exists with 172.30.0.0/16, and the proxy needs a /20 of its own",
        "`docker network rm deploy-apps`, or set `x-deploy-apps.proxy.name` to another name",
    );
}

#[tokio::test(start_paused = true)]
async fn a_proxy_with_other_settings_is_not_changed_under_its_apps() {
    let (world, mut desired) = (deployed(&project([app("go-app")])).await, Desired::of(project([app("go-app")])));
    let engine = look(&world, &desired).await.0.engine;
    desired.project.proxy.http_port = 9090;
    says(
        &plan_proxy(&desired.project.proxy, &proxy_image(), &engine).unwrap_err(),
        "the proxy `deploy-apps` runs with other settings than the compose file asks for: it listens on port 8080, and the file \
         says `http_port: 9090`",
        "`deploy-apps proxy upgrade` replaces it (connections are refused for about a second); or leave it to all who share it: \
         `http_port: 8080`",
    );
    desired.project.proxy.http_port = 8080;
    desired.project.proxy.base_image = "debian:trixie".to_owned();
    assert_eq!(plan_proxy(&desired.project.proxy, &proxy_image(), &engine), Ok(Vec::new()));
    desired.project.proxy.trusted_proxies = vec!["host".parse().unwrap()];
    says(
        &plan_proxy(&desired.project.proxy, &proxy_image(), &engine).unwrap_err(),
        "the proxy `deploy-apps` runs with other settings than the compose file asks for",
        "`deploy-apps proxy upgrade` replaces it (no request is lost)",
    );
}

#[tokio::test(start_paused = true)]
async fn an_external_network_or_volume_must_be_there() {
    let world = deployed(&project([app("go-app")])).await;
    let mut desired = Desired::of(project([app("go-app")]));
    desired.project.external_volumes.push("uploads".to_owned());
    let refusal = refused(&world, &desired).await;
    says(&refusal, "external volume `uploads` does not exist on the engine", "`docker volume create uploads`");
    desired.project.external_networks.push("lan".to_owned());
    let refusal = refused(&world, &desired).await;
    says(&refusal, "external network `lan` does not exist on the engine", "`docker network create lan`");
}

#[tokio::test(start_paused = true)]
async fn a_service_without_an_image_is_named() {
    let (world, desired) = (deployed(&project([app("node-app")])).await, Desired::of(project([app("go-app")])));
    let mut observed = look(&world, &desired).await.0;
    observed.images.clear();
    let refusal = plan_deploy(&desired.project, &desired.apps, &observed, &desired.options).unwrap_err();
    assert!(matches!(desired.project.apps[0].service.image, ImageSource::Build(_)));
    says(&refusal, "service `go-app` has no image that the engine can run", "give `go-app` an `image` or a `build`");
}

#[tokio::test(start_paused = true)]
async fn accessories_that_wait_for_each_other_are_a_cycle() {
    let waits = |name: &str, other: &str| after(other, Condition::Started, app(name)).service;
    let ring = with_accessories(
        [waits("redis", "postgres"), waits("postgres", "redis")],
        project([after("redis", Condition::Started, app("go-app"))]),
    );
    let world = deployed(&project([app("node-app")])).await;
    says(
        &refused(&world, &Desired::of(ring)).await,
        "service `redis` depends on itself through `postgres`, `redis`",
        "remove one of the `depends_on` entries",
    );
}

#[tokio::test(start_paused = true)]
async fn names_that_join_to_those_of_another_project_are_refused() {
    let world = deployed(&project([app("web-api")])).await;
    let mut desired = Desired::of(project([app("api")]));
    desired.project.name = "sample-web".parse().expect("a valid name");
    says(
        &refused(&world, &desired).await,
        "`sample-web/api` and `sample/web-api` would have the same names on the engine, `sample-web-api-…`",
        "rename service `api`, or give project `sample-web` or project `sample` another name: top-level `name`, or `--project-name`",
    );
}

#[tokio::test(start_paused = true)]
async fn names_that_differ_in_capitals_alone_are_refused() {
    let world = deployed(&project([app("node-app")])).await;
    let mut shout = app("Web");
    shout.routes = app("other").routes;
    let desired = Desired::of(project([app("web"), shout]));
    says(
        &refused(&world, &desired).await,
        "`sample/web` and `sample/Web` would have the same names on the engine, `sample-web-…`",
        "rename one of the services `web` and `Web`",
    );
}
