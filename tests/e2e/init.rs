//! `init`: what it writes is deployed as it is, and what is there is never written over.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::harness::{Host, Scenario, none_lost};

fn copy(app: &str, to: &Path) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("apps").join(app);
    let copied = Command::new("cp").arg("-a").arg(from.join(".")).arg(to).status();
    assert!(copied.expect("the command `cp`").success());
}

/// A folder without a compose file.
async fn empty(test: &str) -> Host {
    let host = Scenario::new(test).start().await;
    std::fs::remove_file(host.folder().join("compose.yaml")).expect("removed");
    host
}

fn written(host: &Host) -> String {
    std::fs::read_to_string(host.folder().join("compose.yaml")).unwrap_or_default()
}

/// The proxy and the project of the scenario in place of the host's own.
fn adopt(host: &Host) {
    let proxy = r#"proxy: { http_port: "${HTTP_PORT:-8080}" }"#;
    let text = written(host);
    assert!(text.contains(proxy), "{text}");
    let (name, port) = (host.name(), host.address().port());
    let own = format!(r#"proxy: {{ name: {name}, http_port: {port}, bind: "127.0.0.1" }}"#);
    let project = text.lines().find(|line| line.starts_with("name: ")).expect("a name").to_owned();
    let text = text.replace(proxy, &own).replacen(&project, &format!("name: {name}"), 1);
    std::fs::write(host.folder().join("compose.yaml"), text).expect("a file");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sample_apps_are_deployed_with_what_it_writes() {
    for (app, port, health, check) in [("go-app", 8080, "/healthz", false), ("node-app", 3000, "/healthz", true)] {
        let host = empty("init").await;
        copy(app, host.folder());
        let output = host.deploy(&["init", "--name", "shop", "--host", "shop.localhost"]).await.succeeded();
        assert_eq!(output.stdout, "wrote compose.yaml\n");
        assert_eq!(output.stderr, "\nnext: read compose.yaml, then `deploy-apps shop`\n");
        let text = written(&host);
        assert!(
            text.contains(&format!(
                "      # Where the app listens: EXPOSE of the Dockerfile says so.\n      port: {port}\n"
            )),
            "{text}"
        );
        assert!(text.contains(&format!("      health: {{ path: {health}, timeout: 30s }}\n")), "{text}");
        assert_eq!(text.contains("The image has a HEALTHCHECK"), check, "{text}");
        adopt(&host);
        host.deploy(&["shop"]).await.succeeded();
        let load = host.steady_load("shop").await;
        host.deploy(&["shop", "--force"]).await.succeeded();
        none_lost(&load.stop().await);
        assert!(host.get("shop", "/").await.body.contains("Hi from "));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_is_there_is_written_over() {
    let host = empty("init-there").await;
    copy("go-app", host.folder());
    let text =
        "name: mine\nservices:\n  api:\n    build: .\n    ports: [\"9000:8080\"]\n  db:\n    image: postgres:17\n";
    std::fs::write(host.folder().join("compose.yaml"), text).expect("a file");
    let output = host.deploy(&["init"]).await.succeeded();
    assert_eq!(written(&host), text);
    let lines = ["  api:", "    ports: !reset []", "      port: 8080", "  proxy: { http_port: 9000 }"];
    for line in lines {
        assert!(output.stdout.lines().any(|known| known == line), "no `{line}` in {output}");
    }
    assert!(!output.stdout.contains("db"), "{output}");
    assert!(output.stderr.contains("\ndb   accessory  holds data or messages for others\n"), "{output}");
    let output = host.deploy(&["init", "--format", "json"]).await.succeeded();
    let document: Value = serde_json::from_str(&output.stdout).expect("JSON");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schema/init.json");
    let schema: Value = serde_json::from_slice(&std::fs::read(path).expect("the schema")).expect("JSON");
    assert!(jsonschema::is_valid(&schema, &document), "{document:#}");
    assert_eq!((&document["v"], &document["services"][0]["kind"]), (&1.into(), &"app".into()));
    let saved = host.deploy(&["init", "--write"]).await.succeeded();
    assert_eq!(saved.stdout, "wrote compose.override.yaml\n");
    host.deploy(&["config", "--quiet"]).await.succeeded();
    // Then everything is an app that can be one, and the override is not written over.
    host.deploy(&["init", "--write"]).await.exited(2);
    std::fs::remove_file(host.folder().join("compose.override.yaml")).expect("removed");

    let app = "services: { web: { image: \"a:1\", x-deploy-apps: { port: 80 } } }\n";
    std::fs::write(host.folder().join("compose.yaml"), app).expect("a file");
    let output = host.deploy(&["init"]).await.exited(2);
    let says = "error: `compose.yaml` exists, and no service in it waits to become an app\n\nhint: it has these apps: `deploy-apps web` deploys them\n";
    assert_eq!((output.stderr.as_str(), written(&host).as_str()), (says, app));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_says_too_little_is_explained() {
    let host = empty("init-empty").await;
    let folder = host.folder().display().to_string();
    let output = host.deploy(&["init"]).await.exited(2);
    let says = format!(
        "error: no Dockerfile is in `{folder}` or in a folder below\n\n\
         hint: go to the app's folder, or write a Dockerfile first: it says how the app is built and started\n"
    );
    assert_eq!(output.stderr, says);

    std::fs::write(host.folder().join("go.mod"), "module shop\n\ngo 1.24\n").expect("a file");
    std::fs::write(host.folder().join("main.go"), "package main\n").expect("a file");
    let output = host.deploy(&["init"]).await.exited(2);
    assert!(output.stderr.ends_with("\n\nhint: `deploy-apps init --dockerfile` writes one for Go\n"), "{output}");
    let output = host.deploy(&["init", "--dockerfile", "--print"]).await.succeeded();
    assert!(output.stdout.starts_with("# --- Dockerfile\nFROM golang:1.24 AS build\n"), "{output}");
    assert!(!host.folder().join("Dockerfile").exists() && written(&host).is_empty());
    host.deploy(&["init", "--dockerfile", "--name", "shop"]).await.succeeded();
    let text = written(&host);
    assert!(text.contains("  shop:\n    build: .\n") && text.contains("      port: 8080\n"), "{text}");

    std::fs::remove_file(host.folder().join("compose.yaml")).expect("removed");
    let output = host.deploy(&["init", "--host", "a_b/c"]).await.exited(2);
    assert!(output.stderr.starts_with("error: this would make no valid compose file: `host` must be"), "{output}");
    assert!(written(&host).is_empty());
    host.deploy(&["init", "--port", "0"]).await.exited(2).says("0 is not in 1..=65535");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mistyped_command_is_recognised() {
    let host = Scenario::new("mistyped").app(crate::harness::App::new("web")).start().await;
    let output = host.deploy(&["drian-test"]).await.exited(2);
    assert_eq!(output.stderr, "error: unknown app `drian-test`\n\nhint: did you mean the command `drain-test`?\n");
    // An app that is near is meant rather.
    host.deploy(&["wbe"]).await.exited(2).says("hint: did you mean `web`?");
    std::fs::remove_file(host.folder().join("compose.yaml")).expect("removed");
    let output = host.deploy(&["cofnig"]).await.exited(2);
    let says = "error: unknown command `cofnig`, and no compose file that could have an app of this name\n\nhint: did you mean `deploy-apps config`?\n";
    assert_eq!(output.stderr, says);
}
