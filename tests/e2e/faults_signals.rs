//! SIGINT and SIGTERM in every phase: back before the flip, forward after it, away at once when sent twice.

use deploy_apps::load::Traffic;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{App, DEADLINE, FAULT_APP, Host, Running, Scenario, eventually, none_lost};

/// Waits for the step whose text begins like this.
async fn reaches(running: &mut Running, step: &str) {
    let begins = |event: &Value| event["step"].as_str().is_some_and(|text| text.starts_with(step));
    running.event_where("step_started", begins).await;
}

/// A host whose `web` serves r1, and a deploy of r2 that is under way.
async fn deploying(test: &str, change: impl FnOnce(App) -> App) -> (Host, Running) {
    let mut host = Scenario::new(test).app(App::new("web").replicas(2)).start().await;
    host.deploy(&["web"]).await.succeeded();
    host.change("web", change);
    let running = host.cli(&["web", "--format", "json"]).spawn();
    (host, running)
}

/// A version that would need far longer than any test to become healthy.
fn slow(app: App) -> App {
    app.fault("slow-start").env("FAULT_AFTER", "600").set("/x-deploy-apps/health/timeout", json!("600s"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_while_waiting_for_health_takes_the_new_version_back() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let (host, mut running) = deploying("signal-health", slow).await;
        let load = host.steady_load("web").await;
        reaches(&mut running, "await `").await;
        running.signal(signal);
        let output = running.finish().await.exited(code);
        assert_eq!(output.events("app_finished")[0]["outcome"], "cancelled", "{output}");
        host.is_clean(&["web-r1-1", "web-r1-2"]).await;
        assert!(!host.image_tags("web").await.contains("r2"), "its image is untagged too");
        none_lost(&load.stop().await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_while_building_ends_the_build() {
    let (mut host, mut running) = {
        let mut host = Scenario::new("signal-build").app(App::built_from("web", "context".as_ref())).start().await;
        write_context(&host, "true");
        host.deploy(&["web"]).await.succeeded();
        // The marker is looked for in the engine's processes: it is how we know that the build has really ended.
        write_context(&host, &format!("sleep 600 # {}", host.name()));
        host.change("web", |app| app.env("RELEASE_MARK", "slow"));
        let running = host.cli(&["web", "--format", "json"]).spawn();
        (host, running)
    };
    let load = host.steady_load("web").await;
    eventually("the slow step of the build runs", DEADLINE, async || is_building(&host).then_some(())).await;
    reaches(&mut running, "build image").await;
    running.signal(Signal::INT);
    running.finish().await.exited(130);
    eventually("the build has ended on the engine", DEADLINE, async || (!is_building(&host)).then_some(())).await;
    host.is_clean(&["web-r1-1"]).await;

    write_context(&host, "true");
    host.change("web", |app| app.env("RELEASE_MARK", "repaired"));
    host.deploy(&["web"]).await.succeeded();
    assert_eq!(host.get("web", "/mark").await.body, "repaired");
    none_lost(&load.stop().await);
}

/// A build whose one step runs `command`.
fn write_context(host: &Host, command: &str) {
    let folder = host.folder().join("context");
    std::fs::create_dir_all(&folder).expect("a folder");
    let base = std::env::var("BASE_IMAGE").unwrap_or_else(|_| "debian:trixie-slim".to_owned());
    let text = format!(
        "FROM {base} AS step\nRUN {command}\nFROM {FAULT_APP}\nCOPY --from=step /etc/debian_version /stepped\n"
    );
    std::fs::write(folder.join("Dockerfile"), text).expect("a Dockerfile");
}

fn is_building(host: &Host) -> bool {
    let marker = format!("sleep 600 # {}", host.name());
    let processes = std::fs::read_dir("/proc").expect("a process list").flatten();
    let commands = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    commands.into_iter().any(|command| String::from_utf8_lossy(&command).contains(&marker))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_while_draining_leaves_the_rest_to_the_next_run() {
    let (mut host, running) = deploying("signal-drain", |app| app).await;
    running.finish().await.succeeded();
    let load = host.steady_load("web").await;
    let sleepers = host.start(host.load("web").send(2, Traffic::sleeper("/sleep?for=8s"))).await;
    let asleep = async || {
        let open = host.proxy_state().await.in_flight;
        (open.values().map(|open| open.requests).sum::<u64>() >= 2).then_some(())
    };
    eventually("requests are open on the old version", DEADLINE, asleep).await;
    host.change("web", |app| app.env("RELEASE_MARK", "new"));
    let mut running = host.cli(&["web", "--format", "json"]).spawn();
    reaches(&mut running, "drain").await;
    running.signal(Signal::TERM);
    let output = running.finish().await.exited(143);
    assert_eq!(output.events("app_finished")[0]["outcome"], "cancelled", "{output}");
    assert_eq!(host.get("web", "/mark").await.body, "new", "after the flip the only way is forward");

    host.deploy(&["web"]).await.succeeded();
    host.is_clean(&["web-r2-1", "web-r2-2"]).await;
    none_lost(&sleepers.stop().await);
    none_lost(&load.stop().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_leaves_at_once_and_says_what_is_left() {
    // Never healthy, and deaf to its stop signal: so the undo takes the whole of its grace period.
    let (mut host, mut running) = deploying("signal-twice", |app| {
        app.fault("ignore-term").set("/x-deploy-apps/health/path", json!("/sleep?for=600s"))
    })
    .await;
    let load = host.steady_load("web").await;
    for _ in 0..2 {
        reaches(&mut running, "await `").await;
    }
    running.signal(Signal::INT);
    running.event("cancel_requested").await;
    running.signal(Signal::INT);
    let output = running.finish().await.exited(130);
    output
        .says(&format!("stopped at once; left behind: `{0}-web-r2-1`, `{0}-web-r2-2`", host.name()))
        .says("hint: run the same command again, it removes what does not serve");
    assert_eq!(host.containers().await.len(), 4, "what is said to be left is really there");

    host.change("web", |app| app.fault("none").set("/x-deploy-apps/health/path", json!("/healthz")));
    host.deploy(&["web", "--lock-wait", "5s"]).await.succeeded();
    host.is_clean(&["web-r3-1", "web-r3-2"]).await;
    none_lost(&load.stop().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_while_waiting_for_the_lease_ends_the_wait() {
    let (host, mut owner) = deploying("signal-lease", slow).await;
    reaches(&mut owner, "await `").await;
    let mut waiting = host.cli(&["web", "--lock-wait", "10m", "--format", "json"]).spawn();
    waiting.event("lease_awaited").await;
    waiting.signal(Signal::INT);
    waiting.finish().await.exited(130);
    owner.signal(Signal::INT);
    owner.finish().await.exited(130);
    host.is_clean(&["web-r1-1", "web-r1-2"]).await;
}
