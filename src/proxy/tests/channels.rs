//! Which channels calls take, and what happens when one breaks.

use std::sync::Arc;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::*;
use crate::model::InFlight;

const ONE: InFlight = InFlight { requests: 1, websockets: 0 };

fn empty_state() -> Reply {
    Reply::Json(200, json!({"generation": 1, "apps": {}, "in_flight": {}}))
}

#[tokio::test]
async fn calls_one_after_the_other_share_one_channel() {
    let proxy = ProxyInMemory::new(|_| empty_state());
    let client = proxy.client();
    for _ in 0..10 {
        client.state().await.expect("a state");
    }
    assert_eq!(proxy.dials(), 1);
    assert_eq!(proxy.calls().len(), 10);
}

#[tokio::test]
async fn a_long_poll_does_not_hold_up_a_flip() {
    let drained = Arc::new(Notify::new());
    let go = Arc::clone(&drained);
    let proxy = granting(move |seen| match seen.call.as_str() {
        "POST /v1/drain" => Reply::After(Arc::clone(&go), json!({"requests": 0, "websockets": 0})),
        _ => Reply::Json(200, json!({"generation": 43})),
    });
    let client = proxy.client();
    let lease = client.acquire(&lease_request()).await.expect("a lease");
    let peers = ["sample-go-app-r7-1".to_owned()];
    let polling = client.in_flight(&peers, Some(ONE), Duration::from_secs(2));
    let flipping = async {
        let flipped = client.flip(&lease, &[change()], &[Generation(41)]).await;
        drained.notify_one();
        flipped
    };
    let (polled, flipped) = tokio::join!(polling, flipping);
    assert_eq!(polled, Ok(InFlight::default()));
    assert_eq!(flipped, Ok(Generation(43)));
}

#[tokio::test(start_paused = true)]
async fn however_many_long_polls_there_are_a_flip_finds_a_channel() {
    let proxy = granting(|seen| match seen.call.as_str() {
        "POST /v1/drain" => Reply::Silence,
        _ => Reply::Json(200, json!({"generation": 43})),
    });
    let client = proxy.client();
    let lease = client.acquire(&lease_request()).await.expect("a lease");
    for _ in 0..100 {
        let client = client.clone();
        tokio::spawn(async move {
            let peers = ["sample-go-app-r7-1".to_owned()];
            client.in_flight(&peers, Some(ONE), Duration::from_secs(2)).await
        });
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    let started = Instant::now();
    client.flip(&lease, &[change()], &[Generation(41)]).await.expect("flipped");
    assert!(started.elapsed() < Duration::from_millis(50));
    assert!(proxy.dials() <= 33, "{} dials", proxy.dials());
}

#[tokio::test(start_paused = true)]
async fn many_short_calls_at_once_share_few_channels() {
    let proxy = ProxyInMemory::new(|_| empty_state()).with_slow_dials(Duration::from_millis(100));
    let client = proxy.client();
    let calls = (0..50).map(|_| client.state());
    let states = futures_util::future::join_all(calls).await;
    assert!(states.iter().all(Result::is_ok));
    assert!(proxy.dials() <= 3, "{} dials", proxy.dials());
}

#[tokio::test]
async fn a_read_whose_channel_breaks_is_asked_once_more() {
    let mut first = true;
    let proxy = ProxyInMemory::new(move |_| if std::mem::take(&mut first) { Reply::Close } else { empty_state() });
    proxy.client().state().await.expect("a state");
    assert_eq!((proxy.dials(), proxy.calls().len()), (2, 2));
}

#[tokio::test]
async fn a_read_is_not_asked_a_third_time() {
    let proxy = ProxyInMemory::new(|_| Reply::Close);
    let error = proxy.client().state().await.expect_err("no answer");
    assert!(matches!(error, ProxyError::Unreachable { .. }), "{error}");
    assert_eq!(proxy.calls().len(), 2);
}

#[tokio::test]
async fn a_flip_whose_answer_is_lost_is_not_repeated() {
    let proxy = granting(|_| Reply::Close);
    let error = flip(&proxy).await.expect_err("no answer");
    assert!(matches!(&error, ProxyError::Unreachable { reason, .. } if reason.contains("POST /v1/flip")), "{error}");
    assert_eq!(proxy.calls(), ["POST /v1/lease", "POST /v1/flip"]);
}

#[tokio::test]
async fn a_flip_takes_a_new_channel_when_the_idle_one_has_closed_meanwhile() {
    let proxy = granting(|seen| match seen.call.as_str() {
        "GET /v1/state" => Reply::Last(json!({"generation": 1, "apps": {}, "in_flight": {}})),
        _ => Reply::Json(200, json!({"generation": 43})),
    });
    let client = proxy.client();
    let lease = client.acquire(&lease_request()).await.expect("a lease");
    client.state().await.expect("a state");
    assert_eq!(client.flip(&lease, &[change()], &[Generation(41)]).await, Ok(Generation(43)));
    let connections: Vec<_> = proxy.seen().into_iter().map(|seen| seen.connection).collect();
    assert_eq!(connections, [1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_never_answers_is_unreachable_after_the_deadline() {
    let proxy = ProxyInMemory::new(|_| Reply::Silence);
    let error = proxy.client().state().await.expect_err("no answer");
    assert_eq!(error.to_string(), "the proxy `deploy-apps` does not answer: no answer to `GET /v1/state` within 5s");
}

#[tokio::test]
async fn a_proxy_that_cannot_be_dialled_says_why() {
    let proxy = ProxyInMemory::new(|_| Reply::Close);
    proxy.refuse_dials(true);
    let error = proxy.client().state().await.expect_err("no channel");
    let expected = "the proxy `deploy-apps` does not answer: container `deploy-apps-proxy` is not running";
    assert_eq!(error.to_string(), expected);
}
