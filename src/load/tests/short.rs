//! Requests that are answered immediately, or fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::server::Server;
use super::*;

#[tokio::test]
async fn a_thousand_requests_use_one_connection_and_none_fails() {
    let server = Server::start(|peer, _| peer.echo()).await;
    let report = run(config(server.address, 1000, Traffic::post("/", Expect::Echo))).await;
    assert_eq!((report.ok, report.failures()), (1000, 0), "{report}");
    assert_eq!((server.connections(), report.connections_opened), (1, 1));
    let over_time: u64 = report.timeline.slots().iter().filter_map(|slot| slot.releases.get("8")).sum();
    assert_eq!((report.releases.into_iter().collect::<Vec<_>>(), over_time), (vec![("8".to_owned(), 1000)], 1000));
}

#[tokio::test]
async fn an_announced_close_loses_no_request() {
    let server = Server::start(|mut peer, _| async move {
        for headers in ["", "", "Connection: close\r\n"] {
            let Some(body) = peer.request().await else { return };
            peer.answer("200 OK", headers, &body).await;
        }
        // Left open: a client that ignored the header would wait here for its next answer.
        peer.outwait().await;
    })
    .await;
    assert_eq!(only_cause(server.address, 30, Traffic::post("/", Expect::Echo)).await, (0, None));
    assert_eq!(server.connections(), 10);
}

#[tokio::test]
async fn no_listener_is_refused() {
    let address = Server::start(|peer, _| peer.echo()).await.address;
    assert_eq!(only_cause(address, 3, Traffic::get("/")).await, (3, Some(Cause::Refused)));
}

#[tokio::test]
async fn a_reset_with_a_request_in_flight_is_a_reset() {
    let server = Server::start(|mut peer, _| async move {
        peer.request().await;
        peer.reset();
    })
    .await;
    assert_eq!(only_cause(server.address, 5, Traffic::get("/")).await, (5, Some(Cause::Reset)));
    assert_eq!(server.connections(), 5, "each request was sent once");
}

#[tokio::test]
async fn an_end_before_the_answer_is_an_eof_and_nothing_is_sent_twice() {
    let server = Server::start(|mut peer, _| async move {
        // The connection ends with the second request in flight, as when a proxy reloads.
        let body = peer.request().await.expect("a first request");
        peer.answer("200 OK", "", &body).await;
        peer.request().await;
    })
    .await;
    assert_eq!(only_cause(server.address, 10, Traffic::post("/", Expect::Echo)).await, (5, Some(Cause::Eof)));
    assert_eq!(server.connections(), 5);
}

#[tokio::test]
async fn an_end_within_the_answer_is_an_eof() {
    for part in ["HTTP/1.1 200", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart"] {
        let server = Server::start(move |mut peer, _| async move {
            peer.request().await;
            peer.send(part).await;
        })
        .await;
        assert_eq!(only_cause(server.address, 3, Traffic::get("/")).await, (3, Some(Cause::Eof)), "{part}");
    }
    let chunked = Server::start(|mut peer, _| async move {
        peer.request().await;
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n").await;
    })
    .await;
    assert_eq!(only_cause(chunked.address, 3, Traffic::get("/")).await, (3, Some(Cause::Eof)));
}

#[tokio::test]
async fn every_status_but_2xx_is_a_failure_of_its_own() {
    for (status, cause) in [("503 Service Unavailable", 503), ("404 Not Found", 404), ("302 Found", 302)] {
        let server = Server::start(move |mut peer, _| async move {
            while peer.request().await.is_some() {
                peer.answer(status, "", b"no").await;
            }
        })
        .await;
        let result = only_cause(server.address, 3, Traffic::get("/")).await;
        assert_eq!(result, (3, Some(Cause::Status(cause))));
        assert_eq!(server.connections(), 1, "a complete answer keeps its connection");
    }
}

#[tokio::test]
async fn silence_is_a_timeout() {
    let server = Server::start(|mut peer, _| async move {
        peer.request().await;
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart").await;
        peer.outwait().await;
    })
    .await;
    assert_eq!(only_cause(server.address, 2, Traffic::get("/")).await, (2, Some(Cause::Timeout)));
    assert_eq!(only_cause(server.address, 2, Traffic::sleeper("/sleep")).await, (2, Some(Cause::Timeout)));
}

#[tokio::test]
async fn an_answer_to_another_request_is_a_bad_body() {
    let server = Server::start(|mut peer, _| async move {
        let Some(first) = peer.request().await else { return };
        peer.answer("200 OK", "", &first).await;
        while peer.request().await.is_some() {
            peer.answer("200 OK", "", &first).await;
        }
    })
    .await;
    assert_eq!(only_cause(server.address, 4, Traffic::post("/", Expect::Echo)).await, (3, Some(Cause::BadBody)));
    assert_eq!(only_cause(server.address, 4, Traffic::post("/", Expect::ByteCount)).await, (4, Some(Cause::BadBody)));
}

#[tokio::test]
async fn more_bytes_than_the_answer_has_are_a_bad_answer() {
    let server = Server::start(|mut peer, _| async move {
        peer.request().await;
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 502").await;
        peer.outwait().await;
    })
    .await;
    assert_eq!(only_cause(server.address, 3, Traffic::get("/")).await, (3, Some(Cause::BadAnswer)));
}

#[tokio::test]
async fn an_idle_connection_that_closes_in_time_loses_no_request() {
    let server = Server::start(|mut peer, _| async move {
        let body = peer.request().await.expect("one request");
        peer.answer("200 OK", "", &body).await;
    })
    .await;
    let traffic = Traffic::pooled_post("/", Expect::Echo, Duration::from_millis(60));
    let report = run(config(server.address, 5, traffic)).await;
    assert_eq!((report.ok, report.failures()), (5, 0), "{report}");
    assert_eq!((server.connections(), report.connections_closed_while_idle), (5, 4));
}

#[tokio::test]
async fn a_slow_upload_arrives_whole() {
    let server = Server::start(|mut peer, _| async move {
        while let Some(body) = peer.request().await {
            peer.answer("200 OK", "", format!("{{\"bytes\":{}}}", body.len()).as_bytes()).await;
        }
    })
    .await;
    let traffic = Traffic::upload("/upload", 10_001, Duration::from_millis(40));
    assert_eq!(only_cause(server.address, 2, traffic).await, (0, None));
}

#[tokio::test]
async fn an_upload_cut_or_refused_half_way_fails_by_its_cause() {
    let traffic = || Traffic::upload("/upload", 100_000, Duration::from_millis(100));
    let refusing = Server::start(|mut peer, _| async move {
        peer.head().await;
        peer.answer("503 Service Unavailable", "", b"").await;
        peer.outwait().await;
    })
    .await;
    assert_eq!(only_cause(refusing.address, 1, traffic()).await, (1, Some(Cause::Status(503))));
    let cutting = Server::start(|mut peer, _| async move {
        peer.head().await;
        peer.reset();
    })
    .await;
    assert_eq!(only_cause(cutting.address, 1, traffic()).await, (1, Some(Cause::Reset)));
}

#[tokio::test]
async fn latencies_are_split_by_phase_and_an_outage_shows_as_the_longest_gap() {
    let outage = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&outage);
    let server = Server::start(move |mut peer, _| {
        let outage = Arc::clone(&seen);
        async move {
            while peer.request().await.is_some() {
                let (status, body) =
                    if outage.load(Ordering::Relaxed) { ("502 Bad Gateway", b"no") } else { ("200 OK", b"ok") };
                peer.answer(status, "", body).await;
            }
        }
    })
    .await;
    let load = Load::start(config(server.address, u64::MAX, Traffic::get("/"))).await.expect("load");
    reached(&load, |now| now.requests >= 100).await;
    load.set_phase(Phase::Deploying);
    outage.store(true, Ordering::Relaxed);
    reached(&load, |now| now.failures >= 5).await;
    outage.store(false, Ordering::Relaxed);
    let answered = load.progress().requests;
    reached(&load, |now| now.requests >= answered + 100).await;
    let report = load.stop().await;
    let (steady, deploying) = (report.latency.steady.expect("steady"), report.latency.deploying.expect("deploying"));
    assert!(steady.requests >= 90 && deploying.requests >= 90, "{report}");
    assert_eq!(steady.requests + deploying.requests, report.ok);
    assert!(report.first_failures.iter().all(|failure| failure.phase == Phase::Deploying));
    // Four pauses of the client lie between five failures.
    assert!((80..20_000).contains(&report.longest_gap.ms), "{report}");
    assert!(steady.p50_us <= steady.p99_us && steady.p99_us <= steady.max_us);
}

#[tokio::test]
async fn stop_lets_a_sleeper_finish_and_begins_no_other() {
    let server = Server::start(|mut peer, _| async move {
        while peer.request().await.is_some() {
            tokio::time::sleep(Duration::from_millis(150)).await;
            peer.answer("200 OK", "", b"slept").await;
        }
    })
    .await;
    let load = Load::start(config(server.address, 100, Traffic::sleeper("/sleep"))).await.expect("load");
    reached(&load, |now| now.requests > 0).await;
    let report = load.stop().await;
    assert_eq!((report.ok, report.failures()), (1, 0), "{report}");
    assert!(report.kind(Kind::Sleeper).expect("sleepers").latency.is_none());
    assert!(report.duration_ms < 140, "the rate counts the time in which requests began");
}

#[tokio::test]
async fn load_without_bounds_clients_or_a_sendable_path_is_refused() {
    let target = "127.0.0.1:1".parse().expect("an address");
    let refused = async |config: LoadConfig| Load::start(config).await.expect_err("refused").to_string();
    let get = || config(target, 1, Traffic::get("/"));
    assert!(refused(get().bounded(Duration::ZERO, 1)).await.contains("no bound"));
    assert!(refused(LoadConfig { groups: Vec::new(), ..get() }).await.contains("no clients"));
    assert!(refused(config(target, 1, Traffic::get("/a b"))).await.contains("`/a b`"));
    assert!(refused(config(target, 1, Traffic::get("/\r\nX: y"))).await.contains("request line"));
    assert!(refused(LoadConfig { host: "a\r\nb".to_owned(), ..get() }).await.contains("header"));
}

#[tokio::test]
async fn table_and_json_agree() {
    let server = Server::start(|mut peer, number| async move {
        peer.request().await;
        let status = if number == 0 { "502 Bad Gateway" } else { "200 OK" };
        peer.answer(status, "Connection: close\r\n", b"x").await;
    })
    .await;
    let report = run(config(server.address, 4, Traffic::get("/"))).await;
    let json = serde_json::to_value(&report).expect("a report is JSON");
    assert_eq!((&json["v"], &json["ok"], &json["failed"]["status 502"]), (&1.into(), &3.into(), &1.into()));
    assert_eq!(json["first_failures"][0]["cause"], "status 502");
    assert_eq!(json["kinds"][0]["latency"]["steady"]["requests"], 3);
    let table = report.table();
    assert!(table.contains("get                  3        1                    status 502: 1"), "{table}");
    assert!(table.contains("first 1 of 1 failures"), "{table}");
}
