//! The complete sample of the documentation.

use std::time::Duration;

use super::{Case, LoadRequest, load};
use crate::model::{
    AppName, Balance, Condition, ImageSource, MountSource, Order, ProxyName, PullPolicy, Restart, Route,
};

const SAMPLE: &str = r#"name: sample
x-deploy-apps:
  proxy: { http_port: "${HTTP_PORT:-8080}" }      # one proxy per host by default
services:
  go-app:
    build: ./apps/go-app
    stop_grace_period: 10s
    deploy: { replicas: 2 }
    x-deploy-apps:
      port: 8080
      routes: [{ host: go-app.localhost }, { path: /go-app }]
      health: { path: /healthz, successes: 2, timeout: 30s }
      drain: { timeout: 60s, websocket_timeout: 5m }
      release: ["./migrate"]
"#;

#[test]
fn the_sample_has_one_app_with_two_routes() {
    let case = Case::new(SAMPLE).file("apps/go-app/VERSION", "1.4.0\n").env("HTTP_PORT", "18080");
    let project = case.project();
    assert_eq!(project.name.as_str(), "sample");
    assert_eq!(project.proxy.http_port, 18080);
    assert_eq!(project.proxy.name, ProxyName::default());
    assert_eq!(project.proxy.base_image, "debian:trixie-slim");
    assert!(project.accessories.is_empty() && project.networks.is_empty() && project.volumes.is_empty());

    let app = &project.apps[0];
    assert_eq!(app.version, "1.4.0");
    assert_eq!((app.port, app.replicas, app.settings.balance), (Some(8080), 2, Balance::LeastConnections));
    let routes = [
        Route { host: Some("go-app.localhost".to_owned()), path: "/".to_owned(), strip: false, tls: None },
        Route { host: None, path: "/go-app".to_owned(), strip: false, tls: None },
    ];
    assert_eq!(app.routes, routes);
    assert_eq!((app.health.path.as_str(), app.health.successes), ("/healthz", 2));
    assert_eq!(app.drain.websocket_timeout, Duration::from_secs(300));
    assert_eq!(app.rollout.order, Order::StartFirst);
    assert_eq!(app.release.as_ref().map(|release| release.command.clone()), Some(vec!["./migrate".to_owned()]));
    let ImageSource::Build(build) = &app.service.image else { panic!("not a build") };
    assert_eq!(build.context.display().to_string(), case.path("apps/go-app"));
    assert_eq!(app.service.container.stop_grace, Some(Duration::from_secs(10)));
    // Without accessories the app is only on the proxy's network, which the plan adds.
    assert_eq!(app.service.container.networks, []);
    // It must restart after a reboot.
    assert_eq!(app.service.container.restart, Restart::UnlessStopped);
}

#[test]
fn apps_and_accessories_share_the_projects_network() {
    let case = Case::new(
        "services:\n\
         \x20 web:\n    image: web:1.2\n    x-deploy-apps: { port: 80 }\n\
         \x20   depends_on: { redis: { condition: service_healthy } }\n\
         \x20 redis:\n    image: redis:8\n    pull_policy: never\n    volumes: [data:/data]\n    ports: [\"127.0.0.1:6379:6379\"]\n\
         volumes: { data: }\n",
    );
    let project = case.project();
    assert_eq!(project.networks.get("sample_default"), Some(&crate::model::NetworkSettings::default()));
    assert_eq!(project.volumes, ["sample_data"].map(crate::model::NewVolume::from));
    let (web, redis) = (&project.apps[0].service, &project.accessories[0].service);
    assert_eq!(web.container.networks[0].network, "sample_default");
    assert!(web.container.networks[0].aliases.is_empty(), "an app's name leads to the proxy");
    assert_eq!(redis.container.networks[0].aliases, ["redis"]);
    assert_eq!(web.depends_on[0].condition, Condition::Healthy);
    assert_eq!(project.apps[0].version, "1.2");
    assert_eq!(redis.image, ImageSource::Pull { reference: "redis:8".to_owned(), policy: PullPolicy::Never });
    assert_eq!(redis.container.mounts[0].source, MountSource::Volume("sample_data".to_owned()));
    assert_eq!(redis.container.ports[0].host_port, Some(6379));
}

#[test]
fn the_repositorys_own_file_loads_without_a_warning() {
    let folder = env!("CARGO_MANIFEST_DIR").into();
    let loaded = load(&LoadRequest { folder, ..LoadRequest::default() }).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(loaded.warnings, []);
    let names: Vec<&str> = loaded.project.apps.keys().map(AppName::as_str).collect();
    assert_eq!(names, ["go-app", "node-app"]);
    for app in loaded.project.apps.values() {
        assert_ne!(app.version, "0", "each has a VERSION file");
    }
}
