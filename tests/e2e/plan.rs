//! `deploy-apps plan`: what it shows is what a deploy does, and looking changes nothing.

use serde_json::{Value, json};

use crate::harness::{App, Host, Output, Scenario, docker, none_lost};
use crate::input_file::is;

const SECRET: &str = "hunter2-not-to-be-seen";

async fn plan(host: &Host, args: &[&str]) -> Output {
    host.cli(&[&["plan"], args].concat()).run().await
}

/// The steps' texts of a plan, without those that set up the proxy.
fn planned(document: &Value) -> Vec<String> {
    let steps = |list: &Value| list.as_array().expect("steps").clone();
    let apps = document["apps"].as_array().expect("apps").iter().flat_map(|app| steps(&app["steps"]));
    let all = steps(&document["shared"]).into_iter().chain(apps);
    all.map(|step| step["text"].as_str().expect("text").to_owned()).collect()
}

fn done(output: &Output) -> Vec<String> {
    let steps = output.events("step_finished");
    let of_apps = steps.iter().filter(|event| event["app"].is_string());
    of_apps.map(|event| event["step"].as_str().expect("text").to_owned()).collect()
}

fn everything_on_the_engine(host: &Host) -> String {
    let filter = format!("name={}", host.name());
    let list = |what: &str| docker(&[what, "ls", "--filter", &filter, "--format", "json"]);
    ["container", "network", "volume"].map(list).join("\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_plan_shows_the_proxy_too_and_changes_nothing() {
    let app = App::new("web").replicas(2).env("SECRET", SECRET);
    let host = Scenario::new("plan-first").app(app).start().await;
    let output = plan(&host, &[]).await.exited(11);
    host.snapshot("plan-first.txt", &output.stdout);
    assert_eq!((output.stderr.as_str(), everything_on_the_engine(&host).trim()), ("", ""), "{output}");

    let markdown = plan(&host, &["--format", "markdown"]).await.exited(11);
    host.snapshot("plan-first.md", &markdown.stdout);

    let json = plan(&host, &["--format", "json"]).await.exited(11);
    let document = json.document("plan");
    assert_eq!((&document["changes"], &document["apps"][0]["verdict"]), (&json!(true), &json!("deploy")), "{json}");
    let names = document["apps"][0]["steps"].as_array().expect("steps").iter().find_map(|step| step.get("environment"));
    assert!(names.expect("a container").as_array().expect("names").contains(&json!("SECRET")), "{json}");
    for output in [&output, &markdown, &json] {
        assert!(!output.to_string().contains(SECRET), "{output}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deploy_does_what_the_plan_has_shown() {
    let mut host = Scenario::new("plan-same").app(App::new("web").replicas(2)).app(App::new("back")).start().await;
    for round in 0..2 {
        let document = plan(&host, &["--format", "json"]).await.exited(11).document("plan");
        let output = host.deploy(&["--all", "--format", "json"]).await.succeeded();
        // Apps and lanes run beside each other, so only what is done is compared, not when.
        let (mut planned, mut done) = (planned(&document), done(&output));
        planned.sort();
        done.sort();
        assert_eq!(planned, done, "round {round}");
        host.change("web", |app| app.env("RELEASE_MARK", "changed"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_exit_code_tells_changes_from_none() {
    let mut host = Scenario::new("plan-code").app(App::new("web")).app(App::new("back")).start().await;
    // One after the other, so that each has the same generation in every run.
    host.deploy(&["web"]).await.succeeded();
    host.deploy(&["back"]).await.succeeded();
    let load = host.steady_load("web").await;
    let before = (host.containers().await, host.proxy_state().await.generation);

    let same = plan(&host, &[]).await.succeeded();
    host.snapshot("plan-nothing.txt", &same.stdout);
    let document = plan(&host, &["web", "--format", "json"]).await.succeeded().document("plan");
    assert_eq!((&document["changes"], document["apps"].as_array().expect("apps").len()), (&json!(false), 1));

    plan(&host, &["--force"]).await.exited(11).says("2 apps to deploy");
    host.change("web", |app| app.replicas(2).env("A", "1"));
    let changed = plan(&host, &[]).await.exited(11);
    host.snapshot("plan-changed.txt", &changed.stdout);
    let markdown = plan(&host, &["--format", "markdown"]).await.exited(11).stdout;
    host.snapshot("plan-changed.md", &markdown);
    assert_eq!(markdown, plan(&host, &["--format", "markdown"]).await.stdout, "the same plan has the same text");

    assert_eq!((host.containers().await, host.proxy_state().await.generation), before, "nobody touched anything");
    none_lost(&load.stop().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_needs_no_lease() {
    let host = Scenario::new("plan-lease").app(App::new("web").fault("unhealthy")).start().await;
    let mut running = host.cli(&["web", "--format", "json"]).spawn();
    running.event_where("replica_started", |event| event["app"].is_string()).await;
    // While somebody else deploys, their half-made release is part of the world.
    plan(&host, &["web"]).await.exited(11).says("first release r2");
    running.signal(rustix::process::Signal::INT);
    running.finish().await.exited(130);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_deploy_would_refuse_the_plan_refuses() {
    let host = Scenario::new("plan-bad").app(App::new("front")).start().await;
    is(&host, plan(&host, &["frnt"]).await, 2, "error: unknown app `frnt`\nhint: did you mean `front`?");
    is(
        &host,
        host.cli(&["front", "--format", "markdown"]).run().await,
        2,
        "error: `--format markdown` works with `plan` only\n\nhint: use `--format text` or `--format json`",
    );
    host.deploy(&["front"]).await.succeeded();
    let other = format!("{}-two", host.name());
    is(
        &host,
        plan(&host, &["--project-name", &other]).await,
        6,
        "error: route `front.localhost/` of app `PROJECT-two/front` is taken by app `PROJECT/front`, which the same \
         proxy serves\n\nhint: give one of the two another `host` or `path` than `front.localhost/` in \
         `x-deploy-apps.routes`",
    );
    docker(&["stop", "-t", "1", &format!("{}-proxy", host.name())]);
    is(
        &host,
        plan(&host, &[]).await,
        8,
        "error: the proxy `PROJECT` does not answer: its container does not run, so what it routes is not known\n\n\
         hint: `deploy-apps logs proxy` says why; the next deploy starts it",
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_that_is_not_there_yet_is_said_not_pulled() {
    let app = App::new("web").set("/build", json!(null)).set("/image", json!("e2e-nothing:1"));
    let host = Scenario::new("plan-image").app(app).start().await;
    let output = plan(&host, &["--out", "plan.json"]).await;
    is(
        &host,
        output,
        6,
        "error: the plan cannot be saved, because it is not certain: image `e2e-nothing:1` of `web` is not on the \
         engine; a deploy pulls it before it plans\n\nhint: `--pull` pulls images first",
    );
    assert!(!host.folder().join("plan.json").exists());
    let output = plan(&host, &[]).await.exited(11);
    output.says("note: image `e2e-nothing:1` of `web` is not on the engine").says("tag image e2e-nothing:1 as");
}
