//! What the proxy tells of the last seconds in one call, and what it tells of the past.

use std::collections::BTreeMap;

use deploy_apps::model::{AppTraffic, ReleaseNumber, RequestCounts};
use deploy_apps::ports::{InspectProxy, Proxy};
use serde_json::{Map, json};

use crate::control::closed_port;
use crate::world::{World, eventually, key};

async fn traffic(world: &World) -> BTreeMap<String, AppTraffic> {
    let overview = world.control.overview(&"t".parse().expect("a name")).await.expect("an overview");
    let apps = overview.traffic.expect("this build counts it").apps;
    apps.into_iter().map(|(key, traffic)| (key.to_string(), traffic)).collect()
}

fn counts(requests: u64, errors: u64) -> RequestCounts {
    RequestCounts { requests, errors }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_counted_by_release_and_answer_and_forgotten_in_time() {
    let world = World::start().await;
    let backend = world.backend("web").await;
    let mut record = world.serving("web", &[&backend]);
    let mut foreign = world.serving("web", &[&backend]);
    foreign.project = "other".parse().expect("a name");
    foreign.routes[0].host = Some("foreign.test".to_owned());
    world.flip(&[record.clone(), foreign]).await;
    for _ in 0..20 {
        assert_eq!(world.get("web.test", "/").await.status, 200);
    }
    world.get("foreign.test", "/").await;
    // A POST that was sent is not sent again.
    assert_eq!(world.post("web.test", "/die", "x").await.status, 502);
    // The same replica as another release: what it answers from now on is counted apart.
    record.release = ReleaseNumber(2);
    record.peers[0].release = ReleaseNumber(2);
    record.peers[0].id = "again".to_owned();
    world.flip(&[record]).await;
    for _ in 0..5 {
        assert_eq!(world.get("web.test", "/slow?30").await.status, 200);
    }

    let mut found = BTreeMap::new();
    eventually("both workers' counts are there", async || {
        found = traffic(&world).await;
        let releases = found.get("t/web").map(|web| &web.releases);
        releases.is_some_and(|releases| releases.values().map(|(_, long)| long.requests).sum::<u64>() == 26)
    })
    .await;
    assert_eq!(found.keys().collect::<Vec<_>>(), ["t/web"], "the apps of one project");
    let web = &found["t/web"];
    assert_eq!(web.releases[&ReleaseNumber(1)].1, counts(21, 1));
    assert_eq!(web.releases[&ReleaseNumber(2)].1, counts(5, 0));
    let (p50, p99) = (web.p50_ms.expect("a median"), web.p99_ms.expect("a p99"));
    assert!(p50 < p99 && p99 > 25.0, "20 quick ones, 5 of 30 ms: p50 {p50} ms, p99 {p99} ms");

    eventually("the short window has passed", async || {
        found = traffic(&world).await;
        found["t/web"].releases.values().all(|(short, _)| short.requests == 0)
    })
    .await;
    let long: u64 = found["t/web"].releases.values().map(|(_, long)| long.requests).sum();
    assert_eq!(long, 26, "the long one has not");
}

#[tokio::test]
async fn windows_are_no_longer_than_the_proxy_lives() {
    let world = World::start().await;
    let overview = world.control.overview(&"t".parse().expect("a name")).await.expect("an overview");
    let traffic = overview.traffic.expect("this build counts it");
    assert!(traffic.apps.is_empty());
    assert!(traffic.short_ms <= traffic.long_ms && traffic.long_ms < 60_000, "{traffic:?}");
    let (status, state) = world.call("GET", "/v1/state", "").await;
    assert_eq!((status, &state["rates"], &state["ejected"]), (200, &json!(null), &json!([])));
}

#[tokio::test]
async fn a_peer_that_is_left_out_is_named() {
    let world = World::start().await;
    let live = world.backend("live").await;
    let mut record = world.serving("app", &[&live]);
    record.peers.push(world.peer("dead", closed_port(&world)));
    world.flip(&[record]).await;
    eventually("the dead one is named", async || {
        world.get("app.test", "/").await;
        let overview = world.control.overview(&"t".parse().expect("a name")).await.expect("an overview");
        overview.ejected.iter().eq(["dead"])
    })
    .await;
}

#[tokio::test]
async fn the_histories_of_several_apps_come_in_one_answer() {
    let world = World::start().await;
    let append = async |app: &str, release: u32, event: &str| {
        world.control.record(&key(app), ReleaseNumber(release), event, Map::new()).await.expect("recorded");
    };
    for release in 1..=30 {
        append("busy", release, "finished").await;
    }
    append("quiet", 1, "started").await;
    append("third", 1, "started").await;
    // Somebody else's line: its fields in another order, with spaces.
    let body = r#"{ "release": 2, "app": "t/quiet", "event": "finished", "note": "\"app\":\"t/busy\"" }"#;
    assert_eq!(world.call("POST", "/v1/history", body).await.0, 200);

    let apps = [key("busy"), key("quiet"), key("never")];
    let records = world.control.histories(&apps, 3).await.expect("histories");
    let told: Vec<String> =
        records.iter().map(|record| format!("{} {}", record["app"].as_str().unwrap(), record["release"])).collect();
    assert_eq!(told, ["t/quiet 2", "t/quiet 1", "t/busy 30", "t/busy 29", "t/busy 28"], "newest first, three of each");
    assert!(world.control.histories(&[], 3).await.expect("nothing asked for").is_empty());
}
