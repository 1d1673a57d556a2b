//! A new version that is healthy until it has traffic, and then ends again and again.

use serde_json::json;

use crate::harness::{App, DEADLINE, Scenario, eventually};

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
