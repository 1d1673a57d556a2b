//! Old releases go, those for a rollback stay, and a deploy on a full disk is refused before it builds.

use serde_json::Value;

use crate::harness::{App, FAULT_APP, Host, OwnEngine, Scenario, none_lost};
use crate::schema::validates;

/// A host on which `web` has had so many releases, all kept.
async fn with_releases(test: &str, count: u32) -> Host {
    let mut host = Scenario::new(test).app(App::new("web")).start().await;
    for number in 1..=count {
        host.change("web", |app| app.env("RELEASE_MARK", &format!("m{number}")));
        host.deploy(&["web", "--no-prune"]).await.succeeded();
    }
    host
}

fn set(tags: &[&str]) -> std::collections::BTreeSet<String> {
    tags.iter().map(|tag| (*tag).to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prune_leaves_what_serves_and_as_many_rollback_targets_as_asked() {
    let host = with_releases("prune", 5).await;
    let load = host.steady_load("web").await;
    let dry = host.deploy(&["prune", "--keep", "2", "--dry-run"]).await.succeeded();
    // Untagged images of whatever else is built on this engine may follow.
    let said = dry.stdout.trim_end().trim_end_matches("\nuntagged images would go");
    assert_eq!(said, "app  serves  kept   would go\nweb  r5      r4 r3  r1 r2", "{dry}");
    assert_eq!(host.image_tags("web").await, set(&["r1", "r2", "r3", "r4", "r5"]), "a dry run changes nothing");

    let pruned = host.deploy(&["prune", "web", "--keep", "2", "--format", "json"]).await.succeeded();
    let document: Value = serde_json::from_str(&pruned.stdout).expect("JSON");
    validates("prune", &document);
    assert_eq!(document["apps"][0]["kept"], serde_json::json!([4, 3]), "{pruned}");
    assert_eq!(host.image_tags("web").await, set(&["r3", "r4", "r5"]));
    let again = host.deploy(&["prune", "--keep", "2"]).await.succeeded();
    assert_eq!(again.stdout, "nothing to prune\n", "{again}");

    // What is kept runs: its image is there, and so is what the proxy keeps of it.
    host.deploy(&["rollback", "web", "r3"]).await.succeeded();
    assert_eq!(host.get("web", "/mark").await.body, "m3");
    let gone = host.deploy(&["rollback", "web", "r1"]).await;
    assert_ne!(gone.code, Some(0), "{gone}");
    none_lost(&load.stop().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deploys_prune_by_themselves_also_when_they_are_killed_at_it() {
    let mut host = with_releases("auto-prune", 3).await;
    let load = host.steady_load("web").await;
    host.change("web", |app| app.env("RELEASE_MARK", "m4"));
    let killed = host.cli(&["web", "--keep", "1"]).env("DEPLOY_APPS_CRASH_AFTER", "forget").run().await;
    assert_eq!(killed.code, None, "it was killed while it pruned\n{killed}");
    assert_eq!(host.get("web", "/mark").await.body, "m4", "the deploy itself was over");
    host.change("web", |app| app.env("RELEASE_MARK", "m5"));
    let output = host.deploy(&["web", "--keep", "1", "--lock-wait", "5s"]).await.succeeded();
    assert!(output.stderr.contains("pruned 3 old images"), "{output}");
    assert_eq!(host.image_tags("web").await, set(&["r4", "r5"]));
    host.is_clean(&["web-r5-1"]).await;
    none_lost(&load.stop().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_words_to_prune_are_told() {
    let host = with_releases("prune-input", 1).await;
    crate::input_file::is(
        &host,
        host.deploy(&["prune", "wbe"]).await,
        2,
        "error: unknown app `wbe`\n\nhint: did you mean `web`?",
    );
    host.deploy(&["prune", "--keep", "99"]).await.exited(2).says("99 is not in");
    host.deploy(&["web", "--min-free", "lots"]).await.exited(2).says("a size in bytes or with its unit");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_build_on_a_disk_that_is_nearly_full_is_refused_before_it_begins() {
    let Some(engine) = OwnEngine::start("disk-low", 700, &[]).await else { return };
    let host = Scenario::new("disk-low").app(App::built_from("web", "context".as_ref())).on(&engine).start().await;
    let folder = host.folder().join("context");
    std::fs::create_dir_all(&folder).expect("a folder");
    let write = |text: &str| std::fs::write(folder.join("Dockerfile"), text).expect("a Dockerfile");
    write(&format!("FROM {FAULT_APP}\n"));
    host.deploy(&["web"]).await.succeeded();
    write(&format!("FROM {FAULT_APP}\nLABEL another=one\n"));
    let refused = host.cli(&["web"]).env("DEPLOY_APPS_MIN_FREE", "600m").run().await.exited(6);
    assert!(
        refused.stderr.starts_with("error: only ") && refused.stderr.contains(" of 700 MiB are free at `"),
        "{refused}"
    );
    assert!(
        refused.stderr.contains("and 600 MiB must be\n\nhint: `deploy-apps prune` removes old releases"),
        "{refused}"
    );
    host.is_clean(&["web-r1-1"]).await;
    host.deploy(&["web", "--min-free", "1m"]).await.succeeded();
    host.is_clean(&["web-r2-1"]).await;
}
