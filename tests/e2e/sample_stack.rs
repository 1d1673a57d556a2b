//! The whole sample system by one command; then whatever does not serve requests dies, and no request notices.

use std::process::Command;
use std::time::Duration;

use deploy_apps::load::Traffic;

use crate::harness::{DEADLINE, Host, docker, eventually, none_lost, sample};

const APPS: [&str; 5] = ["go-app", "node-app", "counter-service", "visitors", "dice"];
/// A request to their app needs them; their own tests say what happens without them.
const DATABASES: [&str; 2] = ["postgres", "redis"];

/// Every container of the system but the proxy and the apps' replicas, by its service.
fn accessories(host: &Host) -> Vec<(String, String)> {
    let project = format!("label=deploy-apps.project={}", host.name());
    let format = "{{.Label \"deploy-apps.service\"}} {{.Names}}";
    let role = "label=deploy-apps.role=accessory";
    let listed = docker(&["ps", "-a", "--filter", &project, "--filter", role, "--format", format]);
    let mut all: Vec<_> = listed
        .lines()
        .filter_map(|line| line.split_once(' ').map(|(service, name)| (service.to_owned(), name.to_owned())))
        .collect();
    all.sort();
    all
}

/// The process id on the host while the container runs and is well.
fn well(container: &str) -> Option<u32> {
    let format = "{{.State.Pid}} {{if .State.Health}}{{.State.Health.Status}}{{else}}healthy{{end}}";
    let text = docker(&["inspect", "--format", format, container]);
    let (pid, health) = text.trim().split_once(' ')?;
    if health == "healthy" { pid.parse().ok().filter(|pid| *pid > 0) } else { None }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_command_brings_up_all_and_no_app_needs_what_watches_it() {
    let host = sample("stack").await;
    host.deploy(&["--all", "--profile", "*"]).await.succeeded();
    for app in APPS {
        assert_eq!(host.get(app, "/").await.status, 200, "{app}");
    }
    let services = accessories(&host);
    assert!(services.len() >= 10, "{services:?}");
    // A second time there is nothing to do.
    let again = host.deploy(&["--all", "--profile", "*"]).await.succeeded();
    assert!(!again.stdout.contains('✔'), "{again}");
    // Nor is there with fewer profiles: what a container is made of does not hang on those of a run.
    for few in [&["prometheus"][..], &["go-app", "node-app"]] {
        let few = host.deploy(few).await.succeeded();
        assert!(!few.stdout.contains('✔'), "{few}");
    }

    let mut loads = Vec::new();
    for app in ["go-app", "counter-service", "visitors"] {
        loads.push(host.start(host.load(app).send_every(2, Duration::from_millis(20), Traffic::get("/"))).await);
    }
    for (service, container) in services.iter().filter(|(service, _)| !DATABASES.contains(&service.as_str())) {
        let before = eventually(&format!("{service} is well"), DEADLINE, async || well(container)).await;
        // From outside: to the engine this is a crash, and not a requested stop.
        let killed = Command::new("kill").args(["-9", &before.to_string()]).status().expect("the command `kill`");
        assert!(killed.success(), "{service}");
        let back = async || well(container).filter(|after| *after != before);
        eventually(&format!("{service} is back"), DEADLINE, back).await;
    }
    for load in loads {
        none_lost(&load.stop().await);
    }
    host.deploy(&["--profile", "*", "down", "--yes", "--volumes", "--images"]).await.succeeded();
    assert_eq!(accessories(&host), []);
}
