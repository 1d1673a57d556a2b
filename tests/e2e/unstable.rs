//! A new version that is healthy until it has traffic, and then ends again and again.

use serde_json::json;

use crate::accessories::accessory;
use crate::harness::{App, DEADLINE, Scenario, docker, eventually};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_loop_under_traffic_is_no_success_and_is_named_everywhere() {
    let app = App::new("web").set("/deploy/update_config", json!({ "monitor": "4s" }));
    let mut host = Scenario::new("unstable").app(app).start().await;
    host.deploy(&["web"]).await.succeeded();
    let load = host.steady_load("web").await;
    host.change("web", |app| app.fault("traffic"));

    let output = host.deploy(&["web"]).await.exited(13);
    let name = format!("{}-web-r2-1", host.name());
    output
        .says(&format!("web: error: `{name}` restarted "))
        .says("boom: the traffic is too much")
        .says("hint: `deploy-apps rollback web` brings r1 back")
        .says("✘ serves, and restarts again and again");
    // Of a container that the engine is about to start again there is nothing to say but its state.
    eventually("status names it", DEADLINE, async || {
        let status = host.deploy(&["status"]).await;
        status.stdout.contains(&format!("`{name}` restarted ")).then_some(())
    })
    .await;
    eventually("doctor names it", DEADLINE, async || {
        let doctor = host.deploy(&["doctor"]).await;
        doctor.stdout.contains(&format!("`{name}` restarted ")).then_some(())
    })
    .await;

    host.deploy(&["rollback", "web"]).await.succeeded();
    load.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_accessory_that_restarts_is_told_with_commands_that_take_it() {
    let cache = accessory(
        "cache",
        json!({ "image": "debian:trixie-slim", "pull_policy": "never", "restart": "unless-stopped", "init": true,
        "command": ["sh", "-c", "sleep 6; echo out of memory; exit 7"] }),
    );
    let mut host = Scenario::new("unstable-acc").app(App::new("web")).app(cache).start().await;
    host.deploy(&["web", "cache"]).await.succeeded();
    let says = async |command: &str, hint: &str| {
        eventually(hint, DEADLINE, async || host.deploy(&[command]).await.stdout.contains(hint).then_some(())).await;
    };
    let replaces =
        "`deploy-apps logs cache` says why; when it is fixed in the compose file, `deploy-apps cache` replaces it";
    says("status", &format!("hint: {replaces}")).await;
    says("doctor", replaces).await;
    host.deploy(&["logs", "cache"]).await.succeeded().says("out of memory");
    host.change("cache", |app| app.set("/command", json!(["sleep", "infinity"])));
    host.deploy(&["cache"]).await.succeeded().says("✔ replaced");
    host.forget("cache");
    let container = format!("{}-cache-2", host.name());
    docker(&["exec", &container, "sh", "-c", "kill 1 2>/dev/null; true"]);
    let removes = "`deploy-apps logs cache` says why; `deploy-apps remove cache` removes it: the compose file has no such service";
    eventually(removes, DEADLINE, async || host.deploy(&["status"]).await.stdout.contains(removes).then_some(())).await;
    host.deploy(&["remove", "cache", "--yes"]).await.succeeded();
}
