//! Bringing the host's proxy up.

use std::time::Duration;

use deploy_apps::model::{
    AccessLog, ContainerState, HostRoute, Logging, NewContainer, ObservedEngine, OwnLabels, ProxySpec, Resources, Role,
    identity,
};
use deploy_apps::plan::{
    Serving, Stage, Step, address_pool, plan_lost_network, plan_proxy, plan_proxy_upgrade, proxy_drift, upgrade_gap,
};

use super::compare;
use crate::fixture::*;
use crate::session::{Desired, look, succeed};
use crate::world::World;

fn spec() -> ProxySpec {
    project([]).proxy
}

fn text(stages: &[Stage]) -> String {
    let lines = stages.iter().enumerate().flat_map(|(index, stage)| {
        stage.steps().map(move |planned| format!("{:>4} [{}] {planned}\n", planned.id, index + 1)).collect::<Vec<_>>()
    });
    lines.collect()
}

/// An engine whose proxy runs.
async fn running() -> ObservedEngine {
    let (world, desired) = (World::new(), Desired::of(project([app("go-app")])));
    succeed(&world, &desired).await;
    look(&world, &desired).await.0.engine
}

async fn in_state(state: ContainerState) -> ObservedEngine {
    let mut engine = running().await;
    let proxy = engine.containers.iter_mut().find(|container| container.name == "deploy-apps-proxy");
    proxy.expect("a proxy").state = state;
    engine
}

#[test]
fn a_bare_host_gets_network_volume_image_and_proxy() {
    compare("proxy-none", &text(&plan_proxy(&spec(), &proxy_image(), &ObservedEngine::default()).unwrap()));
}

fn made_as(spec: &ProxySpec, role: Role) -> NewContainer {
    let stages = plan_proxy(spec, &proxy_image(), &ObservedEngine::default()).unwrap();
    let container = stages.iter().flat_map(Stage::steps).find_map(|planned| match &planned.step {
        Step::CreateContainer(container) if container.labels.role == role => Some((**container).clone()),
        _ => None,
    });
    container.expect("a proxy")
}

/// The nginx.
fn made(spec: &ProxySpec) -> NewContainer {
    made_as(spec, Role::ProxyInstance)
}

/// What has the ports.
fn holder(spec: &ProxySpec) -> NewContainer {
    made_as(spec, Role::Proxy)
}

#[test]
fn the_log_of_a_new_proxy_has_a_limit_and_one_of_before_is_no_other_proxy() {
    let usual = made(&spec());
    assert!(usual.spec.log_limit.is_some());
    let mut before = usual.spec.clone();
    before.log_limit = None;
    before.resources = Resources::default();
    before.environment.clear();
    assert_eq!(usual.labels.identity, identity("proxy-instance", &before));
    let logging = Logging { driver: "journald".to_owned(), options: [].into() };
    let said = made(&ProxySpec { logging: Some(logging.clone()), ..spec() });
    assert_eq!(said.spec.logging, Some(logging));
    assert_ne!(said.labels.identity, usual.labels.identity);
}

#[test]
fn limits_and_log_reach_the_container_and_make_no_other_proxy() {
    let usual = made(&spec());
    assert_eq!(usual.spec.resources.memory_bytes, Some(1 << 30));
    assert_eq!(usual.spec.environment["ACCESS_LOG"], "file");
    assert!(!usual.spec.environment.contains_key("CONNECTIONS_PER_CLIENT"));
    let other = ProxySpec {
        memory_bytes: 512 << 20,
        access_log: AccessLog::Stdout,
        connections_per_client: Some(500),
        ..spec()
    };
    let wanted = made(&other);
    assert_eq!(wanted.spec.resources.memory_bytes, Some(512 << 20));
    assert_eq!(wanted.spec.environment["ACCESS_LOG"], "stdout");
    assert_eq!(wanted.spec.environment["CONNECTIONS_PER_CLIENT"], "500");
    assert_eq!(wanted.labels.identity, usual.labels.identity);
    assert_eq!(OwnLabels::from_map(&wanted.labels.to_map()), Some(wanted.labels));
}

#[tokio::test(start_paused = true)]
async fn a_running_proxy_with_other_limits_goes_on_and_is_named() {
    let mut engine = running().await;
    assert_eq!(proxy_drift(&spec(), &engine), None);
    let other = ProxySpec { memory_bytes: 512 << 20, ..spec() };
    assert_eq!(plan_proxy(&other, &proxy_image(), &engine), Ok(Vec::new()));
    let said = "the proxy `deploy-apps` has memory 1 GiB instead of 512 MiB";
    assert_eq!(proxy_drift(&other, &engine).as_deref(), Some(said));
    engine.containers.iter_mut().for_each(|container| container.labels.tuning = None);
    assert_eq!(plan_proxy(&spec(), &proxy_image(), &engine), Ok(Vec::new()), "a proxy of before");
    let said =
        "the proxy `deploy-apps` has memory unlimited instead of 1 GiB and access log `stdout` instead of `file`";
    assert_eq!(proxy_drift(&spec(), &engine).as_deref(), Some(said));
    engine.containers.clear();
    assert_eq!(proxy_drift(&spec(), &engine), None);
}

#[test]
fn trusted_proxies_reach_the_container_and_make_another_proxy() {
    let usual = made(&spec());
    assert!(!usual.spec.environment.contains_key("TRUSTED_PROXIES"), "a proxy of before is no other proxy");
    let trusted_proxies = vec!["host".parse().unwrap(), "2001:db8::/32".parse().unwrap()];
    let trusting = made(&ProxySpec { trusted_proxies: trusted_proxies.clone(), ..spec() });
    let gateway = address_pool(&spec(), &ObservedEngine::default()).unwrap().gateway();
    assert_eq!(trusting.spec.environment["TRUSTED_PROXIES"], format!("{gateway}/32,2001:db8::/32"));
    let ports = |spec: &ProxySpec| (holder(spec).spec.ports[0].container_port, holder(spec).spec.command.unwrap());
    assert_eq!(ports(&spec()), (80, ["hold", "80", "9180"].map(str::to_owned).to_vec()));
    let speaks = ProxySpec { trusted_proxies, proxy_protocol: true, ..spec() };
    let speaking = made(&speaks);
    assert_eq!(speaking.spec.environment["PROXY_PROTOCOL"], "on");
    assert_eq!(ports(&speaks), (8081, ["hold", "80", "9180", "8081"].map(str::to_owned).to_vec()));
    let identities = [&usual, &trusting, &speaking].map(|made| made.labels.identity.clone());
    assert_eq!(identities.iter().collect::<std::collections::BTreeSet<_>>().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_running_proxy_is_left_alone() {
    assert_eq!(plan_proxy(&spec(), &proxy_image(), &running().await), Ok(Vec::new()));
}

#[tokio::test(start_paused = true)]
async fn a_stopped_proxy_gets_its_removed_network_again_with_the_same_addresses() {
    let mut engine = in_state(ContainerState::Exited { code: 0, oom_killed: false }).await;
    let subnets = engine.network("deploy-apps").expect("the proxy's network").subnets.clone();
    engine.networks.clear();
    let stages = plan_proxy(&spec(), &proxy_image(), &engine).unwrap();
    let steps: Vec<&Step> = stages.iter().flat_map(Stage::steps).map(|planned| &planned.step).collect();
    let [Step::CreateNetwork(network), Step::StartContainer { name }, Step::AwaitControl { .. }] = steps[..] else {
        panic!("network, start and look: {steps:?}")
    };
    assert_eq!((network.name.as_str(), name.as_str()), ("deploy-apps", "deploy-apps-proxy"));
    assert_eq!(network.subnet.as_slice(), subnets);
    let repair = plan_lost_network(&spec().name, &engine).expect("a step");
    assert_eq!(&repair.step, steps[0]);
    engine.containers.clear();
    assert_eq!(plan_lost_network(&spec().name, &engine), None, "nobody remembers its addresses");
}

#[test]
fn a_new_network_is_not_laid_over_routes_of_the_machine() {
    let usual = address_pool(&spec(), &ObservedEngine::default()).unwrap();
    let route = |subnet: &str| HostRoute { subnet: subnet.parse().unwrap(), device: "wg0".to_owned() };
    let mut engine =
        ObservedEngine { host_routes: vec![route(&usual.subnet().to_string())], ..ObservedEngine::default() };
    let beside = address_pool(&spec(), &engine).unwrap();
    assert!(!beside.subnet().overlaps(usual.subnet()));
    engine.host_routes = vec![route("10.0.0.0/8")];
    let elsewhere = address_pool(&spec(), &engine).unwrap();
    assert!(elsewhere.is_free(&[engine.host_routes[0].subnet]), "{}", elsewhere.subnet());
}

#[tokio::test(start_paused = true)]
async fn a_stopped_proxy_is_started() {
    let engine = in_state(ContainerState::Exited { code: 0, oom_killed: false }).await;
    compare("proxy-stopped", &text(&plan_proxy(&spec(), &proxy_image(), &engine).unwrap()));
}

#[tokio::test(start_paused = true)]
async fn a_dead_proxy_is_replaced() {
    let engine = in_state(ContainerState::Dead).await;
    compare("proxy-dead", &text(&plan_proxy(&spec(), &proxy_image(), &engine).unwrap()));
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_hands_over() {
    let mut image = proxy_image();
    image.build_id = "p2".to_owned();
    let serving = Serving { instance: Some(1), retiring: Vec::new() };
    let upgrade =
        plan_proxy_upgrade(&spec(), &image, &running().await, &serving, Duration::ZERO, "the upgrade was asked for")
            .unwrap();
    assert_eq!(upgrade.hand_over, Some((2, 1)));
    compare("proxy-upgrade", &text(&upgrade.stages));
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_of_a_proxy_that_cannot_hand_over_replaces_it_and_says_so() {
    let mut engine = running().await;
    assert_eq!(upgrade_gap(&spec(), &proxy_image(), &engine), None);
    let other_port = ProxySpec { http_port: 81, ..spec() };
    let said = upgrade_gap(&other_port, &proxy_image(), &engine);
    assert_eq!(said, Some("its published ports, its address or its network change"));
    let trusting = ProxySpec { trusted_proxies: vec!["host".parse().unwrap()], ..spec() };
    assert_eq!(upgrade_gap(&trusting, &proxy_image(), &engine), None, "that is the nginx's own");
    engine.containers.retain(|container| container.labels.role != Role::ProxyInstance);
    let single = engine.containers.iter_mut().find(|container| container.labels.role == Role::Proxy).expect("a proxy");
    single.labels.replica = None;
    let said = upgrade_gap(&spec(), &proxy_image(), &engine);
    assert_eq!(said, Some("the proxy is of a build that cannot hand over"));
    let upgrade = plan_proxy_upgrade(
        &spec(),
        &proxy_image(),
        &engine,
        &Serving::default(),
        Duration::ZERO,
        "the upgrade was asked for",
    )
    .unwrap();
    assert_eq!(upgrade.hand_over, None);
    compare("proxy-migration", &text(&upgrade.stages));
}
