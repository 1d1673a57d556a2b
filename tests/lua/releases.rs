//! What the proxy keeps for a rollback: which releases got traffic, and what each of them was made of.

use deploy_apps::model::{ContainerSpec, HealthPolicy, ReleaseNumber, Scale, StoredRelease};
use deploy_apps::ports::{Proxy, ProxyError};
use serde_json::json;

use crate::world::{Setup, World, eventually, key};

fn numbers(releases: &[u32]) -> Vec<ReleaseNumber> {
    releases.iter().copied().map(ReleaseNumber).collect()
}

async fn served(world: &World, app: &str) -> Vec<ReleaseNumber> {
    world.control.state().await.expect("the state").apps[&key(app)].served.clone()
}

/// Flips `app` to peers of these releases.
async fn serve(world: &World, app: &str, releases: &[u32]) {
    let peers = releases.iter().map(|release| {
        let mut peer = world.peer(&format!("t-{app}-r{release}-1"), 80);
        peer.release = ReleaseNumber(*release);
        peer
    });
    let mut record = world.record(app, peers.collect());
    record.release = ReleaseNumber(releases.iter().copied().max().unwrap_or(99));
    world.flip(&[record]).await;
}

fn release(number: u32) -> StoredRelease {
    let mut container = ContainerSpec { command: Some(Vec::new()), ..ContainerSpec::default() };
    container.environment.insert("WORDS".to_owned(), "line one\nline \"two\" {".to_owned());
    StoredRelease {
        number: ReleaseNumber(number),
        version: format!("1.0.0+{number}"),
        identity: "1f".to_owned(),
        image: "d".to_owned(),
        port: Some(8080),
        health: HealthPolicy::default(),
        container,
        release: None,
        mounted: std::collections::BTreeMap::new(),
        policy: None,
        settings: None,
        at: 0,
        owner: "ann".to_owned(),
        host: "laptop".to_owned(),
    }
}

async fn store(world: &World, app: &str, number: u32) -> Result<(), ProxyError> {
    let document = serde_json::to_value(release(number)).expect("a plain struct");
    world.control.store_release(&key(app), ReleaseNumber(number), document).await
}

async fn kept(world: &World, app: &str) -> Vec<u32> {
    let kept = world.control.releases(&[key(app)]).await.expect("releases");
    kept[&key(app)].iter().map(|stored| stored.number.0).collect()
}

#[tokio::test]
async fn the_releases_that_got_traffic_are_told_and_outlive_a_kill() {
    let world = World::start().await;
    serve(&world, "app", &[1]).await;
    // A batch: two at once, and the record's own number is not among them.
    serve(&world, "app", &[1, 3]).await;
    // At rest nobody gets traffic.
    serve(&world, "app", &[]).await;
    serve(&world, "app", &[3]).await;
    assert_eq!(served(&world, "app").await, numbers(&[1, 3]));
    // Rolled back: it came last.
    serve(&world, "app", &[1]).await;
    assert_eq!(served(&world, "app").await, numbers(&[3, 1]));
    world.kill().await;
    world.boot().await;
    assert_eq!(served(&world, "app").await, numbers(&[3, 1]));

    for release in 10..70 {
        serve(&world, "app", &[release]).await;
    }
    let newest: Vec<u32> = (20..70).collect();
    assert_eq!(served(&world, "app").await, numbers(&newest), "the last 50");
    world.kill().await;
    world.boot().await;
    assert_eq!(served(&world, "app").await, numbers(&newest));
}

#[tokio::test]
async fn a_snapshot_of_a_proxy_that_did_not_note_them_is_read() {
    let world = World::start().await;
    let record = |release: u32| {
        json!({
            "project": "t", "app": "app", "release": release, "version": "1", "balance": "round_robin", "hold_ms": 0,
            "routes": [{"host": "app.test", "path": "/", "strip": false}],
            "peers": [{"id": format!("t-app-r{release}-1"), "address": "10.198.0.9", "port": 80, "release": release,
                       "replica": 1, "version": "1"}],
        })
    };
    let old = json!({"format": 1, "generation": 7, "journal": 5, "apps": {
        "t/app": {"generation": 7, "last_release": 4, "record": record(4)},
        "t/gone": {"generation": 6, "last_release": 2, "record": null},
    }});
    world
        .exec(&format!("rm -f /var/lib/deploy-apps/routes.* && echo '{old}' > /var/lib/deploy-apps/routes.json"))
        .await;
    world.kill().await;
    world.boot().await;
    assert_eq!(served(&world, "app").await, numbers(&[4]));
    assert_eq!(served(&world, "gone").await, []);
    assert_eq!(world.control.state().await.expect("the state").apps[&key("app")].last_release.0, 4);
    serve(&world, "app", &[5]).await;
    world.kill().await;
    world.boot().await;
    assert_eq!(served(&world, "app").await, numbers(&[4, 5]));
}

#[tokio::test]
async fn what_is_stored_of_a_release_outlives_a_kill_and_is_forgotten_on_request() {
    let world = World::start().await;
    assert_eq!(kept(&world, "app").await, [0; 0]);
    for number in [2, 10, 9] {
        store(&world, "app", number).await.expect("stored");
    }
    store(&world, "other", 4).await.expect("stored");
    world.kill().await;
    world.boot().await;
    assert_eq!(kept(&world, "app").await, [10, 9, 2], "highest first");
    let read =
        world.control.releases(&[key("app")]).await.expect("releases").remove(&key("app")).expect("kept").remove(0);
    assert!(read.at > 1_700_000_000_000, "{}", read.at);
    assert_eq!(StoredRelease { at: 0, ..read }, release(10), "empty lists and line breaks included");

    world.control.forget_releases(&key("app"), &numbers(&[9, 77])).await.expect("forgotten");
    assert_eq!(kept(&world, "app").await, [10, 2]);
    assert_eq!(kept(&world, "other").await, [4]);
    let both = world.control.releases(&[key("other"), key("none"), key("app")]).await.expect("releases");
    let both: Vec<Vec<u32>> = both.values().map(|kept| kept.iter().map(|stored| stored.number.0).collect()).collect();
    assert_eq!(both, [vec![10, 2], vec![], vec![4]], "by name: app, none, other");
    let files = world.exec("ls /var/lib/deploy-apps/releases/*").await;
    assert!(files.contains("t~app") && !files.contains("tmp"), "{files}");

    // What cannot be read is as if it were not there, and said in the log.
    world.exec("printf '{\"at\":1,' > /var/lib/deploy-apps/releases/t~app/r10.json").await;
    assert_eq!(kept(&world, "app").await, [2]);
    // A line takes its way through the engine.
    eventually("it is said", async || world.logs().await.contains("r10.json")).await;
    assert!(!world.logs().await.contains("line one"), "a document is in the log");
    store(&world, "app", 10).await.expect("stored again");
    assert_eq!(kept(&world, "app").await, [10, 2]);
}

#[tokio::test]
async fn a_release_that_does_not_fit_on_the_disk_is_refused_and_the_one_before_stays() {
    let world = World::with(Setup { state_size: Some("4m"), ..Setup::default() }).await;
    store(&world, "app", 1).await.expect("stored");
    world.exec("dd if=/dev/zero of=/var/lib/deploy-apps/filler bs=4k count=2000").await;
    let mut large = release(2);
    large.container.environment.insert("LARGE".to_owned(), "x".repeat(200_000));
    let document = serde_json::to_value(large).expect("a plain struct");
    let refused = world.control.store_release(&key("app"), ReleaseNumber(2), document.clone()).await;
    assert!(
        matches!(&refused, Err(ProxyError::PersistFailed { message }) if message.contains("no space left")),
        "{refused:?}"
    );
    assert_eq!(kept(&world, "app").await, [1]);
    world.exec("rm /var/lib/deploy-apps/filler").await;
    world.control.store_release(&key("app"), ReleaseNumber(2), document).await.expect("space again");
    assert_eq!(kept(&world, "app").await, [2, 1]);
}

#[tokio::test]
async fn what_scale_has_set_is_a_part_of_the_record() {
    let world = World::start().await;
    let mut record = world.record("app", vec![world.peer("r1", 80)]);
    for scale in [Scale { replicas: 4, file: None }, Scale { replicas: 0, file: Some(2) }] {
        record.scale = Some(scale);
        world.flip(std::slice::from_ref(&record)).await;
        world.kill().await;
        world.boot().await;
        let known = world.control.state().await.expect("the state");
        assert_eq!(known.apps[&key("app")].record.as_ref(), Some(&record));
    }
}

#[tokio::test]
async fn calls_about_releases_that_are_not_understood_say_which_field() {
    let world = World::start().await;
    let refused = async |path, body: serde_json::Value| {
        let (status, answer) = world.call("POST", path, &body.to_string()).await;
        assert_eq!((status, answer["error"]["code"].as_str()), (422, Some("invalid_release")), "{answer}");
        answer["error"]["field"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(refused("/v1/release", json!({"app": "../etc", "release": 1})).await, "app");
    assert_eq!(refused("/v1/release", json!({"app": "t/app", "release": 0})).await, "release");
    assert_eq!(refused("/v1/release", json!({"app": "t/app", "release": 1.5})).await, "release");
    assert_eq!(refused("/v1/release", json!({"app": "t/app", "release": 1, "at": 1})).await, "at");
    assert_eq!(refused("/v1/releases/forget", json!({"app": "t/app"})).await, "releases");
    let half = json!({"app": "t/app", "releases": [1, "../2"]});
    assert_eq!(refused("/v1/releases/forget", half).await, "releases[1]");
    let (status, _) = world.call("GET", "/v1/releases?app=t", "").await;
    assert_eq!(status, 422);
    let large = json!({"app": "t/app", "release": 1, "container": "x".repeat(1_100_000)});
    let (status, answer) = world.call("POST", "/v1/release", &large.to_string()).await;
    assert_eq!((status, answer["error"]["code"].as_str()), (413, Some("too_large")));
}
