//! Builds that cannot succeed: the old version serves on, and the user sees the step that failed.

use crate::harness::{App, FAULT_APP, Host, OwnEngine, Scenario, none_lost};

/// A host whose `web` is built from its own folder and serves r1.
async fn built(scenario: Scenario) -> Host {
    let host = scenario.app(App::built_from("web", "context".as_ref())).start().await;
    dockerfile(&host, &format!("FROM {FAULT_APP}\n"));
    host.deploy(&["web"]).await.succeeded();
    host
}

fn dockerfile(host: &Host, text: &str) {
    let folder = host.folder().join("context");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("Dockerfile"), text).expect("a Dockerfile");
}

fn base() -> String {
    std::env::var("BASE_IMAGE").unwrap_or_else(|_| "debian:trixie-slim".to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_that_fails_is_shown_with_its_last_lines() {
    let host = built(Scenario::new("build-error")).await;
    let load = host.steady_load("web").await;
    let text = format!("FROM {}\nRUN echo compiling the parser && echo main.c:7: no semicolon >&2 && exit 4\n", base());
    dockerfile(&host, &text);
    let output = host.deploy(&["web"]).await.exited(1);
    output
        .says("RUN echo compiling the parser")
        .says("exit code 4")
        .says("main.c:7: no semicolon")
        .says("✘ rolled back, r1 serves as before");
    host.is_clean(&["web-r1-1"]).await;

    dockerfile(&host, &format!("FROM {FAULT_APP}\nLABEL repaired=yes\n"));
    host.deploy(&["web"]).await.succeeded();
    none_lost(&load.stop().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dockerfile_that_is_missing_is_named_by_its_path() {
    let host = built(Scenario::new("no-dockerfile")).await;
    let load = host.steady_load("web").await;
    std::fs::remove_file(host.folder().join("context/Dockerfile")).expect("removed");
    crate::input_file::is(
        &host,
        host.deploy(&["web"]).await,
        1,
        "error: the Dockerfile `FOLDER/context/Dockerfile` does not exist\n\n\
         hint: create it, or name another with `build.dockerfile` in compose.yaml",
    );
    host.is_clean(&["web-r1-1"]).await;
    none_lost(&load.stop().await);
}

/// As where this machine's disk is full: the engine's may be another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_temporary_file_is_needed_to_deploy_and_to_roll_back() {
    let host = built(Scenario::new("no-temp")).await;
    dockerfile(&host, &format!("FROM {FAULT_APP}\nLABEL second=yes\n"));
    let load = host.steady_load("web").await;
    for (args, said) in
        [(&["web"][..], "r1 → r2"), (&["rollback", "web"], "r2 → r1"), (&["scale", "web=2"], "1/1 healthy")]
    {
        host.cli(args).env("TMPDIR", "/there/is/no/such/folder").run().await.succeeded().says(said);
    }
    none_lost(&load.stop().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_is_full_while_building_leaves_the_old_version_serving() {
    let Some(engine) = OwnEngine::start("disk-full", 450, &[]).await else { return };
    engine.load(&[&base()]);
    let host = built(Scenario::new("disk-full").on(&engine)).await;
    let load = host.steady_load("web").await;
    let text = format!(
        "FROM {} AS big\nRUN head -c 1G /dev/zero >/big\nFROM {FAULT_APP}\nCOPY --from=big /big /big\n",
        base()
    );
    dockerfile(&host, &text);
    let output = host.deploy(&["web"]).await.exited(1);
    output
        .says("No space left on device")
        .says("hint: `deploy-apps prune` removes old releases; `docker system df` shows what else takes the space")
        .says("✘ rolled back, r1 serves as before");
    host.is_clean(&["web-r1-1"]).await;

    engine.docker(&["builder", "prune", "-f"]);
    dockerfile(&host, &format!("FROM {FAULT_APP}\nLABEL repaired=yes\n"));
    host.deploy(&["web"]).await.succeeded();
    none_lost(&load.stop().await);
}
