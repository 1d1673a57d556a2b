//! What a scraper learns from the proxy: whom else to ask, and how releases and deploys fare.

use deploy_apps::model::ReleaseNumber;
use deploy_apps::ports::Proxy;
use serde_json::{Value, json};

use crate::world::{World, eventually, key};

/// What is listed there, which is in no order.
async fn targets(world: &World, path: &str) -> Vec<Value> {
    let answer = world.scrape(path).await;
    assert_eq!(answer.status, 200);
    let mut listed = answer.json().as_array().expect("a list").clone();
    listed.sort_by_key(|target| (target["labels"]["instance"].to_string(), target["targets"][0].to_string()));
    listed
}

/// The lines of the metrics that begin so.
async fn samples(world: &World, beginning: &str) -> Vec<String> {
    let text = world.scrape("/metrics").await.body;
    text.lines().filter(|line| line.starts_with(beginning)).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_replica_that_serves_or_drains_is_listed_for_apps_that_ask_for_it() {
    let world = World::start().await;
    let (old, new) = (world.backend("old").await, world.backend("new").await);
    let mut record = world.serving("web", &[&old]);
    record.settings.metrics = Some("/m?x=1".to_owned());
    world.flip(&[record.clone(), world.serving("silent", &[&new])]).await;
    let listed = |backend: &crate::backend::Backend, release: &str| {
        json!({ "targets": [format!("{}:{}", world.gateway, backend.port)], "labels": {
            "instance": backend.name, "project": "t", "app": "web", "release": release, "replica": "1",
            "version": "1.0.0+1", "__metrics_path__": "/m?x=1" } })
    };
    assert_eq!(targets(&world, "/sd").await, [listed(&old, "1")]);
    let state = world.control.state().await.expect("the state");
    let kept = state.apps[&key("web")].record.as_ref().and_then(|record| record.settings.metrics.clone());
    assert_eq!(kept.as_deref(), Some("/m?x=1"), "the CLI gets it back");

    let request = world.get("web.test", "/slow?3000");
    let flip = async {
        eventually("it is open", async || world.in_flight(&["old"]).await.requests == 1).await;
        let mut next = record.clone();
        next.release = ReleaseNumber(2);
        next.peers = vec![world.peer("new", new.port)];
        next.peers[0].release = ReleaseNumber(2);
        world.flip(&[next]).await;
        assert_eq!(targets(&world, "/sd").await, [listed(&new, "2"), listed(&old, "1")], "the old one drains");
    };
    assert_eq!(tokio::join!(request, flip).0.status, 200);
    assert_eq!(targets(&world, "/sd").await, [listed(&new, "2")], "the old one is idle");
    assert_eq!(
        samples(&world, "deploy_apps_release_info{app=\"t/web\"").await,
        [r#"deploy_apps_release_info{app="t/web",release="2",version="1.0.0+1"} 1"#]
    );
}

#[tokio::test]
async fn each_app_with_replicas_is_listed_by_a_route_that_leads_to_one_place() {
    let world = World::start().await;
    let backend = world.backend("r1").await;
    let mut wild = world.serving("wild", &[&backend]);
    wild.routes[0].host = Some("*.wild.test".to_owned());
    let mut path = world.serving("path", &[&backend]);
    path.routes[0].host = Some("*.path.test".to_owned());
    path.routes.push(deploy_apps::model::Route { host: None, path: "/path".to_owned(), strip: true, tls: None });
    world.flip(&[world.serving("web", &[&backend]), wild, path, world.record("rest", Vec::new())]).await;
    assert_eq!(
        targets(&world, "/sd/routes").await,
        [
            json!({ "targets": ["http://deploy-apps-proxy/"],
            "labels": { "project": "t", "app": "web", "__param_hostname": "web.test" } }),
            json!({ "targets": ["http://deploy-apps-proxy/path"], "labels": { "project": "t", "app": "path" } }),
        ]
    );
}

#[tokio::test]
async fn durations_are_told_by_release() {
    let world = World::start().await;
    let backend = world.backend("one").await;
    let mut record = world.serving("web", &[&backend]);
    world.flip(&[record.clone()]).await;
    world.get("web.test", "/").await;
    record.release = ReleaseNumber(2);
    record.peers[0].release = ReleaseNumber(2);
    record.peers[0].id = "two".to_owned();
    world.flip(&[record]).await;
    for _ in 0..3 {
        world.get("web.test", "/slow?260").await;
    }
    let bucket = |release: u32, bound: &str, count: u32| {
        format!(
            "deploy_apps_request_duration_seconds_bucket{{app=\"t/web\",release=\"{release}\",le=\"{bound}\"}} {count}"
        )
    };
    let wanted =
        [bucket(1, "0.25", 1), bucket(1, "+Inf", 1), bucket(2, "0.25", 0), bucket(2, "0.5", 3), bucket(2, "+Inf", 3)];
    eventually("both workers' counts are there", async || {
        let found = samples(&world, "deploy_apps_request_duration_seconds_bucket").await;
        wanted.iter().all(|line| found.contains(line))
    })
    .await;
}

#[tokio::test]
async fn deploys_are_counted_by_outcome_and_still_after_a_restart() {
    let world = World::start().await;
    let finish = async |release: u32, outcome: &str, cut: u32| {
        let details = json!({ "outcome": outcome, "took_ms": 1500,
            "drained": { "requests": 4, "websockets": 1 }, "cut": { "requests": cut, "websockets": 0 } });
        let details = details.as_object().expect("an object").clone();
        let (app, release) = (key("web"), ReleaseNumber(release));
        world.control.record(&app, release, "started", serde_json::Map::new()).await.expect("recorded");
        world.control.record(&app, release, "finished", details).await.expect("recorded");
    };
    finish(1, "completed", 0).await;
    finish(2, "completed", 2).await;
    finish(3, "rolled_back", 0).await;
    let deploys = async || {
        let mut found = samples(&world, "deploy_apps_deploy").await;
        found.extend(samples(&world, "deploy_apps_last_deploy").await);
        found
    };
    let before = deploys().await;
    for line in [
        r#"deploy_apps_deploys_total{app="t/web",outcome="completed"} 2"#,
        r#"deploy_apps_deploys_total{app="t/web",outcome="rolled_back"} 1"#,
        // Never seen: 0, so that its first time is a rise.
        r#"deploy_apps_deploys_total{app="t/web",outcome="stuck"} 0"#,
        r#"deploy_apps_deploy_duration_seconds_sum{app="t/web"} 4.5"#,
        r#"deploy_apps_deploy_duration_seconds_count{app="t/web"} 3"#,
        r#"deploy_apps_deploy_drained_total{app="t/web",kind="requests"} 12"#,
        r#"deploy_apps_deploy_cut_total{app="t/web",kind="requests"} 2"#,
        r#"deploy_apps_deploy_cut_total{app="t/web",kind="websockets"} 0"#,
    ] {
        assert!(before.iter().any(|found| found == line), "`{line}` is not in {before:#?}");
    }
    assert_eq!(before.iter().filter(|line| line.starts_with("deploy_apps_last_deploy_timestamp_seconds")).count(), 2);
    // A torn line was never acknowledged, and one of somebody else's making stops nothing.
    world.exec("printf '[1]\\n{\"at\":1,\"event\":\"finished\"}\\n{\"at\":2,\"app\":\"t/web\",\"event\":\"finished' >> /var/lib/deploy-apps/history.jsonl").await;
    world.kill().await;
    world.boot().await;
    assert_eq!(deploys().await, before);
}
