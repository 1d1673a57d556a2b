//! A lease from its grant to its end.

use std::sync::{Arc, Mutex};

use tokio::time::{Instant, sleep, timeout};

use super::super::testing::error;
use super::*;

/// A proxy whose lease answers the test ends by hand, and whose other answers `answers` gives.
fn grants(mut answers: impl FnMut(&Seen) -> Reply + Send + 'static) -> (ProxyInMemory, Arc<Mutex<Vec<LeaseEnd>>>) {
    let ends: Arc<Mutex<Vec<LeaseEnd>>> = Arc::default();
    let kept = Arc::clone(&ends);
    let proxy = ProxyInMemory::new(move |seen| {
        // After the first grant, `answers` may have something else to say about leases.
        let first = kept.lock().expect("no panic").is_empty();
        if seen.call == "POST /v1/lease" && first {
            let (reply, end) = granted();
            kept.lock().expect("no panic").push(end);
            return reply;
        }
        answers(seen)
    });
    (proxy, ends)
}

fn alive() -> Reply {
    Reply::Json(200, json!({"expires_ms": 15000}))
}

fn lost() -> Reply {
    error(410, "lease_lost", json!({"app": "sample/go-app"}))
}

fn held_by_ben() -> Reply {
    let holder = json!({"app": "sample/go-app", "owner": "ben", "host": "ci", "purpose": "deploy", "age_ms": 10});
    error(409, "lease_held", holder)
}

fn end_the_answer(ends: &Mutex<Vec<LeaseEnd>>) {
    ends.lock().expect("no panic")[0] = mpsc::channel(1).0;
}

#[tokio::test]
async fn a_lease_asks_for_all_its_apps_over_a_connection_of_its_own() {
    let (proxy, _ends) = grants(|_| Reply::Json(200, json!({"generation": 43})));
    let client = proxy.client();
    let lease = client.acquire(&lease_request()).await.expect("a lease");
    client.flip(&lease, &[change()], &[Generation(41)]).await.expect("flipped");
    let seen = proxy.seen();
    let asked = json!({"apps": ["sample/go-app"], "owner": "ann", "host": "laptop", "purpose": "deploy"});
    assert_eq!(seen[0].body, asked);
    assert_ne!(seen[0].connection, seen[1].connection);
}

#[tokio::test]
async fn dropping_a_lease_closes_its_connection_at_once() {
    let (proxy, ends) = grants(|_| alive());
    let lease = proxy.client().acquire(&lease_request()).await.expect("a lease");
    let end = ends.lock().expect("no panic")[0].clone();
    assert!(!end.is_closed());
    drop(lease);
    timeout(Duration::from_secs(1), end.closed()).await.expect("closed");
}

#[tokio::test(start_paused = true)]
async fn heartbeats_keep_a_lease_over_any_time() {
    let (proxy, _ends) = grants(|_| alive());
    let lease = proxy.client().acquire(&lease_request()).await.expect("a lease");
    sleep(Duration::from_secs(61)).await;
    assert!(!lease.is_lost());
    let beats = proxy.seen().into_iter().filter(|seen| seen.call == "POST /v1/lease/heartbeat");
    let tokens: Vec<_> = beats.map(|seen| seen.body["token"].clone()).collect();
    assert_eq!(tokens, vec![json!("t1"); 12]);
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_asks_for_no_pause_between_heartbeats_is_not_flooded() {
    let mut ends = Vec::new();
    let proxy = ProxyInMemory::new(move |seen| {
        if seen.call != "POST /v1/lease" {
            return alive();
        }
        let (end, rest) = tokio::sync::mpsc::channel(1);
        ends.push(end);
        Reply::Hold(json!({"token": "t1", "heartbeat_ms": 0, "expires_ms": 15000}), rest)
    });
    let lease = proxy.client().acquire(&lease_request()).await.expect("a lease");
    sleep(Duration::from_secs(10)).await;
    assert!(!lease.is_lost());
    let beats = proxy.seen().into_iter().filter(|seen| seen.call == "POST /v1/lease/heartbeat").count();
    assert!((100..=200).contains(&beats), "{beats} heartbeats in ten seconds");
}

#[tokio::test(start_paused = true)]
async fn a_lease_whose_connection_drops_is_taken_up_again_with_its_token() {
    let mut later = Vec::new();
    let (proxy, ends) = grants(move |seen| match seen.call.as_str() {
        "POST /v1/lease" => {
            let (reply, end) = granted();
            later.push(end);
            reply
        }
        _ => alive(),
    });
    let lease = proxy.client().acquire(&lease_request()).await.expect("a lease");
    end_the_answer(&ends);
    sleep(Duration::from_secs(1)).await;
    assert!(!lease.is_lost());
    let again = proxy.seen().pop().expect("a call");
    assert_eq!((again.call.as_str(), &again.body["token"]), ("POST /v1/lease", &json!("t1")));
    sleep(Duration::from_secs(30)).await;
    assert!(!lease.is_lost());
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_somebody_else_got_meanwhile_is_lost() {
    let (proxy, ends) = grants(|_| held_by_ben());
    let lease = proxy.client().acquire(&lease_request()).await.expect("a lease");
    end_the_answer(&ends);
    timeout(Duration::from_secs(1), lease.lost()).await.expect("lost");
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_the_proxy_disowns_and_gives_to_another_is_lost() {
    let (proxy, _ends) = grants(|seen| if seen.call == "POST /v1/lease" { held_by_ben() } else { lost() });
    let lease = proxy.client().acquire(&lease_request()).await.expect("a lease");
    timeout(Duration::from_secs(6), lease.lost()).await.expect("lost after the first heartbeat");
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_stays_away_loses_the_lease_when_its_term_is_over() {
    let (proxy, ends) = grants(|_| alive());
    let lease = proxy.client().acquire(&lease_request()).await.expect("a lease");
    let started = Instant::now();
    proxy.refuse_dials(true);
    end_the_answer(&ends);
    lease.lost().await;
    let took = started.elapsed();
    assert!(took > Duration::from_secs(13) && took < Duration::from_secs(17), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_comes_back_within_the_term_gets_the_lease_resumed() {
    let mut later = Vec::new();
    let (proxy, ends) = grants(move |seen| match seen.call.as_str() {
        "POST /v1/lease" => {
            let (reply, end) = granted();
            later.push(end);
            reply
        }
        _ => alive(),
    });
    let lease = proxy.client().acquire(&lease_request()).await.expect("a lease");
    proxy.refuse_dials(true);
    end_the_answer(&ends);
    sleep(Duration::from_secs(5)).await;
    proxy.refuse_dials(false);
    sleep(Duration::from_secs(60)).await;
    assert!(!lease.is_lost());
}
