//! A release on trial: who gets it, what is counted for it, and that it ends with its watcher.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use deploy_apps::model::{AppRecord, Canary, CanaryOrder, Generation, ReleaseNumber, Share, Sticky, Testers};
use deploy_apps::ports::{Operator, Proxy, ProxyError};
use deploy_apps::proxy::Lease;

use crate::backend::Backend;
use crate::client::{Answer, ask};
use crate::world::{World, change, eventually, key};

const OLD: ReleaseNumber = ReleaseNumber(1);
const NEW: ReleaseNumber = ReleaseNumber(2);

/// `old` serves, and `new` gets so many percent.
fn record(world: &World, old: &Backend, new: &Backend, percent: u32, sticky: Sticky) -> AppRecord {
    let mut record = world.serving("app", &[old, new]);
    record.peers[1].release = NEW;
    let canary = Canary { release: NEW, weight: Share::of_percent(percent), sticky, testers: None };
    record.canary = (percent > 0).then_some(canary);
    record
}

/// What is flipped under the lease after `generation`.
async fn flip(world: &World, lease: &Lease, record: &AppRecord, generation: Generation) -> Generation {
    world.control.flip(lease, &[change(record)], &[generation]).await.expect("an acknowledged flip")
}

async fn with_headers(world: &World, headers: &str) -> Answer {
    let request = format!("GET / HTTP/1.1\r\nHost: app.test\r\n{headers}Connection: close\r\n\r\n");
    ask(world.target, &request).await
}

/// The cookie that an answer sets.
fn cookie(answer: &Answer) -> Option<String> {
    let line =
        answer.head.lines().find(|line| line.to_ascii_lowercase().starts_with("set-cookie: deploy_apps_canary="))?;
    line.split_once(": ")?.1.split(';').next().map(str::to_owned)
}

#[tokio::test]
async fn requests_are_shared_by_weight_and_counted_by_release() {
    let world = World::start().await;
    let (old, new) = (world.backend("old").await, world.backend("new").await);
    let lease = world.lease(&["app"]).await.expect("a free lease");
    flip(&world, &lease, &record(&world, &old, &new, 25, Sticky::None), Generation(0)).await;
    let mut canary = 0;
    for _ in 0..800 {
        canary += u32::from(world.get("app.test", "/").await.backend() == "new");
    }
    // Five standard deviations around 200.
    assert!((139..261).contains(&canary), "{canary} of 800");
    let mut counted = (0, 0);
    eventually("all are counted", async || {
        let report = world.control.canary(&key("app"), &[OLD, NEW]).await.expect("figures");
        let sum = |release| report.releases[&release].classes.iter().sum::<u64>();
        counted = (sum(OLD), sum(NEW));
        counted.0 + counted.1 == 800
    })
    .await;
    assert_eq!(counted.1, u64::from(canary));
    let served = world.control.state().await.expect("the state").apps[&key("app")].served.clone();
    assert_eq!(served, [OLD], "a release on trial is nothing to go back to");
}

#[tokio::test]
async fn a_client_with_the_cookie_stays_where_it_is_and_only_moves_to_the_new_release() {
    let world = World::start().await;
    let (old, new) = (world.backend("old").await, world.backend("new").await);
    let lease = world.lease(&["app"]).await.expect("a free lease");
    let mut generation = flip(&world, &lease, &record(&world, &old, &new, 10, Sticky::Cookie), Generation(0)).await;
    let mut cookies = Vec::new();
    for _ in 0..100 {
        let answer = with_headers(&world, "").await;
        cookies.push(cookie(&answer).expect("a cookie"));
    }
    assert_eq!(cookies.iter().collect::<BTreeSet<_>>().len(), 100, "each its own");
    let mut on_new: BTreeSet<String> = BTreeSet::new();
    for percent in [10, 40, 80] {
        if percent > 10 {
            generation = flip(&world, &lease, &record(&world, &old, &new, percent, Sticky::Cookie), generation).await;
        }
        let mut now = BTreeSet::new();
        for cookie in &cookies {
            for _ in 0..2 {
                let answer = with_headers(&world, &format!("Cookie: a=b; {cookie}\r\n")).await;
                assert_eq!(self::cookie(&answer), None, "it has one");
                if answer.backend() == "new" {
                    now.insert(cookie.clone());
                } else {
                    assert!(!now.contains(cookie), "one request here, the next there");
                }
            }
        }
        assert!(on_new.is_subset(&now), "somebody was taken back at {percent} %");
        on_new = now;
    }
    assert!((60..=97).contains(&on_new.len()), "{} of 100 at 80 %", on_new.len());
}

#[tokio::test]
async fn a_client_may_be_known_by_its_address_and_a_tester_by_what_it_sends() {
    let world = World::start().await;
    let (old, new) = (world.backend("old").await, world.backend("new").await);
    let lease = world.lease(&["app"]).await.expect("a free lease");
    let mut split = record(&world, &old, &new, 50, Sticky::Client);
    let testers = Testers { header: Some("X-Canary".to_owned()), cookie: None, value: "yes".to_owned() };
    split.canary.as_mut().expect("a canary").testers = Some(testers);
    let generation = flip(&world, &lease, &split, Generation(0)).await;
    let first = world.get("app.test", "/").await;
    assert_eq!(cookie(&first), None);
    for _ in 0..30 {
        assert_eq!(world.get("app.test", "/").await.backend(), first.backend(), "one address, one release");
        assert_eq!(with_headers(&world, "X-Canary: yes\r\n").await.backend(), "new");
    }
    let mut by_cookie = record(&world, &old, &new, 1, Sticky::None);
    let testers = Testers { header: None, cookie: Some("tester".to_owned()), value: "yes".to_owned() };
    by_cookie.canary.as_mut().expect("a canary").testers = Some(testers);
    flip(&world, &lease, &by_cookie, generation).await;
    for _ in 0..30 {
        assert_eq!(with_headers(&world, "Cookie: tester=yes\r\n").await.backend(), "new");
    }
}

#[tokio::test]
async fn a_dead_canary_costs_no_request_and_a_failed_one_is_not_sent_to_the_other_release() {
    let world = World::start().await;
    let (old, new) = (world.backend("old").await, world.backend("new").await);
    let lease = world.lease(&["app"]).await.expect("a free lease");
    let mut split = record(&world, &old, &new, 99, Sticky::None);
    let testers = Testers { header: Some("X-Canary".to_owned()), cookie: None, value: "yes".to_owned() };
    split.canary.as_mut().expect("a canary").testers = Some(testers);
    flip(&world, &lease, &split, Generation(0)).await;
    let request = "GET /die HTTP/1.1\r\nHost: app.test\r\nX-Canary: yes\r\nConnection: close\r\n\r\n";
    let before = old.arrivals().len();
    assert_eq!(ask(world.target, request).await.status, 502);
    assert_eq!(old.arrivals().len(), before, "a request of the new release was tried at the old one");
    new.stop().await;
    for _ in 0..40 {
        let answer = with_headers(&world, "X-Canary: yes\r\n").await;
        assert_eq!((answer.status, answer.backend().as_str()), (200, "old"));
    }
    eventually("the tries are counted", async || {
        let report = world.control.canary(&key("app"), &[OLD, NEW]).await.expect("figures");
        report.releases[&NEW].unreached >= 1
    })
    .await;
}

/// How long until all requests go to what served, from now.
async fn until_given_back(world: &World) -> Duration {
    let begun = Instant::now();
    eventually("what served has everything again", async || {
        let state = world.control.state().await;
        state.is_ok_and(|state| state.apps[&key("app")].record.as_ref().is_some_and(|record| record.canary.is_none()))
    })
    .await;
    begun.elapsed()
}

#[tokio::test]
async fn a_canary_ends_with_its_lease_and_also_when_the_proxy_starts_again() {
    let world = World::start().await;
    let (old, new) = (world.backend("old").await, world.backend("new").await);
    let before = record(&world, &old, &new, 0, Sticky::None);
    let before = AppRecord { peers: before.peers[..1].to_vec(), ..before };
    let split = record(&world, &old, &new, 50, Sticky::None);
    for is_killed in [false, true] {
        let lease = world.lease(&["app"]).await.expect("a free lease");
        let known = world.control.state().await.expect("the state").apps.get(&key("app")).map(|app| app.generation);
        flip(&world, &lease, &split, known.unwrap_or_default()).await;
        tokio::time::sleep(Duration::from_secs(7)).await;
        let held = world.control.state().await.expect("the state").apps[&key("app")].record.clone();
        assert_eq!(held, Some(split.clone()), "while it is watched it stays");
        if is_killed {
            world.kill().await;
            drop(lease);
            world.boot().await;
        } else {
            drop(lease);
        }
        let took = until_given_back(&world).await;
        assert!(took < Duration::from_secs(15), "{took:?}");
        let now = world.control.state().await.expect("the state").apps[&key("app")].record.clone();
        assert_eq!(now, Some(before.clone()));
        for _ in 0..20 {
            assert_eq!(world.get("app.test", "/").await.backend(), "old");
        }
    }
    world.kill().await;
    world.boot().await;
    let now = world.control.state().await.expect("the state").apps[&key("app")].record.clone();
    assert_eq!(now, Some(before), "it was written down");
}

#[tokio::test]
async fn whoever_gets_the_lease_next_finds_no_canary_and_orders_need_a_watcher() {
    let world = World::start().await;
    let (old, new) = (world.backend("old").await, world.backend("new").await);
    let by = Operator {
        owner: "bob".to_owned(),
        host: "ci".to_owned(),
        project: "t".parse().expect("a name"),
        origin: std::sync::Arc::default(),
    };
    let order = async |order| world.control.order_canary(&key("app"), order, &by).await;
    let refused =
        |result: Result<(), ProxyError>| matches!(result, Err(ProxyError::Refused { code, .. }) if code == "no_canary");
    let split = record(&world, &old, &new, 50, Sticky::None);
    let lease = world.lease(&["app"]).await.expect("a free lease");
    assert!(refused(order(CanaryOrder::Abort).await), "there is no such app");
    flip(&world, &lease, &split, Generation(0)).await;
    order(CanaryOrder::Promote).await.expect("a watcher");
    let report = world.control.canary(&key("app"), &[OLD, NEW]).await.expect("a report");
    assert_eq!(report.order, Some((CanaryOrder::Promote, "`bob` on `ci`".to_owned())));

    drop(lease);
    eventually("the lease is free", async || world.lease(&["app"]).await.is_ok()).await;
    let record = world.control.state().await.expect("the state").apps[&key("app")].record.clone().expect("a record");
    assert_eq!((record.canary.is_none(), record.peers.len()), (true, 1));
    assert!(refused(order(CanaryOrder::Abort).await), "nobody watches it");

    let mut alone = split.clone();
    alone.peers.remove(0);
    let lease = world.lease(&["app"]).await.expect("a free lease");
    let known = world.control.state().await.expect("the state").apps[&key("app")].generation;
    let refusal = world.control.flip(&lease, &[change(&alone)], &[known]).await.expect_err("nobody serves beside it");
    assert!(matches!(&refusal, ProxyError::Refused { code, .. } if code == "invalid_record"), "{refusal:?}");
}
