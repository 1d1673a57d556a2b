//! Images of a private registry: a real one, with a login, with and without TLS.

use std::io::Read;
use std::path::PathBuf;
use std::process::Stdio;

use serde_json::json;

use crate::harness::{
    App, Cable, Cli, End, FAULT_APP, Host, LOGIN, PrivateRegistry, Scenario, Wire, docker, none_lost,
};

fn pulled(image: &str, policy: &str) -> App {
    App::new("web").set("/build", json!(null)).set("/image", json!(image)).set("/pull_policy", json!(policy))
}

/// A folder for `DOCKER_CONFIG` in the host's.
fn config(host: &Host, name: &str, text: &str) -> String {
    let folder = host.folder().join(name);
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("config.json"), text).expect("written");
    folder.to_string_lossy().into_owned()
}

/// A PATH on which `docker-credential-NAME` is this script.
fn helper(host: &Host, name: &str, script: &str) -> String {
    let folder = host.folder().join("bin");
    std::fs::create_dir_all(&folder).expect("a folder");
    let file: PathBuf = folder.join(format!("docker-credential-{name}"));
    // Written by another process: a fork of another test may hold open what this one writes, and then it cannot be run.
    let mut write = std::process::Command::new("sh");
    write.args(["-c", "printf '#!/bin/sh\\n%s\\n' \"$2\" >\"$1\" && chmod 755 \"$1\"", "sh"]).arg(&file).arg(script);
    assert!(write.stdin(Stdio::null()).status().expect("a shell").success());
    format!("{}:{}", folder.display(), std::env::var("PATH").expect("a path"))
}

fn logged_in(host: &Host, registry: &PrivateRegistry) -> String {
    config(host, "logged-in", &format!(r#"{{"auths":{{"{}":{{"auth":"{LOGIN}"}}}}}}"#, registry.address))
}

fn with(host: &Host, args: &[&str], config: &str) -> Cli {
    host.cli(args).env("DOCKER_CONFIG", config)
}

/// An image like that of the apps, with this mark, given to the registry.
fn marked(registry: &PrivateRegistry, name: &str, mark: &str) -> String {
    let local = format!("{}:{mark}", name.split(':').next().expect("a name"));
    let text = format!("FROM {FAULT_APP}\nENV RELEASE_MARK={mark}\n");
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("Dockerfile"), text).expect("written");
    docker(&["build", "-q", "-t", &local, &folder.path().to_string_lossy()]);
    let reference = registry.push(&local, name);
    docker(&["rmi", &local]);
    reference
}

async fn mark(host: &Host) -> String {
    host.get("web", "/mark").await.body
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_kind_of_login_pulls() {
    let registry = PrivateRegistry::shared().await;
    let address = &registry.address;
    let host = Scenario::new("logins").start().await;
    let image = registry.push(FAULT_APP, &format!("{}:1", host.name()));
    let mut host = host;
    host.add(pulled(&image, "always"));
    let script = format!(
        r#"read -r server; [ "$1 $server" = "get {address}" ] || {{ echo credentials not found in native keychain; exit 1; }}
           printf '{{"ServerURL":"%s","Username":"ann","Secret":"s3c:ret"}}' "$server""#
    );
    let path = helper(&host, "tests", &script);
    let empty = config(&host, "empty", "{}");
    let auths = format!(r#"{{"auths":{{"{address}":{{"auth":"{LOGIN}"}}}}}}"#);
    let files = [
        config(&host, "auth", &format!(r#"{{"auths":{{"https://{address}/v1/":{{"auth":"{LOGIN}"}}}}}}"#)),
        config(
            &host,
            "plain",
            &format!(r#"{{"auths":{{"http://{address}":{{"username":"ann","password":"s3c:ret"}}}}}}"#),
        ),
        config(&host, "helper", &format!(r#"{{"credHelpers":{{"{address}":"tests"}},"credsStore":"none"}}"#)),
        config(&host, "store", r#"{"credsStore":"tests"}"#),
    ];
    for file in &files {
        with(&host, &["web"], file).env("PATH", &path).run().await.succeeded();
    }
    with(&host, &["web"], &empty).env("DOCKER_AUTH_CONFIG", &auths).run().await.succeeded();
    host.is_clean(&["web-r1-1"]).await;
    docker(&["rmi", &image]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_login_is_told_and_the_old_version_serves() {
    let registry = PrivateRegistry::shared().await;
    let address = &registry.address;
    let mut host = Scenario::new("login-refused").start().await;
    let image = registry.push(FAULT_APP, &format!("{}:1", host.name()));
    host.add(pulled(&image, "always"));
    let good = logged_in(&host, registry);
    with(&host, &["web"], &good).run().await.succeeded();
    let load = host.steady_load("web").await;

    let none = config(&host, "none", "{}");
    let said = with(&host, &["web"], &none).run().await.exited(1);
    said.says(&image).says(&format!("`docker login {address}` if its registry is private"));
    let wrong = config(&host, "wrong", &format!(r#"{{"auths":{{"{address}":{{"auth":"YW5uOmV4cGlyZWQ="}}}}}}"#));
    let said = with(&host, &["web"], &wrong).run().await.exited(1);
    said.says(&format!("the login of `ann` is from `{wrong}/config.json`"))
        .says("it may have expired")
        .says(&format!("`docker login {address}`"));
    let missing = config(&host, "missing", r#"{"credsStore":"nowhere"}"#);
    let said = with(&host, &["web"], &missing).run().await.exited(1);
    said.says("credential helper `docker-credential-nowhere`, which `credsStore` in").says("is not installed");
    let path = helper(&host, "expired", "echo 'the session has expired'; exit 1");
    let expired = config(&host, "expired", &format!(r#"{{"credHelpers":{{"{address}":"expired"}}}}"#));
    let said = with(&host, &["web"], &expired).env("PATH", &path).run().await.exited(1);
    said.says("failed with exit code 1: the session has expired").says(" | docker-credential-expired get` must answer");
    let broken = config(&host, "broken", "{\"auths\":{},}");
    with(&host, &["web"], &broken).run().await.exited(7).says("is not valid: trailing comma");

    none_lost(&load.stop().await);
    host.is_clean(&["web-r1-1"]).await;
    docker(&["rmi", &image]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_moved_tag_is_seen_as_the_policy_says_and_a_digest_stays() {
    let registry = PrivateRegistry::shared().await;
    let mut host = Scenario::new("moved-tag").start().await;
    let name = format!("{}:live", host.name());
    let image = marked(registry, &name, "one");
    let digest = registry.digest(&image);
    host.add(pulled(&image, "missing"));
    let login = logged_in(&host, registry);
    let deploy = async |host: &Host| with(host, &["web"], &login).run().await.succeeded();
    deploy(&host).await;
    assert_eq!(mark(&host).await, "one");
    let present = docker(&["image", "inspect", "--format", "{{.Id}}", &image]);
    marked(registry, &name, "two");
    docker(&["tag", &present, &image]);
    // What is there is good enough.
    deploy(&host).await.says("up to date");
    assert_eq!(mark(&host).await, "one");
    for (policy, content) in [("daily", "two"), ("always", "three")] {
        if content == "three" {
            marked(registry, &name, "three");
        }
        host.change("web", |app| app.set("/pull_policy", json!(policy)));
        deploy(&host).await;
        assert_eq!(mark(&host).await, content, "{policy}");
    }
    host.change("web", |app| app.set("/image", json!(digest)));
    deploy(&host).await;
    assert_eq!(mark(&host).await, "one");
    host.is_clean(&["web-r4-1"]).await;
    docker(&["rmi", "-f", &image]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_gives_the_image_of_the_engines_platform() {
    let registry = PrivateRegistry::shared().await;
    let mut host = Scenario::new("index").start().await;
    let image = registry.push(FAULT_APP, &format!("{}:1", host.name()));
    let own = docker(&["version", "--format", "{{.Server.Arch}}"]);
    let multi = registry.index(&image, "multi", &own).await;
    let foreign = registry.index(&image, "foreign", "s390x").await;
    host.add(pulled(&multi, "missing"));
    let login = logged_in(&host, registry);
    with(&host, &["web"], &login).run().await.succeeded();
    host.change("web", |app| app.set("/image", json!(foreign)));
    let said = with(&host, &["web"], &login).run().await.exited(1);
    said.says(&foreign)
        .says("no matching manifest for linux/")
        .says("hint: the image is not built for the engine's platform");
    host.is_clean(&["web-r1-1"]).await;
    docker(&["rmi", "-f", &multi]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_private_base_image_is_pulled_with_the_login() {
    let registry = PrivateRegistry::shared().await;
    let mut host = Scenario::new("private-base").start().await;
    let image = registry.push(FAULT_APP, &format!("{}:1", host.name()));
    let folder = host.folder().join("context");
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::write(folder.join("Dockerfile"), format!("FROM {image}\nENV RELEASE_MARK=built\n")).expect("written");
    host.add(App::built_from("web", "context".as_ref()).set("/build/pull", json!(true)));
    let none = config(&host, "none", "{}");
    with(&host, &["web"], &none).run().await.exited(1).says("its base image cannot be had");
    let missing = config(&host, "missing", r#"{"credsStore":"nowhere"}"#);
    with(&host, &["web"], &missing).run().await.exited(1).says("credential helper `docker-credential-nowhere`");
    let path = helper(&host, "tests", r#"printf '{"Username":"ann","Secret":"s3c:ret"}'"#);
    let store = config(&host, "store", &format!(r#"{{"credHelpers":{{"{}":"tests"}}}}"#, registry.address));
    for builder in ["buildkit", "classic"] {
        let run = with(&host, &["web", "--force"], &store).env("PATH", &path).env("DEPLOY_APPS_BUILDER", builder);
        run.run().await.succeeded();
        assert_eq!(mark(&host).await, "built", "{builder}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_that_goes_down_in_the_middle_of_a_pull_changes_nothing() {
    let registry = PrivateRegistry::start().await;
    let wire = Wire::to(End::Address(registry.address.parse().expect("an address"))).await;
    let mut host = Scenario::new("pull-cut").start().await;
    let first = registry.push(FAULT_APP, &format!("{}:1", host.name()));
    let folder = tempfile::tempdir().expect("a folder");
    // The image has no shell to make a large file with. Random bytes stay as many when they are packed.
    let mut large = Vec::new();
    std::fs::File::open("/dev/urandom").and_then(|file| file.take(20 << 20).read_to_end(&mut large)).expect("bytes");
    std::fs::write(folder.path().join("large"), large).expect("written");
    let text = format!("FROM {FAULT_APP}\nCOPY large /large\n");
    std::fs::write(folder.path().join("Dockerfile"), text).expect("written");
    let local = format!("{}:large", host.name());
    docker(&["build", "-q", "-t", &local, &folder.path().to_string_lossy()]);
    let second = registry.push(&local, &format!("{}:2", host.name()));
    docker(&["rmi", &local]);
    let through = |reference: &str| reference.replace(&registry.address, &wire.place());
    host.add(pulled(&through(&first), "missing"));
    let auths = format!(r#"{{"auths":{{"{}":{{"auth":"{LOGIN}"}}}}}}"#, wire.place());
    let login = config(&host, "wire", &auths);
    with(&host, &["web"], &login).run().await.succeeded();
    let load = host.steady_load("web").await;

    host.change("web", |app| app.set("/image", json!(through(&second))));
    wire.cut_after(4 << 20);
    // The engine tries some times, and ends by itself.
    with(&host, &["web"], &login).run().await.exited(1).says(&through(&second));
    host.is_clean(&["web-r1-1"]).await;
    registry.stop();
    let said = with(&host, &["web"], &login).run().await.exited(1);
    said.says(&through(&second)).says("hint: ");
    // What is on the engine needs no registry.
    host.change("web", |app| app.set("/image", json!(through(&first))));
    with(&host, &["web"], &login).run().await.succeeded().says("up to date");
    none_lost(&load.stop().await);
    host.is_clean(&["web-r1-1"]).await;
    wire.set(Cable::Cut);
    docker(&["rmi", "-f", &through(&first)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_tls_the_registry_must_be_trusted() {
    let Some(mut registry) = PrivateRegistry::with_tls().await else { return };
    let mut host = Scenario::new("registry-tls").start().await;
    let image = registry.push(FAULT_APP, &format!("{}:1", host.name()));
    host.add(pulled(&image, "always"));
    let login = logged_in(&host, &registry);
    with(&host, &["web"], &login).run().await.succeeded();
    registry.distrust();
    let said = with(&host, &["web"], &login).run().await.exited(1);
    said.says("certificate").says(&format!("/etc/docker/certs.d/{}/ca.crt", registry.address));
    registry.trust();
    with(&host, &["web"], &login).run().await.succeeded().says("up to date");
    host.is_clean(&["web-r1-1"]).await;
    docker(&["rmi", &image]);
}
