//! The `x-deploy-apps` blocks of the project and of a service.

use std::time::Duration;

use super::Case;
use crate::compose::config;
use crate::compose::load;
use crate::compose::request::LoadRequest;
use crate::model::{AccessLog, Balance, DrainPolicy, HealthPolicy, ImageSource, Logging, ReleaseCommand, Route};

fn routes(lines: &str) -> Vec<String> {
    let show = |route: &Route| format!("{route}{}", if route.strip { " stripped" } else { "" });
    Case::block(lines).first_app().routes.iter().map(show).collect()
}

#[test]
fn an_empty_block_is_a_worker_with_every_default() {
    for block in ["      {}\n", ""] {
        let app = Case::block(block).first_app();
        assert_eq!((app.port, app.routes.len(), app.replicas), (None, 0, 1));
        assert_eq!((app.health, app.drain), (HealthPolicy::default(), DrainPolicy::default()));
        assert_eq!((app.settings.balance, app.release), (Balance::LeastConnections, None));
    }
}

#[test]
fn a_port_alone_gets_the_default_route() {
    assert_eq!(routes("      port: 80\n"), ["web.localhost/"]);
    let named = "      port: 80\n      routes: [{ host: \"*.Example.com\", path: /a/b/, strip: true }, { path: / }]\n";
    assert_eq!(routes(named), ["*.example.com/a/b stripped", "*/"]);
    Case::new("services:\n  my_app: { image: a, x-deploy-apps: { port: 80 } }\n").refuses(
        "2:23: `my_app.localhost` is not a host name, so `my_app` has no default route",
        "add `routes: [{ host: … }]`",
    );
}

#[test]
fn invalid_routes_are_refused() {
    let refuses = |routes: &str, message: &str, hint: &str| {
        Case::block(&format!("      port: 80\n      routes: {routes}\n")).refuses(&format!("6:{message}"), hint);
    };
    let example = "write such as `routes: [{ host: app.example.com }, { path: /app, strip: true }]`";
    refuses("web.localhost", "15: `routes` must be a list, not `web.localhost`", example);
    refuses("[a]", "16: `routes` must be a list of maps, not `a`", example);
    refuses("[{ strip: true }]", "16: a route needs a `host`, a `path` or both", example);
    refuses("[{ hots: a }]", "18: unknown key `hots` in `routes`", "did you mean `host`?");
    refuses(
        "[]",
        "7: `routes` is empty, so no request would reach the app",
        "remove the key for the default route, or remove `port` to make it a worker",
    );
    refuses(
        "[{ host: \"https://a.example.com:80/x\" }]",
        "24: `host` must be a host name such as `app.example.com` or `*.example.com`, not `https://a.example.com:80/x`",
        "did you mean `a.example.com`? the port is the proxy's, the path has a key of its own",
    );
    refuses(
        "[{ path: app }]",
        "24: `path` must be a path that starts with `/`, such as `/app`, without `?`, `#`, `%` or blanks, not `app`",
        "",
    );
    refuses(
        "[{ path: /a/../b }]",
        "24: path `/a/../b` has an empty, `.` or `..` segment",
        "browsers and nginx take these away before a route is looked up",
    );
}

#[test]
fn a_route_belongs_to_one_app() {
    Case::new(
        "services:\n  one: { image: a, x-deploy-apps: { port: 80, routes: [{ path: /x }] } }\n  \
         two: { image: a, x-deploy-apps: { port: 80, routes: [{ path: /x/ }] } }\n",
    )
    .says(
        "compose.yaml:3:56: apps `one` and `two` have one route, `*/x`; that of `one` is in line 2\n  \
           3 |   two: { image: a, x-deploy-apps: { port: 80, routes: [{ path: /x/ }] } }\n    \
             |                                                        ^\n\
         hint: give one of them another host or path",
    );
    Case::block("      port: 80\n      routes: [{ host: a }, { host: A }]\n")
        .refuses("6:29: app `web` has route `a/` twice, first in line 6", "give one of them another host or path");
}

#[test]
fn keys_that_need_a_port_are_refused_without_one() {
    for (key, value) in [("routes", "[]"), ("drain", "{}"), ("balance", "round-robin"), ("metrics", "/metrics")] {
        let error = Case::block(&format!("      {key}: {value}\n")).error();
        let expected = format!("compose.yaml:5:7: app `web` has `{key}` but no `port`\n");
        assert!(error.starts_with(&expected), "{error}");
        assert!(error.contains("hint: add the `port` that it listens on, or remove what only a routed app needs"));
    }
    Case::block("      health: { timeout: 1m, path: /h }\n").refuses(
        "5:30: app `web` has `health.path` but no `port`",
        "add the `port` that it listens on, or remove what only a routed app needs",
    );
    let worker = Case::block("      health: { timeout: 1m }\n").first_app();
    assert_eq!(worker.health, HealthPolicy { timeout: Duration::from_secs(60), ..HealthPolicy::default() });
    for port in ["0", "65536", "http", "-1", "[80]"] {
        let error = Case::block(&format!("      port: {port}\n")).error();
        assert!(error.contains("`port` must be a whole number from 1 to 65535, not "), "{error}");
    }
}

#[test]
fn health_drain_balance_and_release_are_read() {
    let app = Case::block(
        "      port: 80\n      health: { path: /h?x=1, successes: 3, interval: 20ms, timeout: 1m, probe_timeout: 1s }\n      \
         drain: { timeout: 0, websocket_timeout: 1h, stop_first_timeout: 3s }\n      balance: round-robin\n      metrics: /metrics\n      release: ./migrate --to 'a b'\n",
    )
    .first_app();
    let health = HealthPolicy {
        path: "/h?x=1".to_owned(),
        successes: 3,
        interval: Duration::from_millis(20),
        timeout: Duration::from_secs(60),
        probe_timeout: Duration::from_secs(1),
    };
    assert_eq!((app.health, app.settings.balance), (health, Balance::RoundRobin));
    assert_eq!(app.settings.metrics.as_deref(), Some("/metrics"));
    let (timeout, websocket_timeout) = (Duration::ZERO, Duration::from_secs(3600));
    assert_eq!(app.drain, DrainPolicy { timeout, websocket_timeout, stop_first_timeout: Duration::from_secs(3) });
    let command = ["./migrate", "--to", "a b"].map(str::to_owned).to_vec();
    assert_eq!(app.release, Some(ReleaseCommand { command, timeout: ReleaseCommand::DEFAULT_TIMEOUT }));
    let long = Case::block("      release: { command: [a], timeout: 5s }\n").first_app().release;
    assert_eq!(long, Some(ReleaseCommand { command: vec!["a".to_owned()], timeout: Duration::from_secs(5) }));
}

#[test]
fn invalid_values_of_the_block_name_the_expected_ones() {
    let refuses = |line: &str, message: &str, hint: &str| {
        Case::block(&format!("      port: 80\n      {line}\n")).refuses(message, hint);
    };
    refuses("health: { path: h }", "6:23: `path` must be a path that starts with `/`, such as `/healthz`, not `h`", "");
    refuses("health: { successes: 0 }", "6:28: `successes` must be a whole number from 1 to 100, not `0`", "");
    refuses("health: { timeout: 0s }", "6:26: `timeout` must be longer than zero, such as `10s`, not `0s`", "");
    refuses("health: { interval: 5us }", "6:27: `interval` must be at least `1ms`, not `5us`", "");
    refuses("balance: random", "6:16: `balance` must be `least-connections` or `round-robin`, not `random`", "");
    refuses(
        "metrics: metrics",
        "6:16: `metrics` must be a path that starts with `/`, such as `/healthz`, not `metrics`",
        "",
    );
    refuses("release: []", "6:7: `release` is an empty command", "name a program, or remove the key");
    refuses("release: { timeout: 5s }", "6:7: `release` has no `command`", "add `command: [\"./migrate\"]`");
    refuses(
        "version: a b",
        "6:16: `version` must be at most 64 printable ASCII characters without blanks, not `a b`",
        "",
    );
    refuses("helth: {}", "6:7: unknown key `helth` in `x-deploy-apps`", "did you mean `health`?");
}

#[test]
fn the_proxys_memory_limit_and_log_are_read() {
    let file = |block: &str| {
        Case::new(&format!("x-deploy-apps:\n  proxy: {{ {block} }}\nservices: {{ web: {{ image: a }} }}\n"))
    };
    let proxy = |line: &str| {
        let proxy = file(line).project().proxy;
        (proxy.memory_bytes >> 20, proxy.access_log)
    };
    assert_eq!(proxy(""), (1024, AccessLog::File));
    assert_eq!(proxy("memory: 512m, access_log: stdout"), (512, AccessLog::Stdout));
    assert_eq!(proxy("memory: 268435456, access_log: off"), (256, AccessLog::Off));
    assert_eq!(proxy("logging: { driver: journald }"), (1024, AccessLog::Stdout));
    assert_eq!(proxy("access_log: file, logging: { driver: journald }"), (1024, AccessLog::File));
    file("memory: 255m").refuses(
        "2:20: `memory` of the proxy is below 256m, which its tables and one worker need",
        "leave it out for 1g, or write `256m` or more",
    );
    assert_eq!(file("").project().proxy.connections_per_client, None);
    assert_eq!(file("connections_per_client: 500").project().proxy.connections_per_client, Some(500));
    file("connections_per_client: 0")
        .refuses("2:36: `connections_per_client` must be a whole number from 1 to 1000000, not `0`", "");
    file("access_log: tape").refuses("2:24: `access_log` must be one of `file`, `stdout` and `off`, not `tape`", "");
}

#[test]
fn trusted_proxies_are_addresses_networks_or_keywords() {
    let file = |block: &str| {
        Case::new(&format!("x-deploy-apps:\n  proxy:\n    {block}\nservices: {{ web: {{ image: a }} }}\n"))
            .env("T", "10.0.0.0/8, ::1")
    };
    let trusted = |block: &str| {
        let proxy = file(block).project().proxy;
        proxy.trusted_proxies.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(trusted("trusted_proxies: [192.0.2.7, \"2001:db8::/32\", host]"), "192.0.2.7/32 2001:db8::/32 host");
    assert_eq!(trusted("trusted_proxies: \"${T}\""), "10.0.0.0/8 ::1/128");
    assert_eq!(trusted("trusted_proxies: [\"${T}\", 192.0.2.0/24]"), "10.0.0.0/8 ::1/128 192.0.2.0/24");
    assert_eq!(trusted("trusted_proxies: \"${UNSET:-}\""), "");
    assert_eq!(trusted("trusted_proxies: []"), "");
    assert_eq!(
        trusted("trusted_proxies: private"),
        "127.0.0.0/8 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 ::1/128 fc00::/7"
    );
    assert!(file("{ trusted_proxies: [10.0.0.0/8], proxy_protocol: true }").project().proxy.proxy_protocol);

    let forms =
        "write such as `203.0.113.7`, `10.0.0.0/8` or `2001:db8::/32`, or one of the words `host` and `private`";
    for entry in ["10.0.0.0/33", "10.0.0/8", "cloudflare", "1.2.3.4:80", "::/-1"] {
        let message = format!("3:23: `{entry}` in `trusted_proxies` is not an address or a network in CIDR form");
        file(&format!("trusted_proxies: [\"{entry}\"]")).refuses(&message, forms);
    }
    file("trusted_proxies: [10.1.2.3/8]").refuses(
        "3:23: `10.1.2.3/8` in `trusted_proxies` has bits set beyond its prefix",
        "write `10.0.0.0/8` for the network, or the address without `/…`",
    );
    file("trusted_proxies: { a: b }")
        .refuses("3:5: `trusted_proxies` must be a list of addresses and networks, not a map", "");
    file("proxy_protocol: true").refuses(
        "3:5: `proxy_protocol` is on, but `trusted_proxies` names nobody whose word would be taken",
        "name the load balancer's addresses in `trusted_proxies`",
    );
    let many: Vec<String> = (0..=256).map(|last| format!("192.0.{}.{}", last / 256, last % 256)).collect();
    file(&format!("trusted_proxies: [{}]", many.join(", "))).refuses(
        "3:5: `trusted_proxies` has 257 entries, and at most 256 are read",
        "join neighbouring networks into larger ones",
    );
    let warnings = file("trusted_proxies: [0.0.0.0/0]").warnings();
    let [warning] = warnings.as_slice() else { panic!("one warning: {warnings:?}") };
    assert!(warning.contains("`trusted_proxies` trusts every address"), "{warning}");
}

#[test]
fn the_projects_block_describes_the_proxy() {
    let file = |block: &str| Case::new(&format!("x-deploy-apps: {block}\nservices: {{ web: {{ image: a }} }}\n"));
    let proxy = file("{ proxy: { name: mine, http_port: 81, bind: \"::1\", subnet: 10.213.0.0/20, base_image: b } }")
        .project()
        .proxy;
    assert_eq!((proxy.name.as_str(), proxy.http_port, proxy.bind.as_deref()), ("mine", 81, Some("::1")));
    assert_eq!(
        (proxy.subnet.map(|subnet| subnet.to_string()).as_deref(), proxy.base_image.as_str()),
        (Some("10.213.0.0/20"), "b")
    );
    let logging = file("{ proxy: { logging: { driver: journald, options: { tag: proxy } } } }").project().proxy.logging;
    let options = [("tag".to_owned(), "proxy".to_owned())].into();
    assert_eq!(logging, Some(Logging { driver: "journald".to_owned(), options }));
    file("{ proxy: { logging: { drivr: a } } }")
        .refuses("1:38: unknown key `drivr` in `logging`", "did you mean `driver`?");
    let rule = "use lowercase letters, digits and `-`, starting with a letter or digit, at most 40 characters";
    file("{ proxy: { name: A_b } }").refuses("1:33: `A_b` is not a proxy name", rule);
    file("{ proxy: { subnet: 10.0.0.0/8 } }").refuses(
        "1:35: `subnet` must be an IPv4 network of 4,096 addresses, such as `10.213.0.0/20`, not `10.0.0.0/8`",
        "",
    );
    file("{ proxy: { bind: localhost } }")
        .refuses("1:33: `bind` must be an address of the host, such as `127.0.0.1`, not `localhost`", "");
    file("{ proxi: {} }").refuses("1:18: unknown key `proxi` in `x-deploy-apps`", "did you mean `proxy`?");
}

#[test]
fn an_app_without_accessories_has_no_default_network() {
    let networks = |service: &str, top: &str| {
        let file = format!("services: {{ a: {{ image: i, x-deploy-apps: {{ port: 1 }}{service} }} }}\n{top}");
        Case::new(&file).project().apps[0].service.container.networks.len()
    };
    assert_eq!(networks("", ""), 0);
    assert_eq!(networks(", networks: [default]", ""), 0);
    // The output of `config` for the first file.
    assert_eq!(networks(", networks: { default: null }", "networks: { default: { name: sample_default } }"), 0);
    assert_eq!(networks("", "networks: { default: { name: other } }"), 1);
    assert_eq!(networks("", "networks: { default: { internal: true } }"), 1);
    assert_eq!(networks("", "networks: { default: { external: true, name: sample_default } }"), 1);
}

#[test]
fn inactive_profiles_do_not_change_networks() {
    let case =
        Case::new("services:\n  web: { image: i, x-deploy-apps: { port: 1 } }\n  db: { image: d, profiles: [data] }\n");
    let networks = |case: &Case, profiles: &[&str]| {
        let profiles = profiles.iter().map(|profile| (*profile).to_owned()).collect();
        let loaded = load(&LoadRequest { profiles, ..case.request() }).expect("a project");
        loaded.project.apps[0].service.container.networks.clone()
    };
    let with = networks(&case, &["data"]);
    assert_eq!(with.len(), 1);
    assert_eq!(networks(&case, &[]), with);
    // The output of `config` without the database is deployed with the same network.
    let printed = config(&case.request(), true).expect("a model").yaml();
    assert!(!printed.contains("db:"), "{printed}");
    assert_eq!(networks(&Case::new(&printed), &[]), with, "{printed}");
}

#[test]
fn an_app_replaces_one_that_is_not_in_the_file() {
    let replaced = |key: &str| {
        Case::new(&format!(
            "name: shop\nservices:\n  web: {{ image: web, x-deploy-apps: {{ port: 80, replaces: {key} }} }}\n"
        ))
    };
    for (text, key) in [("old", "sample/old"), ("other/old", "other/old")] {
        assert_eq!(replaced(text).first_app().replaces.map(|key| key.to_string()).as_deref(), Some(key));
    }
    let hint = "remove the service `web`, or `replaces`";
    replaced("web").refuses("3:49: `replaces: web` names a service of this file", hint);
    replaced("a/b/c").refuses(
        "3:59: `replaces` must be the name of an app, or `<project>/<app>` of another project, not `a/b/c`",
        "",
    );
    let twice = "name: shop\nservices:\n  web: { image: web, x-deploy-apps: { port: 80, replaces: old } }\n  \
                 api: { image: api, x-deploy-apps: { port: 80, replaces: old } }\n";
    Case::new(twice).refuses(
        "4:49: app `sample/old` is replaced by two services",
        "an app has one successor: remove one `replaces`",
    );
}

#[test]
fn a_service_with_the_image_of_a_build_runs_the_build() {
    let project = Case::new(
        "services:\n  api: { build: ./api, image: shop/api, x-deploy-apps: { port: 80 } }\n  \
         worker: { image: \"docker.io/shop/api:latest\", x-deploy-apps: {} }\n  \
         job: { image: shop/api, pull_policy: never }\n  fresh: { image: shop/api, pull_policy: always }\n",
    )
    .project();
    let api = &project.apps[0].service.image;
    let ImageSource::Build(build) = api else { panic!("{api:?}") };
    assert_eq!(build.tags, ["shop/api"]);
    assert_eq!(&project.apps[1].service.image, api);
    assert_eq!(&project.accessories[0].service.image, api);
    assert!(matches!(project.accessories[1].service.image, ImageSource::Pull { .. }));
}
