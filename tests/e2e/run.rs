//! `run`: a command in a container of its own, made as the replicas are.

use std::path::Path;

use crate::harness::{App, DEADLINE, FAULT_APP, Host, Scenario, docker, eventually, none_lost};

/// fault-app's image is empty but for itself; this one has a shell.
pub fn with_shell(folder: &Path) -> App {
    let dockerfile = format!(
        "ARG BASE_IMAGE\nFROM {FAULT_APP} AS app\nFROM $BASE_IMAGE\nCOPY --from=app /fault-app /fault-app\nCMD [\"/fault-app\"]\n"
    );
    std::fs::write(folder.join("Dockerfile"), dockerfile).expect("written");
    App::built_from("web", folder)
}

fn one_offs(host: &Host) -> String {
    let project = format!("label=deploy-apps.project={}", host.name());
    docker(&["ps", "-aq", "--filter", &project, "--filter", "label=deploy-apps.role=one-off"]).trim().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_has_the_environment_of_the_release_its_own_exit_code_and_is_removed() {
    let folder = tempfile::tempdir().expect("a folder");
    let app = with_shell(folder.path()).env("RELEASE_MARK", "one");
    let mut host = Scenario::new("run").app(app).start().await;
    host.deploy(&["web"]).await.succeeded();
    // The file has moved on; the release that serves has not.
    host.change("web", |app| app.env("RELEASE_MARK", "two"));
    let load = host.steady_load("web").await;
    let script = "echo $RELEASE_MARK $DEPLOY_APPS_RELEASE; echo problem >&2; exit 7";
    let output = host.cli(&["run", "web", "sh", "-c", script]).run().await.exited(7);
    assert_eq!((output.stdout.trim(), output.stderr.trim()), ("one r1", "problem"), "{output}");
    let record = host.record("web").await.expect("a record");
    assert_eq!(record.peers.len(), 1, "it never serves");
    let missing = host.cli(&["run", "web", "no-such-command"]).run().await.exited(127);
    assert!(missing.stderr.contains("cannot be run"), "{missing}");
    host.deploy(&["restart", "web"]).await.succeeded();
    none_lost(&load.stop().await);
    assert_eq!(one_offs(&host), "", "it is removed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_run_leaves_is_removed_by_the_next_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let host = Scenario::new("run-killed").app(with_shell(folder.path())).start().await;
    host.deploy(&["web"]).await.succeeded();
    let mut running = host.cli(&["run", "web", "sh", "-c", "echo begun; sleep 2"]).spawn();
    assert_eq!(running.line().await, "begun");
    drop(running);
    eventually("the command's end", DEADLINE, async || {
        let running = docker(&["ps", "-q", "--filter", &format!("name={}-web-run-", host.name())]);
        running.trim().is_empty().then_some(())
    })
    .await;
    host.cli(&["run", "web", "true"]).run().await.succeeded();
    assert_eq!(one_offs(&host), "");
    // Killed before its command began.
    let killed = || {
        let name = format!("{}-web-run-1", host.name());
        let labels = [("role", "one-off"), ("proxy", host.name()), ("project", host.name()), ("service", "web")];
        let labels = labels.map(|(key, value)| format!("--label=deploy-apps.{key}={value}"));
        let mut args = vec!["create", "--name", &name];
        args.extend(labels.iter().map(String::as_str));
        docker(&[&args[..], &[FAULT_APP]].concat());
        name
    };
    let name = killed();
    let said = host.deploy(&["doctor"]).await;
    assert!(said.stdout.contains(&format!("`{name}` is left of a `deploy-apps run` that was killed")), "{said}");
    host.deploy(&["prune"]).await.succeeded().says(&name);
    assert_eq!(one_offs(&host), "");
    killed();
    host.cli(&["run", "web", "true"]).run().await.succeeded();
    assert_eq!(one_offs(&host), "");
}
