//! Secrets, configs and hooks of an app that serves under load.

use std::collections::BTreeSet;

use serde_json::json;

use crate::harness::{App, Host, Scenario, docker, none_lost};

const OLD: &str = "correct-horse-battery-staple";
const NEW: &str = "tr0ub4dor-and-3";

fn with_files(app: App) -> App {
    app.set("/secrets", json!(["key", { "source": "key", "target": "/etc/app/key", "uid": "7", "mode": "0400" }]))
        .set("/configs", json!([{ "source": "motd", "target": "/etc/app/motd" }]))
}

/// What a container has at `path`: the image has no shell, so it is read as the archive that the engine makes of it.
fn copied(host: &Host, container: &str, path: &str) -> String {
    let copy = tempfile::tempdir().expect("a folder");
    let copy = copy.path().join("file");
    docker(&["cp", &format!("{}-{container}:{path}", host.name()), &copy.to_string_lossy()]);
    std::fs::read_to_string(copy).expect("a file in the container")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_is_in_each_replica_and_nowhere_else_and_a_changed_one_is_a_new_release() {
    let app = with_files(App::new("web").replicas(2)).set("/read_only", json!(true));
    let host = Scenario::new("secrets")
        .app(app)
        .section("secrets", json!({ "key": { "file": "./key" } }))
        .section("configs", json!({ "motd": { "content": "hello\n" } }))
        .start()
        .await;
    let set = |value: &str| std::fs::write(host.folder().join("key"), value).expect("a writable folder");
    set(OLD);
    let mut said = vec![host.deploy(&["web", "--format", "json"]).await.succeeded()];
    let load = host.steady_load("web").await;
    for replica in ["web-r1-1", "web-r1-2"] {
        assert_eq!(copied(&host, replica, "/run/secrets/key"), OLD);
        assert_eq!(copied(&host, replica, "/etc/app/key"), OLD);
        assert_eq!(copied(&host, replica, "/etc/app/motd"), "hello\n");
    }
    // The same value is the same release.
    said.push(host.deploy(&["web"]).await.succeeded());
    host.is_clean(&["web-r1-1", "web-r1-2"]).await;

    set(NEW);
    said.push(host.cli(&["plan", "web"]).run().await);
    said.push(host.deploy(&["web"]).await.succeeded());
    host.is_clean(&["web-r2-1", "web-r2-2"]).await;
    assert_eq!(copied(&host, "web-r2-1", "/run/secrets/key"), NEW);
    said.push(host.deploy(&["history", "web", "--format", "json"]).await);
    none_lost(&load.stop().await);

    let inspected = docker(&["inspect", &format!("{}-web-r2-1", host.name()), &format!("{}-proxy", host.name())]);
    let kept = docker(&["exec", &format!("{}-proxy", host.name()), "sh", "-c", "cat /var/lib/deploy-apps/*.*"]);
    let texts = said.iter().flat_map(|output| [output.stdout.as_str(), output.stderr.as_str()]);
    for text in texts.chain([inspected.as_str(), kept.as_str()]) {
        assert!(!text.contains(OLD) && !text.contains(NEW), "a secret stands in: {text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hooks_run_in_their_order_under_load_and_a_failing_leave_stops_nothing() {
    let hook =
        |words: &[&str]| json!([{ "command": (["/fault-app", "migrate"].iter().chain(words).collect::<Vec<_>>()) }]);
    let app = App::new("web")
        .replicas(2)
        .set("/pre_start", hook(&[]))
        .set("/post_start", hook(&[]))
        .set("/pre_stop", hook(&["fail"]));
    let mut host = Scenario::new("hooks").app(app).start().await;
    host.deploy(&["web"]).await.succeeded();
    let load = host.steady_load("web").await;
    host.change("web", |app| app.env("RELEASE_MARK", "new"));
    let output = host.deploy(&["web", "--format", "json"]).await.succeeded();
    host.is_clean(&["web-r2-1", "web-r2-2"]).await;

    let steps = output.events("step_finished");
    let steps: Vec<&str> = steps.iter().filter_map(|event| event["step"].as_str()).collect();
    let at = |begin: &str, of: &str| {
        let found = steps.iter().position(|step| step.starts_with(begin) && step.contains(of));
        found.unwrap_or_else(|| panic!("no step `{begin}` of `{of}`: {steps:#?}"))
    };
    assert!(at("await exit", "web-r2-pre-start-1") < at("create", "web-r2-1"));
    for replica in ["1", "2"] {
        let (new, old) = (format!("web-r2-{replica}"), format!("web-r1-{replica}"));
        let order = [at("start", &new), at("run post_start", &new), at("await", &new), at("flip", "")];
        assert!(order.is_sorted(), "{order:?} of {steps:#?}");
        let order = [at("flip", ""), at("drain", &old), at("run pre_stop", &old), at("stop", &old)];
        assert!(order.is_sorted(), "{order:?} of {steps:#?}");
    }
    let warned: BTreeSet<String> =
        output.events("warned").iter().filter_map(|event| event["message"].as_str().map(str::to_owned)).collect();
    let wanted = ["1", "2"].map(|replica| {
        let name = format!("{}-web-r1-{replica}", host.name());
        format!("`/fault-app migrate fail` in `{name}` exited with code 7; its stop goes on")
    });
    assert_eq!(warned, wanted.into());

    // A new replica that cannot be registered gets no traffic.
    host.change("web", |app| app.set("/post_start", hook(&["fail"])));
    let output = host.deploy(&["web"]).await.exited(1).says("✘ rolled back, r2 serves as before");
    output.says("exited with code 7").says("relation `users` does not exist");
    host.is_clean(&["web-r2-1", "web-r2-2"]).await;
    none_lost(&load.stop().await);
}
