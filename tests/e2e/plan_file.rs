//! A saved plan is run exactly as it was seen, or not at all.

use serde_json::{Value, json};

use crate::harness::{App, Host, Scenario, docker, none_lost};
use crate::input_file::is;

const SECRET: &str = "hunter2-not-to-be-seen";

/// A host on which r1 serves, with a saved plan for r2.
async fn planned(test: &str) -> Host {
    let mut host = Scenario::new(test).app(App::new("web").env("SECRET", SECRET)).start().await;
    host.deploy(&["web"]).await.succeeded();
    host.change("web", |app| app.env("RELEASE_MARK", "two"));
    host.cli(&["plan", "web", "--out", "plan.json"]).run().await.exited(11).says("saved to plan.json");
    host
}

/// Runs the saved plan, which must be refused with these lines of what has moved, and change nothing.
async fn refused(host: &Host, moved: &str) {
    let before = (host.containers().await, host.proxy_state().await.generation);
    let load = host.steady_load("web").await;
    let output = host.cli(&["--plan-file", "plan.json"]).run().await.exited(12);
    let text = host.redact(&output.stderr);
    let wanted = format!(
        "error: the state has changed since the plan was saved; nothing was done\n  moved:\n{moved}\n\n\
         hint: `deploy-apps plan` shows the current plan; `--out FILE` saves it\n"
    );
    assert_eq!(text, wanted, "{output}");
    none_lost(&load.stop().await);
    assert_eq!((host.containers().await, host.proxy_state().await.generation), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_saved_plan_runs_under_load_once() {
    let host = planned("saved").await;
    let text = std::fs::read_to_string(host.folder().join("plan.json")).expect("the plan");
    assert!(!text.contains(SECRET), "{text}");
    let load = host.steady_load("web").await;
    host.cli(&["deploy", "--plan-file", "plan.json"]).run().await.succeeded().says("r1 → r2");
    none_lost(&load.stop().await);
    assert_eq!(host.get("web", "/mark").await.body, "two");
    host.runs(&["web-r2-1"]).await;
    refused(
        &host,
        "    what serves `web`: r1 (generation #1) by PROJECT-web-r1-1 → r2 (generation #2) by PROJECT-web-r2-1\n    \
         the last release of `web`: r1 → r2\n    \
         the containers of `web`: PROJECT-web-r1-1 running → PROJECT-web-r2-1 running",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_plan_of_a_first_deploy_includes_the_proxy() {
    let host = Scenario::new("saved-first").app(App::new("web")).start().await;
    host.cli(&["plan", "--out", "plan.json"]).run().await.exited(11);
    host.cli(&["--plan-file", "plan.json"]).run().await.succeeded();
    host.runs(&["web-r1-1"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subnet_that_is_taken_meanwhile_is_no_moved_world() {
    let host = Scenario::new("saved-subnet").app(App::new("web")).start().await;
    host.cli(&["plan", "--out", "plan.json"]).run().await.exited(11);
    let text = std::fs::read_to_string(host.folder().join("plan.json")).expect("the plan");
    let saved: Value = serde_json::from_str(&text).expect("JSON");
    let subnet = saved["subnet"].as_str().expect("the subnet that was free");
    docker(&["network", "create", "--subnet", subnet, &format!("{}-other", host.name())]);
    host.cli(&["--plan-file", "plan.json"]).run().await.succeeded();
    assert_eq!(host.get("web", "/mark").await.status, 200);
    host.runs(&["web-r1-1"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_release_since_then_is_a_moved_world() {
    let host = planned("moved-release").await;
    host.deploy(&["web", "--force"]).await.succeeded();
    host.runs(&["web-r2-1"]).await;
    refused(
        &host,
        "    what serves `web`: r1 (generation #1) by PROJECT-web-r1-1 → r2 (generation #2) by PROJECT-web-r2-1\n    \
         the last release of `web`: r1 → r2\n    \
         the containers of `web`: PROJECT-web-r1-1 running → PROJECT-web-r2-1 running",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_compose_file_is_a_moved_world() {
    let mut host = planned("moved-file").await;
    host.change("web", |app| app.env("RELEASE_MARK", "three").replicas(3));
    let output = host.cli(&["--plan-file", "plan.json"]).run().await.exited(12);
    let text = host.redact(&output.stderr);
    assert!(text.contains("the desired replicas of `web`: 1 → 3\n"), "{text}");
    assert!(text.contains("the configuration of `web`: "), "{text}");
    assert!(!text.contains("three"), "no value of an environment\n{text}");
    host.runs(&["web-r1-1"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_image_is_a_moved_world() {
    let tag = format!("e2e-moved-{}", std::process::id());
    docker(&["tag", crate::harness::FAULT_APP, &tag]);
    let app = App::new("web").set("/build", json!(null)).set("/image", json!(tag)).set("/pull_policy", json!("never"));
    let host = Scenario::new("moved-image").app(app).start().await;
    host.deploy(&["web"]).await.succeeded();
    host.cli(&["plan", "--force", "--out", "plan.json"]).run().await.exited(11);
    // The tag now names another image.
    let container = format!("{}-other", host.name());
    docker(&["create", "--name", &container, crate::harness::FAULT_APP]);
    docker(&["commit", &container, &tag]);
    docker(&["rm", &container]);
    let output = host.cli(&["--plan-file", "plan.json"]).run().await.exited(12);
    docker(&["rmi", "-f", &tag]);
    output.says("the image of `web`: ");
    host.runs(&["web-r1-1"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_is_gone_is_a_moved_world() {
    let mut host = Scenario::new("moved-replica").app(App::new("web").replicas(2)).start().await;
    host.deploy(&["web"]).await.succeeded();
    host.change("web", |app| app.env("A", "1"));
    host.cli(&["plan", "--out", "plan.json"]).run().await.exited(11);
    docker(&["rm", "-f", &format!("{}-web-r1-2", host.name())]);
    refused(
        &host,
        "    the containers of `web`: PROJECT-web-r1-1 running, PROJECT-web-r1-2 running → PROJECT-web-r1-1 running",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_folder_of_the_checkout_is_no_part_of_the_world() {
    let host = planned("saved-elsewhere").await;
    let elsewhere = tempfile::tempdir().expect("a folder");
    for file in ["compose.yaml", "plan.json"] {
        std::fs::copy(host.folder().join(file), elsewhere.path().join(file)).expect("a copy");
    }
    let file = elsewhere.path().join("compose.yaml").display().to_string();
    let plan = elsewhere.path().join("plan.json").display().to_string();
    host.cli(&["-f", &file, "--plan-file", &plan]).run().await.succeeded();
    host.runs(&["web-r2-1"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_no_plan_is_refused_with_its_reason() {
    let host = Scenario::new("saved-bad").app(App::new("web")).start().await;
    host.cli(&["plan", "--out", "plan.json"]).run().await.exited(11);
    let path = host.folder().join("plan.json");
    let good = std::fs::read_to_string(&path).expect("the plan");
    let hint = "hint: `deploy-apps plan --out FILE` saves one";
    let run = async |text: &str, code: i32, says: &str| {
        std::fs::write(&path, text).expect("written");
        is(&host, host.cli(&["--plan-file", "plan.json"]).run().await, code, says);
    };
    let with = |field: &str, value: Value| {
        let mut plan: Value = serde_json::from_str(&good).expect("JSON");
        plan[field] = value;
        plan.to_string()
    };
    run("name: web\n", 2, &format!("error: `plan.json` is not a saved plan\n\n{hint}")).await;
    run("{\"v\":1}", 2, &format!("error: `plan.json` is not a saved plan\n\n{hint}")).await;
    run("", 2, &format!("error: `plan.json` is not a saved plan\n\n{hint}")).await;
    let cut = &good[..200];
    let output = {
        std::fs::write(&path, cut).expect("written");
        host.cli(&["--plan-file", "plan.json"]).run().await.exited(2)
    };
    output.says("error: `plan.json` is a saved plan that is damaged: ");
    run(
        &with("apps", json!(7)),
        2,
        &format!(
            "error: `plan.json` is a saved plan that is damaged: invalid type: integer `7`, expected a sequence\n\n{hint}"
        ),
    )
    .await;
    let mut newer: Value = serde_json::from_str(&good).expect("JSON");
    newer["v"] = json!(2);
    newer["made_by"] = json!("deploy-apps 9.0.0");
    run(
        &newer.to_string(),
        2,
        "error: `plan.json` is a plan of form 2, saved by a newer `deploy-apps 9.0.0`; this deploy-apps reads form 1\n\n\
         hint: install the deploy-apps that saved it, or save the plan again with this one",
    )
    .await;
    run(
        &with("project", json!("other")),
        12,
        &format!("error: `plan.json` is a plan for project `other`, and the compose file's is `PROJECT`\n\n{hint}"),
    )
    .await;
    run(
        &with("apps", json!(["gone"])),
        12,
        &format!("error: `plan.json` is a plan for `gone`, which the compose file no longer has\n\n{hint}"),
    )
    .await;
    std::fs::remove_file(&path).expect("removed");
    is(
        &host,
        host.cli(&["--plan-file", "plan.json"]).run().await,
        2,
        &format!("error: `plan.json` does not exist\n\n{hint}"),
    );
    host.cli(&["web", "--plan-file", "plan.json"]).run().await.exited(2).says("cannot be used with");
    let nowhere = host.cli(&["plan", "--out", "no/such/plan.json"]).run().await.exited(2);
    nowhere.says("the plan cannot be saved to `no/such/plan.json`: No such file or directory (os error 2)\n");
}
