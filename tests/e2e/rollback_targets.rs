//! What a rollback needs and where it comes from: the engine alone, and only if it still has it.

use serde_json::json;

use crate::harness::{App, FAULT_APP, Host, Registry, Scenario, docker, none_lost, remove_image};

/// An image of its own for each release, built on that of `fault-app`.
fn write(host: &Host, release: &str) {
    let folder = host.folder().join("context");
    std::fs::create_dir_all(&folder).expect("a folder");
    let text = format!("FROM {FAULT_APP}\nENV RELEASE_MARK={release}\n");
    std::fs::write(folder.join("Dockerfile"), text).expect("a Dockerfile");
}

async fn mark(host: &Host) -> String {
    host.get("web", "/mark").await.body
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_whose_image_was_removed_is_refused_with_those_that_can_come_back() {
    let host = Scenario::new("image-gone").app(App::built_from("web", "context".as_ref())).start().await;
    for release in ["one", "two", "three"] {
        write(&host, release);
        host.deploy(&["web"]).await.succeeded();
    }
    let load = host.steady_load("web").await;
    remove_image(&format!("deploy-apps/{}-web:r2", host.name()));
    let before = host.proxy_state().await;
    host.deploy(&["rollback", "web", "r2"])
        .await
        .exited(6)
        .says("cannot be rolled back: the image of r2 is no longer on the engine")
        .says("releases that can be rolled back to:\n    r1  ")
        .says("hint: `deploy-apps rollback web r1` goes back to the newest of them");
    let after = host.proxy_state().await;
    assert_eq!((after.generation, &after.apps), (before.generation, &before.apps), "nothing was touched");
    host.is_clean(&["web-r3-1"]).await;

    host.deploy(&["rollback", "web", "r1"]).await.succeeded();
    assert_eq!(mark(&host).await, "one");
    none_lost(&load.stop().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_that_is_down_is_not_needed() {
    let registry = Registry::of(FAULT_APP).await;
    let image = |tag: &str| json!(format!("{}/web:{tag}", registry.address));
    let app = App::new("web").set("/build", json!(null)).set("/pull_policy", json!("always"));
    let app = app.set("/image", image("1")).env("RELEASE_MARK", "one");
    let mut host = Scenario::new("registry-down").app(app).start().await;
    host.deploy(&["web"]).await.succeeded();
    host.change("web", |app| app.set("/image", image("2")).env("RELEASE_MARK", "two"));
    host.deploy(&["web"]).await.succeeded();
    let load = host.steady_load("web").await;

    let references = ["1", "2"].map(|tag| format!("{}/web:{tag}", registry.address));
    drop(registry);
    host.change("web", |app| app.env("RELEASE_MARK", "three"));
    host.deploy(&["web"]).await.exited(1).says(&references[1]).says("connection refused");
    assert_eq!(mark(&host).await, "two");
    for (release, expected) in [("r1", "one"), ("r2", "two")] {
        host.deploy(&["rollback", "web", release]).await.succeeded();
        assert_eq!(mark(&host).await, expected);
    }
    none_lost(&load.stop().await);
    host.is_clean(&["web-r2-1"]).await;
    docker(&["rmi", "-f", &references[0], &references[1]]);
}
