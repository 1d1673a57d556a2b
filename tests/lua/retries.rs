//! Peers that are dead, die, or are not there yet.

use std::sync::atomic::Ordering;
use std::time::Duration;

use deploy_apps::load::{Expect, Load, LoadConfig, Traffic};
use deploy_apps::model::Balance;
use futures_util::future::join_all;

use crate::control::closed_port;
use crate::world::{World, eventually};

#[tokio::test]
async fn a_dead_peer_costs_no_request_and_is_soon_left_alone() {
    let world = World::start().await;
    let live = world.backend("live").await;
    let mut record = world.serving("app", &[&live]);
    record.peers.push(world.peer("dead", closed_port(&world)));
    record.settings.balance = Balance::RoundRobin;
    world.flip(&[record]).await;

    let config = LoadConfig::new(world.target, "app.test")
        .send(4, Traffic::post("/echo", Expect::Echo))
        .send(4, Traffic::get("/"))
        .bounded(Duration::from_secs(20), 4000);
    let load = Load::start(config).await.expect("load");
    load.bound_reached().await;
    let report = load.stop().await;
    assert_eq!(
        (report.ok, report.failures()),
        (4000, 0),
        "a POST was sent to nobody, so it may be sent again:\n{report}"
    );
    // A worker tells the others its counts once a second, and the one that is asked may not have tried the dead peer at all.
    eventually("all workers' counts are there", async || world.metric("deploy_apps_requests_total").await >= 4000.0)
        .await;
    let retries = world.metric("deploy_apps_retries_total").await;
    assert!((1.0..200.0).contains(&retries), "{retries} retries: every second request still tries the dead peer");
    assert!(world.metric("deploy_apps_ejections_total").await >= 1.0);
    assert_eq!(world.metric("deploy_apps_replicas").await, 2.0, "both should serve");
    assert_eq!(world.metric("deploy_apps_unreachable_replicas").await, 1.0, "one of them cannot");
    world.drained(&["live".to_owned(), "dead".to_owned()]).await;
}

#[tokio::test]
async fn a_peer_that_comes_back_gets_requests_again() {
    let world = World::start().await;
    let (steady, away) = (world.backend("steady").await, world.backend("away").await);
    let mut record = world.serving("app", &[&steady, &away]);
    record.settings.balance = Balance::RoundRobin;
    let port = away.port;
    away.stop().await;
    world.flip(&[record]).await;
    for _ in 0..8 {
        assert_eq!(world.get("app.test", "/").await.backend(), "steady");
    }
    let back = crate::backend::Backend::start_at(world.gateway, port, "away").await;
    eventually("it is tried again", async || {
        world.get("app.test", "/").await;
        !back.arrivals().is_empty()
    })
    .await;
}

#[tokio::test]
async fn what_was_sent_is_sent_again_only_if_it_is_idempotent() {
    let world = World::start().await;
    let (one, two) = (world.backend("one").await, world.backend("two").await);
    world.flip(&[world.serving("app", &[&one, &two])]).await;
    assert_eq!(world.get("app.test", "/die").await.status, 502);
    assert!(!one.arrivals().is_empty() && !two.arrivals().is_empty(), "a GET is tried at both");
    let before = one.arrivals().len() + two.arrivals().len();
    assert!(before <= 3, "a GET was tried {before} times");
    assert_eq!(world.post("app.test", "/die", "money").await.status, 502);
    let after = one.arrivals().len() + two.arrivals().len();
    assert_eq!(after, before + 1, "a POST may have been carried out, so it is not repeated");
    world.drained(&["one".to_owned(), "two".to_owned()]).await;
}

#[tokio::test]
async fn requests_wait_for_a_peer_as_long_as_the_app_says() {
    let world = World::start().await;
    let backend = world.backend("r2").await;
    let mut waiting = world.record("app", Vec::new());
    waiting.hold_ms = 20_000;
    let mut hasty = world.record("hasty", Vec::new());
    hasty.hold_ms = 100;
    let refusing = world.record("refusing", Vec::new());
    world.flip(&[waiting, hasty, refusing]).await;
    assert_eq!(world.get("refusing.test", "/").await.status, 503);
    assert_eq!(world.get("hasty.test", "/").await.status, 503);

    let (get, post, ()) = tokio::join!(world.get("app.test", "/x"), world.post("app.test", "/echo", "kept"), async {
        eventually("both wait", async || world.metric("deploy_apps_held_requests_total").await >= 3.0).await;
        let mut record = world.serving("app", &[&backend]);
        record.hold_ms = 20_000;
        world.flip(&[record]).await;
    });
    assert_eq!((get.status, get.backend().as_str()), (200, "r2"));
    assert_eq!((post.status, post.body.as_str()), (200, "kept"));
}

#[tokio::test]
async fn a_post_on_a_pooled_connection_never_meets_a_backend_that_just_hung_up() {
    let world = World::start().await;
    // One client for each backend: then the connection to the backend is idle exactly as long as the client's is.
    let mut backends = Vec::new();
    for number in 0..16 {
        let backend = world.backend(&format!("app-{number}")).await;
        // gunicorn's idle limit, the shortest in common use.
        backend.seen.idle_limit_ms.store(2000, Ordering::Relaxed);
        backends.push(backend);
    }
    let records: Vec<_> = backends.iter().map(|backend| world.serving(&backend.name, &[backend])).collect();
    world.flip(&records).await;

    let reports = join_all(backends.iter().enumerate().map(async |(number, backend)| {
        // Around the limit, and for each client another sequence.
        let idle = Duration::from_millis(2100 + 100 * number as u64);
        let config = LoadConfig::new(world.target, &format!("{}.test", backend.name))
            .send(1, Traffic::pooled_post("/echo", Expect::Echo, idle))
            .bounded(Duration::from_secs(15), 1_000_000);
        let load = Load::start(config).await.expect("load");
        load.bound_reached().await;
        load.stop().await
    }))
    .await;
    for report in &reports {
        assert_eq!(report.failures(), 0, "{report}");
        assert_eq!(report.connections_opened, 1, "the proxy closed a client's idle connection:\n{report}");
    }
    assert!(reports.iter().map(|report| report.ok).sum::<u64>() > 100, "too few to prove anything");
    assert_eq!(world.metric("deploy_apps_retries_total").await, 0.0);
}
