//! Files of the host in a container: one that is missing, and one that changes.

use serde_json::json;

use crate::harness::{App, Scenario};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mounted_file_is_missed_and_its_change_is_told_and_deployed() {
    let app = App::new("web").set("/volumes", json!(["./app.conf:/etc/app.conf:ro", "./data:/data:ro"]));
    let host = Scenario::new("mounts").app(app).start().await;
    let file = host.folder().join("app.conf");
    for command in [&["web"][..], &["plan", "web"]] {
        host.deploy(command)
            .await
            .exited(6)
            .says(&format!("bind mount of service `web`: `{}` does not exist on the engine's host", file.display()))
            .says("hint: create the file");
    }
    assert!(!file.exists(), "no folder was made of it");
    std::fs::write(&file, "one").expect("written");
    host.deploy(&["web"]).await.succeeded();
    assert!(host.folder().join("data").is_dir(), "a folder is made, as by compose");
    host.deploy(&["web"]).await.succeeded().says("up to date");

    std::fs::write(&file, "two").expect("written");
    let told = format!("mounted file `{}` has changed", file.display());
    host.deploy(&["status"]).await.succeeded().says(&told);
    host.deploy(&["plan"]).await.exited(11).says(&format!("`{}` has changed", file.display()));
    host.deploy(&["web"]).await.succeeded();
    host.is_clean(&["web-r2-1"]).await;
    host.deploy(&["plan"]).await.succeeded();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_names_a_built_image_runs_the_new_build() {
    let image = |host: &str| format!("{host}-shop:live");
    let mut host = Scenario::new("built-name").start().await;
    let name = image(host.name());
    let folder = host.folder().join("context");
    std::fs::create_dir(&folder).expect("a folder");
    let write = |mark: &str| {
        let text = format!("FROM {}\nENV RELEASE_MARK={mark}\n", crate::harness::FAULT_APP);
        std::fs::write(folder.join("Dockerfile"), text).expect("written");
    };
    write("one");
    host.add(App::new("second").set("/build", json!(null)).set("/image", json!(name)));
    host.add(App::built_from("web", "context".as_ref()).set("/image", json!(name)));
    for mark in ["one", "two"] {
        write(mark);
        host.deploy(&["second", "web"]).await.succeeded();
        for app in ["web", "second"] {
            assert_eq!(host.get(app, "/mark").await.body, mark, "{app}");
        }
        let named = crate::harness::docker(&["image", "inspect", "--format", "{{.Config.Env}}", &name]);
        assert!(named.contains(&format!("RELEASE_MARK={mark}")), "{named}");
    }
    crate::harness::docker(&["rmi", "-f", &name]);
}
