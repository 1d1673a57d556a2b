//! Dependencies between named services with real containers: a migration runs once for each configuration and before
//! whoever depends on it, a failed one ends its dependents and nobody else, and a killed run leaves it to the next one.

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{App, DEADLINE, Host, Scenario, docker, eventually, none_lost};

/// Writes `line` into its volume after a moment, and exits with `code`.
fn migrate(line: &str, code: u8) -> App {
    let service = json!({
        "image": "debian:trixie-slim",
        "pull_policy": "never",
        "environment": { "LINE": line },
        "command": ["sh", "-c", format!("sleep 2; echo \"$$LINE\" >>/data/lines; echo \"said $$LINE\"; exit {code}")],
        "volumes": ["lines:/data"],
    });
    let mut app = App::new("migrate");
    for part in ["build", "stop_grace_period", "environment", "deploy", "x-deploy-apps"] {
        app = app.set(part, Value::Null);
    }
    for (key, value) in service.as_object().expect("an object") {
        app = app.set(key, value.clone());
    }
    app
}

fn web(version: &str) -> App {
    let needs = json!({ "migrate": { "condition": "service_completed_successfully" } });
    App::new("web").env("TEST_VERSION", version).set("/depends_on", needs)
}

/// The migrations that have run, in their order.
fn lines(host: &Host) -> String {
    let volume = format!("{}_lines:/data", host.name());
    let text = docker(&["run", "--rm", "--network", "none", "-v", &volume, "debian:trixie-slim", "cat", "/data/lines"]);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The containers of apps and accessories that run, without the project's name.
fn running(host: &Host) -> Vec<String> {
    let filter = format!("label=deploy-apps.project={}", host.name());
    let names = docker(&["ps", "--filter", &filter, "--format", "{{.Names}}"]);
    let prefix = format!("{}-", host.name());
    let mut names: Vec<String> = names.lines().map(|name| name.trim_start_matches(&prefix).to_owned()).collect();
    names.sort();
    names
}

async fn shop(test: &str) -> Host {
    let scenario = Scenario::new(test).app(migrate("one", 0)).app(web("1")).app(App::new("api"));
    scenario.section("volumes", json!({ "lines": {} })).start().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn migration_runs_once_before_its_dependents_and_its_failure_ends_only_them() {
    let mut host = shop("order").await;
    let output = host.deploy(&["migrate", "web", "api"]).await.succeeded();
    assert!(output.stdout.contains("✔ completed"), "{output}");
    assert_eq!(lines(&host), "one");
    host.deploy(&["web", "migrate"]).await.succeeded();
    assert_eq!(lines(&host), "one", "it has run for this configuration");

    // A saved plan of accessories, one-shots and apps is run as it is.
    let load = host.steady_load("web").await;
    host.change("migrate", |_| migrate("two", 0));
    host.change("web", |_| web("2"));
    let plan = host.deploy(&["plan", "--out", "plan.json", "migrate", "web"]).await.exited(11);
    for text in ["migrate runs once", "await service `migrate` — `web` depends on it"] {
        assert!(plan.stdout.contains(text), "{text}\n{plan}");
    }
    host.deploy(&["--plan-file", "plan.json"]).await.succeeded();
    assert_eq!(lines(&host), "one two");
    assert_eq!(running(&host), ["api-r1-1", "web-r2-1"]);

    // It fails although nobody has named it: who depends on it stays as it was, and the other one goes on.
    host.change("migrate", |_| migrate("bad", 3));
    host.change("web", |_| web("3"));
    host.change("api", |app| app.env("TEST_VERSION", "2"));
    let output = host.deploy(&["web", "api"]).await.exited(1);
    for text in ["exited with code 3", "said bad", "because `migrate`, which `web` depends on, failed"] {
        assert!(format!("{output}").contains(text), "{text}\n{output}");
    }
    assert_eq!(running(&host), ["api-r2-1", "web-r2-1"]);

    // It is repeated as the file says by then.
    host.change("migrate", |_| migrate("repaired", 0));
    host.deploy(&["web"]).await.succeeded();
    assert_eq!(lines(&host), "one two bad repaired");
    none_lost(&load.stop().await);
    let status = host.deploy(&["status", "--format", "json"]).await.succeeded();
    assert!(status.stdout.contains("\"migrate\""), "{status}");
    host.deploy(&["down", "--yes", "--volumes"]).await.succeeded();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn migration_of_a_killed_run_is_waited_for() {
    let host = shop("order-kill").await;
    let killed = host.cli(&["web"]).spawn();
    let filters =
        [format!("label=deploy-apps.project={}", host.name()), "label=deploy-apps.service=migrate".to_owned()];
    let running = || docker(&["ps", "-q", "--filter", &filters[0], "--filter", &filters[1]]);
    eventually("the migration runs", DEADLINE, async || (!running().trim().is_empty()).then_some(())).await;
    killed.signal(Signal::KILL);
    drop(killed.finish().await);
    host.deploy(&["web"]).await.succeeded();
    assert_eq!(lines(&host), "one");
    host.deploy(&["down", "--yes", "--volumes"]).await.succeeded();
}
