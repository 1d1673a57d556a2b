//! Release commands: once for each release, in the new image, before anything is flipped.

use deploy_apps::load::Load;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{App, Host, Output, Scenario, docker, none_lost};

/// Where the app's volume is mounted, with a line for each run of the command.
const COUNTED: &str = "/data/runs";

fn migrate(arguments: &[&str]) -> Value {
    json!([&["/fault-app", "migrate"], arguments].concat())
}

/// A host on which `web` serves without a release command, under load.
async fn serving(test: &str) -> (Host, Load) {
    let host = Scenario::new(test).app(App::new("web").replicas(2)).start().await;
    host.deploy(&["web"]).await.succeeded();
    let load = host.steady_load("web").await;
    (host, load)
}

/// Deploys with this release command, which does not succeed.
async fn deploy_with(host: &mut Host, release: Value) -> Output {
    host.change("web", |app| app.set("/x-deploy-apps/release", release).env("RELEASE_MARK", "new"));
    host.deploy(&["web"]).await.exited(1).says("✘ rolled back, r1 serves as before")
}

/// The old version serves, nothing of the attempt is left, and the next deploy works.
async fn fixes(mut host: Host, load: Load) {
    host.is_clean(&["web-r1-1", "web-r1-2"]).await;
    host.change("web", |app| app.set("/x-deploy-apps/release", migrate(&[])));
    host.deploy(&["web"]).await.succeeded().says("release command");
    host.is_clean(&["web-r3-1", "web-r3-2"]).await;
    none_lost(&load.stop().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_command_that_fails_flips_nothing_and_shows_its_log() {
    let (mut host, load) = serving("release-fails").await;
    let output = deploy_with(&mut host, migrate(&["fail"])).await;
    output
        .says(&format!("`{}-web-r2-release` exited with code 7", host.name()))
        .says("adding column `email` to `users`")
        .says("relation `users` does not exist");
    fixes(host, load).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_command_that_takes_too_long_is_ended_and_shows_its_log() {
    let (mut host, load) = serving("release-late").await;
    let release = json!({ "command": migrate(&["hang"]), "timeout": "2s" });
    let output = deploy_with(&mut host, release).await;
    output
        .says(&format!("`{}-web-r2-release` did not finish within 2s", host.name()))
        .says("adding column `email` to `users`");
    fixes(host, load).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_command_that_hangs_is_ended_by_the_cancellation() {
    let (mut host, load) = serving("release-hangs").await;
    host.change("web", |app| app.set("/x-deploy-apps/release", migrate(&["hang"])).env("RELEASE_MARK", "new"));
    let mut running = host.cli(&["web", "--format", "json"]).spawn();
    running.event_where("step_started", |event| text(event, "step").starts_with("await exit")).await;
    running.signal(Signal::INT);
    running.finish().await.exited(130);
    fixes(host, load).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_command_that_a_killed_run_has_left_ends_before_the_next_begins() {
    let (mut host, load) = serving("release-left").await;
    host.change("web", |app| app.set("/x-deploy-apps/release", migrate(&["hang"])).env("RELEASE_MARK", "new"));
    let mut running = host.cli(&["web", "--format", "json"]).spawn();
    running.event_where("step_started", |event| text(event, "step").starts_with("await exit")).await;
    running.signal(Signal::KILL);
    assert_eq!(running.finish().await.code, None, "it was killed");
    let left = format!("{}-web-r2-release", host.name());
    assert_eq!(docker(&["inspect", "--format", "{{.State.Running}}", &left]), "true", "nobody has ended its command");

    host.change("web", |app| app.set("/x-deploy-apps/release", migrate(&[])));
    let output = host.deploy(&["web", "--lock-wait", "5s", "--format", "json"]).await.succeeded();
    let steps = output.events("step_finished");
    let at = |begin: &str| steps.iter().position(|event| text(event, "step").starts_with(begin));
    let gone = at(&format!("remove `{left}`")).unwrap_or_else(|| panic!("the old one stays\n{output}"));
    let begun =
        at(&format!("start `{}-web-r3-release`", host.name())).unwrap_or_else(|| panic!("no new one\n{output}"));
    assert!(gone < begun, "two of them ran at once\n{output}");
    host.is_clean(&["web-r3-1", "web-r3-2"]).await;
    none_lost(&load.stop().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_command_runs_once_for_each_release_and_never_for_a_change_of_scale() {
    let app = App::new("web")
        .replicas(2)
        .set("/x-deploy-apps/release", migrate(&["count", COUNTED]))
        .set("/volumes", json!(["counts:/data"]))
        .set("/deploy/update_config/order", json!("start-first"));
    let mut host = Scenario::new("release-once").app(app).section("volumes", json!({ "counts": {} })).start().await;
    host.deploy(&["web"]).await.succeeded();
    let load = host.steady_load("web").await;
    assert_eq!(runs(&host), ["web 0+1 (r1, replica 1)"]);

    host.deploy(&["web"]).await.succeeded();
    host.change("web", |app| app.replicas(3));
    host.deploy(&["web"]).await.succeeded();
    host.is_clean(&["web-r1-1", "web-r1-2", "web-r1-3"]).await;
    assert_eq!(runs(&host).len(), 1, "neither a run without change nor one of scale runs it");

    host.change("web", |app| app.env("RELEASE_MARK", "new"));
    host.deploy(&["web"]).await.succeeded();
    host.is_clean(&["web-r2-1", "web-r2-2", "web-r2-3"]).await;
    assert_eq!(runs(&host), ["web 0+1 (r1, replica 1)", "web 0+2 (r2, replica 1)"]);
    none_lost(&load.stop().await);
}

/// Who ran the counting command, in order.
fn runs(host: &Host) -> Vec<String> {
    let replica = format!("{}-web-r", host.name());
    let listed = docker(&["ps", "--filter", &format!("name={replica}"), "--format", "{{.Names}}"]);
    let name = listed.lines().next().expect("a replica").to_owned();
    // The image has no shell, so the file is read as the archive that the engine makes of it.
    let folder = tempfile::tempdir().expect("a folder");
    let copy = folder.path().join("runs");
    docker(&["cp", &format!("{name}:{COUNTED}"), &copy.to_string_lossy()]);
    std::fs::read_to_string(copy).expect("the count").lines().map(str::to_owned).collect()
}

fn text<'v>(event: &'v Value, key: &str) -> &'v str {
    event[key].as_str().unwrap_or_default()
}
