//! What makes a new release, and what does not.

use std::fs;
use std::path::Path;

use crate::harness::{App, FAULT_APP, Host, Scenario};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deploy_with_nothing_to_do_says_so_and_makes_nothing() {
    let host = Scenario::new("nothing").app(App::new("web").replicas(2)).start().await;
    host.deploy(&["web"]).await.succeeded();
    let before = (host.containers().await, host.proxy_state().await.generation);

    host.deploy(&["web"]).await.succeeded().says("up to date (routes confirmed)");
    let output = host.deploy(&["web", "--format", "json"]).await.succeeded();
    for made in ["image_built", "replica_started", "flipped", "replica_stopped"] {
        assert_eq!(output.events(made).len(), 0, "`{made}`\n{output}");
    }
    assert_eq!(output.events("route_confirmed").len(), 1, "{output}");
    assert_eq!((host.containers().await, host.proxy_state().await.generation), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn content_makes_a_release_and_time_stamps_do_not() {
    let mut host = small("content").await;
    host.deploy(&["web"]).await.succeeded();
    host.runs(&["web-r1-1"]).await;

    // The same bytes again, newer than before.
    write(&host, "notes.txt", "one");
    host.deploy(&["web"]).await.succeeded().says("up to date");
    write(&host, "ignored/notes.txt", "not part of the build");
    host.deploy(&["web"]).await.succeeded().says("up to date");

    write(&host, "notes.txt", "two");
    host.deploy(&["web"]).await.succeeded().says("r1 → r2");
    host.runs(&["web-r2-1"]).await;

    // Back to what it was: a release of its own, of an image that is there already.
    write(&host, "notes.txt", "one");
    host.deploy(&["web"]).await.succeeded().says("image unchanged");
    host.runs(&["web-r3-1"]).await;

    host.change("web", |app| app.env("RELEASE_MARK", "from the environment"));
    host.deploy(&["web"]).await.succeeded().says("r3 → r4");
    assert_eq!(host.get("web", "/mark").await.body, "from the environment");

    host.deploy(&["web", "--force"]).await.succeeded().says("r4 → r5");
    host.runs(&["web-r5-1"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_version_file_shows_in_the_output_and_in_the_app() {
    let host = small("version").await;
    write(&host, "VERSION", "1.4.0\n");
    host.deploy(&["web"]).await.succeeded().says("1.4.0+1");
    write(&host, "VERSION", "1.5.0\n");
    host.deploy(&["web"]).await.succeeded().says("1.5.0+2");
    assert_eq!(host.get("web", "/").await.body, "Hi from web 1.5.0+2 (r2, replica 1)");
    assert_eq!(host.record("web").await.expect("a record").version, "1.5.0+2");
}

/// A host with an app whose source is in its own folder and builds in a moment.
async fn small(test: &str) -> Host {
    let host = Scenario::new(test).app(App::built_from("web", Path::new("web"))).start().await;
    write(&host, "Dockerfile", &format!("FROM {FAULT_APP}\nCOPY notes.txt /notes.txt\n"));
    write(&host, ".dockerignore", "ignored\n");
    write(&host, "notes.txt", "one");
    host
}

fn write(host: &Host, path: &str, text: &str) {
    let path = host.folder().join("web").join(path);
    fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
    fs::write(path, text).expect("a writable folder");
}
