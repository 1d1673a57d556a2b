//! Maintenance and pauses of an app.

use std::time::{Duration, Instant};

use deploy_apps::model::{Maintenance, Page, Pause};
use serde_json::Value;
use tokio::net::TcpStream;

use crate::client::{ask, read_until};
use crate::world::{Setup, World, eventually};

fn maintenance() -> Maintenance {
    Maintenance { since_ms: 0, by: "ann on laptop".to_owned(), retry_after_s: 90, allow: Vec::new(), page: None }
}

async fn now_ms(world: &World) -> u64 {
    let (_, version) = world.call("GET", "/version", "").await;
    version["now"].as_u64().expect("a time")
}

async fn pause(world: &World, for_ms: u64) -> Option<Pause> {
    Some(Pause { until_ms: now_ms(world).await + for_ms, for_ms, by: "ann on laptop".to_owned() })
}

async fn accepting(world: &World, kind: &str) -> crate::client::Answer {
    ask(world.target, &format!("GET / HTTP/1.1\r\nHost: web.test\r\nAccept: {kind}\r\nConnection: close\r\n\r\n")).await
}

#[tokio::test]
async fn maintenance_answers_for_the_app_and_lets_what_is_open_finish() {
    let world = World::start().await;
    let backend = world.backend("r1").await;
    let plain = world.serving("web", &[&backend]);
    world.flip(&[plain.clone(), world.serving("other", &[&backend])]).await;
    let mut open = world.open("GET /slow?1500 HTTP/1.1\r\nHost: web.test\r\n\r\n").await;
    eventually("it is open", async || world.in_flight(&["r1"]).await.requests == 1).await;
    let mut record = plain.clone();
    record.maintenance = Some(maintenance());
    world.flip(&[record.clone()]).await;
    read_until(&mut open, "slow").await;

    for _ in 0..6 {
        let answer = accepting(&world, "text/html").await;
        assert_eq!(answer.status, 503);
        let head = answer.head.to_ascii_lowercase();
        assert!(head.contains("retry-after: 90") && head.contains("content-type: text/html"), "{head}");
        assert!(answer.body.contains("<h1>Under maintenance</h1>"), "{answer:?}");
    }
    let json: Value = serde_json::from_str(&accepting(&world, "application/json").await.body).expect("JSON");
    assert_eq!(json["status"], 503);
    assert_eq!(world.post("web.test", "/echo", &"b".repeat(100_000)).await.status, 503);
    assert_eq!(world.get("other.test", "/").await.status, 200, "no neighbour has to do with it");
    world.drained(&["r1".to_owned()]).await;

    world.kill().await;
    world.boot().await;
    assert_eq!(accepting(&world, "*/*").await.status, 503, "it is on the disk");
    let page = Page::of("sorry.html", "<p>Zur\u{fc}ck um \"12\"\n".to_owned());
    record.maintenance = Some(Maintenance { page: page.clone(), ..maintenance() });
    world.flip(&[record]).await;
    assert_eq!(Some(accepting(&world, "application/json").await.body), page.map(|page| page.body));
    world.flip(&[plain]).await;
    assert_eq!(world.get("web.test", "/").await.status, 200);
}

#[tokio::test]
async fn maintenance_lets_chosen_clients_through() {
    let world = World::with(Setup { trusted_proxies: "0.0.0.0/0", ..Setup::default() }).await;
    let backend = world.backend("r1").await;
    let mut record = world.serving("web", &[&backend]);
    let allow = vec!["198.51.100.0/24".to_owned(), "2001:db8::/32".to_owned()];
    record.maintenance = Some(Maintenance { allow, ..maintenance() });
    world.flip(&[record]).await;
    for (client, status) in
        [("198.51.100.7", 200), ("198.51.101.7", 503), ("2001:db8::7", 200), ("2001:db9::7", 503), ("unix:", 503)]
    {
        let head =
            format!("GET / HTTP/1.1\r\nHost: web.test\r\nX-Forwarded-For: {client}\r\nConnection: close\r\n\r\n");
        assert_eq!(ask(world.target, &head).await.status, status, "{client}");
    }
}

#[tokio::test]
async fn requests_of_a_paused_app_wait_until_it_is_resumed() {
    let world = World::start().await;
    let backend = world.backend("r1").await;
    let mut plain = world.serving("web", &[&backend]);
    plain.routes[0].path = "/app".to_owned();
    plain.routes[0].strip = true;
    let mut record = plain.clone();
    record.pause = pause(&world, 60_000).await;
    world.flip(&[record, world.serving("other", &[&backend])]).await;
    let mut waiting: Vec<TcpStream> = Vec::new();
    for number in 0..40 {
        let request = format!("POST /app/echo HTTP/1.1\r\nHost: web.test\r\nContent-Length: 3\r\n\r\n{number:03}");
        waiting.push(world.open(&request).await);
    }
    let mut socket =
        world.open("GET /app/ws HTTP/1.1\r\nHost: web.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n").await;
    assert_eq!(world.get("other.test", "/").await.status, 200, "another app is not paused");
    assert_eq!(backend.arrivals(), ["GET /"], "nobody gets through");
    assert!(world.in_flight(&["r1"]).await.is_zero(), "who waits is counted at no replica");
    world.flip(&[plain]).await;
    let resumed = Instant::now();
    for (number, client) in waiting.iter_mut().enumerate() {
        let answer = read_until(client, &format!("{number:03}")).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    assert!(read_until(&mut socket, "\r\n\r\n").await.starts_with("HTTP/1.1 101"));
    assert!(resumed.elapsed() < Duration::from_secs(10), "{:?}", resumed.elapsed());
    eventually("nothing is open but the socket", async || {
        let open = world.in_flight(&["r1"]).await;
        (open.requests, open.websockets) == (0, 1)
    })
    .await;
}

#[tokio::test]
async fn a_pause_is_over_by_itself_and_bounded_and_a_client_that_goes_gives_its_place_back() {
    // An eighth of 512 connections may wait in the only worker.
    const PLACES: usize = 64;
    let setup = Setup { workers: 1, connections: Some(512), connections_per_client: Some(500), ..Setup::default() };
    let world = World::with(setup).await;
    let backend = world.backend("r1").await;
    let mut record = world.serving("web", &[&backend]);
    record.pause = pause(&world, 600_000).await;
    world.flip(&[record.clone()]).await;
    let request = "GET / HTTP/1.1\r\nHost: web.test\r\n\r\n";
    let mut waiting = Vec::new();
    for _ in 0..PLACES {
        waiting.push(world.open(request).await);
    }
    let refused = async || {
        let mut client = world.open(request).await;
        let reading = tokio::time::timeout(Duration::from_millis(300), read_until(&mut client, "Retry-After"));
        reading.await.is_ok_and(|answer| answer.starts_with("HTTP/1.1 503"))
    };
    eventually("all places are taken", refused).await;
    waiting.drain(..PLACES / 2);
    eventually("half of them are free again", async || !refused().await).await;
    for _ in 0..PLACES / 2 - 8 {
        waiting.push(world.open(request).await);
    }
    assert!(backend.arrivals().is_empty(), "all of them wait");

    record.pause = pause(&world, 1500).await;
    world.flip(&[record]).await;
    for client in &mut waiting {
        assert!(read_until(client, "\r\n\r\n").await.starts_with("HTTP/1.1 200"));
    }
    assert_eq!(world.get("web.test", "/").await.status, 200);
    assert!(!refused().await, "no place is taken any more");
}

#[tokio::test]
async fn a_request_that_waited_meets_the_rules_of_then_and_takes_one_token() {
    let world = World::start().await;
    let backend = world.backend("r1").await;
    let mut record = world.serving("web", &[&backend]);
    record.settings.rate_limit = Some(deploy_apps::model::RateLimit { requests: 1, per_ms: 3_600_000, burst: 1 });
    record.pause = pause(&world, 60_000).await;
    world.flip(&[record.clone()]).await;
    // Whichever of them comes first has the only token and waits.
    let mut one = world.open("GET / HTTP/1.1\r\nHost: web.test\r\n\r\n").await;
    let mut other = world.open("GET / HTTP/1.1\r\nHost: web.test\r\n\r\n").await;
    let (refused, is_one) = tokio::select! {
        head = read_until(&mut one, "\r\n\r\n") => (head, true),
        head = read_until(&mut other, "\r\n\r\n") => (head, false),
    };
    assert!(refused.starts_with("HTTP/1.1 429"), "{refused}");
    let mut first = if is_one { other } else { one };
    record.maintenance = Some(maintenance());
    let second = record.clone();
    record.pause = None;
    record.maintenance = None;
    world.flip(&[record.clone()]).await;
    assert!(read_until(&mut first, "\r\n\r\n").await.starts_with("HTTP/1.1 200"));
    record.settings.rate_limit = None;
    record.pause = second.pause;
    world.flip(&[record.clone()]).await;
    let mut late = world.open("GET / HTTP/1.1\r\nHost: web.test\r\n\r\n").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    record.maintenance = second.maintenance;
    record.pause = None;
    world.flip(&[record]).await;
    assert!(read_until(&mut late, "\r\n\r\n").await.starts_with("HTTP/1.1 503"));
}
