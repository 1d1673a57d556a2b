//! Several deploys at once: of one app, of different apps, and on a host that has nothing yet.

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{App, Host, Running, Scenario, none_lost};

/// A deploy of `web` that holds its lease until it gets a signal: its new version never becomes healthy.
async fn holding(host: &mut Host) -> Running {
    host.change("web", |app| app.fault("slow-start").env("FAULT_AFTER", "600"));
    let mut owner = host.cli(&["web", "--format", "json"]).env("USER", "ann").spawn();
    let waits = |event: &Value| event["step"].as_str().is_some_and(|text| text.starts_with("await `"));
    owner.event_where("step_started", waits).await;
    host.change("web", |app| app.fault("none"));
    owner
}

async fn serving(test: &str) -> Host {
    let app = App::new("web").fault("none").set("/x-deploy-apps/health/timeout", json!("600s"));
    let host = Scenario::new(test).app(app).start().await;
    host.deploy(&["web"]).await.succeeded();
    host
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_deploy_of_an_app_is_told_who_holds_it_and_what_to_do() {
    let mut host = serving("lease-held").await;
    let load = host.steady_load("web").await;
    let owner = holding(&mut host).await;
    let second = host.deploy(&["web"]).await.exited(9);
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let (before, after) = second.stderr.split_once(" since ").expect("an age");
    assert_eq!(before, format!("error: app `{}/web` is being deployed by `ann` on `{name}`", host.name()));
    assert_eq!(
        after.split_once('\n').map(|(_, rest)| rest),
        Some("\nhint: `--lock-wait 5m` waits for it; the lease is free at once when its owner ends or dies\n"),
        "{second}"
    );
    assert_eq!(second.stdout, "");

    owner.signal(Signal::INT);
    owner.finish().await.exited(130);
    host.is_clean(&["web-r1-1"]).await;
    none_lost(&load.stop().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_deploy_that_waits_goes_on_when_the_first_has_ended() {
    let mut host = serving("lease-wait").await;
    let load = host.steady_load("web").await;
    let owner = holding(&mut host).await;
    host.change("web", |app| app.env("RELEASE_MARK", "second"));
    let mut second = host.cli(&["web", "--lock-wait", "60s", "--format", "json"]).spawn();
    let awaited = second.event("lease_awaited").await;
    assert_eq!(awaited["owner"], "ann");
    owner.signal(Signal::INT);
    owner.finish().await.exited(130);
    second.finish().await.succeeded();
    host.is_clean(&["web-r3-1"]).await;
    assert_eq!(host.get("web", "/mark").await.body, "second");
    none_lost(&load.stop().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_equal_deploys_the_one_that_waits_finds_nothing_left_to_do() {
    let mut host = serving("lease-equal").await;
    let load = host.steady_load("web").await;
    host.change("web", |app| app.env("RELEASE_MARK", "same"));
    let wait = ["web", "--lock-wait", "60s", "--format", "json"];
    let (one, other) = tokio::join!(host.deploy(&wait), host.deploy(&wait));
    let mut outcomes: Vec<Value> =
        [one, other].map(|run| run.succeeded().events("app_finished")[0]["outcome"].clone()).to_vec();
    outcomes.sort_by_key(Value::to_string);
    assert_eq!(outcomes, ["completed", "up_to_date"]);
    host.is_clean(&["web-r2-1"]).await;
    none_lost(&load.stop().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lease_of_a_killed_deploy_is_free_long_before_it_would_expire() {
    let mut host = serving("lease-killed").await;
    let load = host.steady_load("web").await;
    for release in ["r3", "r5", "r7"] {
        let owner = holding(&mut host).await;
        owner.signal(Signal::KILL);
        let killed = owner.finish().await;
        assert_eq!(killed.code, None, "{killed}");
        host.change("web", |app| app.env("RELEASE_MARK", release));
        // A lease whose owner is merely silent lasts 15 s.
        host.deploy(&["web", "--lock-wait", "3s"]).await.succeeded();
        host.is_clean(&[&format!("web-{release}-1")]).await;
    }
    none_lost(&load.stop().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn different_apps_of_a_project_are_deployed_beside_each_other() {
    let host = Scenario::new("beside").app(App::new("front")).app(App::new("back")).start().await;
    host.deploy(&["front", "back"]).await.succeeded();
    let loads = [host.steady_load("front").await, host.steady_load("back").await];
    for _ in 0..3 {
        let (front, back) = tokio::join!(host.deploy(&["front", "--force"]), host.deploy(&["back", "--force"]));
        front.succeeded();
        back.succeeded();
    }
    host.is_clean(&["front-r4-1", "back-r4-1"]).await;
    for load in loads {
        none_lost(&load.stop().await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_first_deploys_on_a_host_without_a_proxy_share_the_one_that_is_made_first() {
    let host = Scenario::new("first-two").app(App::new("front")).app(App::new("back")).start().await;
    let (front, back) = tokio::join!(host.deploy(&["front"]), host.deploy(&["back"]));
    let (front, back) = (front.exited(0), back.exited(0));
    host.is_clean(&["front-r1-1", "back-r1-1"]).await;
    for app in ["front", "back"] {
        assert_eq!(host.get(app, "/").await.status, 200, "{front}\n{back}");
    }
    // The loser of the race must not have taken away what the winner made.
    let load = host.steady_load("front").await;
    host.deploy(&["front", "back", "--force"]).await.succeeded();
    none_lost(&load.stop().await);
}
