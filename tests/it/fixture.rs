//! The projects that the tests deploy.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use deploy_apps::model::{
    AccessLog, Accessory, App, AppName, BuildSpec, Condition, ContainerSpec, Dependency, DrainPolicy, HealthPolicy,
    Hook, Hooks, ImageSource, Order, Project, ProxyName, ProxySpec, PullPolicy, Redirect, ReleaseCommand,
    RolloutPolicy, Route, Service, Settings,
};
use deploy_apps::plan::ProxyImage;
use deploy_apps::ports::Operator;
use indexmap::IndexMap;

pub fn name(text: &str) -> AppName {
    text.parse().expect("a valid name")
}

pub fn build(folder: &str) -> BuildSpec {
    BuildSpec {
        context: PathBuf::from("/sample/apps").join(folder),
        dockerfile: "Dockerfile".into(),
        dockerfile_inline: None,
        args: IndexMap::new(),
        target: None,
        labels: IndexMap::new(),
        network: None,
        extra_hosts: Vec::new(),
        ..BuildSpec::default()
    }
}

pub fn service(text: &str) -> Service {
    Service {
        name: name(text),
        image: ImageSource::Build(Box::new(build(text))),
        container: ContainerSpec::default(),
        depends_on: Vec::new(),
    }
}

/// One replica, built from its own folder, reached by its own host name.
pub fn app(text: &str) -> App {
    App {
        service: service(text),
        version: "1.0.0".to_owned(),
        port: Some(8080),
        routes: vec![Route { host: Some(format!("{text}.localhost")), path: "/".to_owned(), strip: false, tls: None }],
        replicas: 1,
        replicas_stated: false,
        health: HealthPolicy {
            path: "/healthz".to_owned(),
            timeout: Duration::from_secs(5),
            ..HealthPolicy::default()
        },
        drain: DrainPolicy::default(),
        rollout: RolloutPolicy::default(),
        rollback: RolloutPolicy::default(),
        settings: Settings::default(),
        replaces: None,
        canary: None,
        release: None,
    }
}

pub fn replicas(count: u32, app: App) -> App {
    App { replicas: count, replicas_stated: true, ..app }
}

pub fn in_batches_of(parallelism: u32, mut app: App) -> App {
    app.rollout.parallelism = parallelism;
    // As compose has it where there is no `rollback_config`.
    app.rollback = app.rollout.clone();
    app
}

pub fn stop_first(mut app: App) -> App {
    app.rollout.order = Order::StopFirst;
    app.rollback = app.rollout.clone();
    app
}

pub fn worker(text: &str) -> App {
    App { port: None, routes: Vec::new(), ..app(text) }
}

pub fn with_release_command(app: App) -> App {
    let release = ReleaseCommand { command: vec!["./migrate".to_owned()], timeout: Duration::from_secs(60) };
    App { release: Some(release), ..app }
}

/// Requests to `/old` are answered with this target.
pub fn redirected(to: &str, mut app: App) -> App {
    let (path, to, status) = ("/old".to_owned(), to.to_owned(), Redirect::DEFAULT_STATUS);
    app.settings.redirects = vec![Redirect { host: None, path, to, status }];
    app
}

/// One of each hook, and two before the first replica.
pub fn with_hooks(mut app: App) -> App {
    let hook =
        |command: &str| Hook { command: vec![command.to_owned()], timeout: Duration::from_secs(4), ..Hook::default() };
    app.service.container.hooks = Hooks {
        pre_start: vec![hook("./chown"), hook("./seed")],
        post_start: vec![hook("./register")],
        pre_stop: vec![hook("./deregister")],
    };
    app
}

pub fn from_image(reference: &str, policy: PullPolicy, mut app: App) -> App {
    app.service.image = ImageSource::Pull { reference: reference.to_owned(), policy };
    app
}

pub fn after(other: &str, condition: Condition, mut app: App) -> App {
    app.service.depends_on.push(Dependency { service: name(other), condition });
    app
}

pub fn project(apps: impl IntoIterator<Item = App>) -> Project {
    let apps: IndexMap<AppName, App> = apps.into_iter().map(|app| (app.service.name.clone(), app)).collect();
    Project {
        hosts: apps.values().filter(|app| app.port.is_some()).map(|app| app.service.name.clone()).collect(),
        dormant: std::collections::BTreeSet::new(),
        name: "sample".parse().expect("a valid name"),
        folder: PathBuf::from("/sample"),
        remembered: false,
        proxy: ProxySpec {
            name: ProxyName::default(),
            http_port: 8080,
            https_port: None,
            bind: None,
            subnet: None,
            base_image: "debian:trixie-slim".to_owned(),
            logging: None,
            trusted_proxies: Vec::new(),
            proxy_protocol: false,
            memory_bytes: ProxySpec::MEMORY,
            access_log: AccessLog::default(),
            connections_per_client: None,
            acme: None,
            upgrade: deploy_apps::model::UpgradePolicy::default(),
        },
        notify: Vec::new(),
        apps,
        accessories: IndexMap::new(),
        networks: IndexMap::new(),
        volumes: Vec::new(),
        external_networks: Vec::new(),
        external_volumes: Vec::new(),
        certificates: std::collections::BTreeMap::new(),
        automatic: std::collections::BTreeSet::new(),
    }
}

pub fn with_accessories(accessories: impl IntoIterator<Item = Service>, mut project: Project) -> Project {
    let accessories = accessories
        .into_iter()
        .map(|service| (service.name.clone(), Accessory { service, container_name: None, backup: None }));
    project.accessories = accessories.collect();
    project
}

pub fn proxy_image() -> ProxyImage {
    ProxyImage { build_id: "p1".to_owned(), build: build("nginx") }
}

pub fn operator(project: &Project) -> Operator {
    Operator {
        owner: "ann".to_owned(),
        host: "laptop".to_owned(),
        project: project.name.clone(),
        origin: Arc::default(),
    }
}
