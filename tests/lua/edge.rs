//! What an app's record asks about its clients: who may come, how large a body may be, how long an answer may take, and which
//! headers it has.

use deploy_apps::model::{AppRecord, ErrorPage, HeaderField, Page, RateLimit};
use serde_json::json;
use tokio::io::AsyncWriteExt;

use crate::client::{ask, read_until};
use crate::world::{Setup, World};

fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.lines()
        .find_map(|line| line.split_once(": ").filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|it| it.1))
}

async fn from(world: &World, client: &str, path: &str) -> u16 {
    let head =
        format!("GET {path} HTTP/1.1\r\nHost: web.test\r\nX-Forwarded-For: {client}\r\nConnection: close\r\n\r\n");
    ask(world.target, &head).await.status
}

#[tokio::test]
async fn clients_are_let_in_by_their_address_behind_trusted_proxies() {
    let world = World::with(Setup { trusted_proxies: "0.0.0.0/0", ..Setup::default() }).await;
    let backend = world.backend("r1").await;
    let mut record = world.serving("web", &[&backend]);
    let neighbour = AppRecord { settings: Default::default(), ..world.serving("other", &[&backend]) };
    record.settings.access.allow = vec!["198.51.100.0/23".to_owned(), "2001:db8:7::/48".to_owned()];
    record.settings.access.deny = vec!["198.51.100.7/32".to_owned(), "2001:db8:7:9::/64".to_owned()];
    world.flip(&[record.clone(), neighbour]).await;
    for (client, status) in [
        ("198.51.100.1", 200),
        ("198.51.101.255", 200),
        ("198.51.102.0", 403),
        ("198.51.100.7", 403),
        ("2001:db8:7:1::1", 200),
        ("2001:db8:7:9::1", 403),
        ("2001:db8:8::1", 403),
    ] {
        for _ in 0..2 {
            assert_eq!(from(&world, client, "/").await, status, "{client}");
        }
    }
    assert_eq!(world.get("other.test", "/").await.status, 200, "another app has no list");
    assert_eq!(world.in_flight(&["r1"]).await.requests, 0, "who is kept out is counted at no replica");
    record.settings.access.allow.clear();
    world.flip(&[record]).await;
    assert_eq!(from(&world, "203.0.113.9", "/").await, 200, "all but the denied");
    assert_eq!(from(&world, "198.51.100.7", "/").await, 403);
}

#[tokio::test]
async fn each_client_has_a_bucket_of_its_own_that_flips_leave_as_it_is() {
    let world = World::with(Setup { trusted_proxies: "0.0.0.0/0", ..Setup::default() }).await;
    let backend = world.backend("r1").await;
    let mut record = world.serving("web", &[&backend]);
    record.settings.rate_limit = Some(RateLimit { requests: 1, per_ms: 3_600_000, burst: 3 });
    world.flip(&[record.clone(), world.serving("other", &[&backend])]).await;
    let count = async |client: &str| {
        let mut passed = 0;
        for _ in 0..12 {
            passed += usize::from(from(&world, client, "/").await == 200);
        }
        passed
    };
    // One more where two workers looked at the bucket at once.
    let passed = count("198.51.100.1").await;
    assert!((3..=4).contains(&passed), "{passed}");
    world.flip(&[record.clone()]).await;
    assert_eq!(count("198.51.100.1").await, 0, "a flip gives no tokens");
    assert!(count("198.51.100.2").await >= 3, "another client");
    assert!(count("2001:db8::1").await >= 3);
    assert_eq!(count("2001:db8::ffff:2").await, 0, "the same /64");
    let head = "GET / HTTP/1.1\r\nHost: web.test\r\nX-Forwarded-For: 198.51.100.1\r\nConnection: close\r\n\r\n";
    let refused = ask(world.target, head).await;
    assert_eq!(refused.status, 429);
    let wait: u32 = header(&refused.head, "retry-after").expect("a header").parse().expect("seconds");
    assert!((3_000..=7_200).contains(&wait), "{wait}");
    for _ in 0..10 {
        assert_eq!(world.get("other.test", "/").await.status, 200, "another app has no limit");
    }
    assert_eq!(world.in_flight(&["r1"]).await.requests, 0);
    record.settings.rate_limit = Some(RateLimit { requests: 20, per_ms: 1000, burst: 1 });
    record.app = "quick".parse().expect("a name");
    record.routes[0].host = Some("quick.test".to_owned());
    world.flip(&[record]).await;
    let answered = async || world.get("quick.test", "/").await.status == 200;
    for _ in 0..3 {
        crate::world::eventually("a token comes", answered).await;
    }
}

#[tokio::test]
async fn answers_get_and_lose_headers_with_and_without_a_stripped_path() {
    let world = World::start().await;
    let backend = world.backend("r1").await;
    let mut record = world.serving("web", &[&backend]);
    record.routes[0].path = "/app".to_owned();
    record.routes[0].strip = true;
    record.routes.push(deploy_apps::model::Route {
        host: Some("whole.test".to_owned()),
        path: "/".to_owned(),
        strip: false,
        tls: None,
    });
    let field = |name: &str, value: &str| HeaderField { name: name.to_owned(), value: value.to_owned() };
    record.settings.response_headers.set = vec![field("X-Frame-Options", "DENY"), field("Content-Type", "text/x-own")];
    record.settings.response_headers.remove = vec!["server".to_owned()];
    world.flip(&[record.clone()]).await;
    for (host, path, target) in [("web.test", "/app/a%20b?c", "/a%20b?c"), ("whole.test", "/x/%7Ey?z", "/x/%7Ey?z")] {
        let answer = world.get(host, path).await;
        assert_eq!(answer.json()["target"], target, "{host}");
        assert_eq!(header(&answer.head, "x-frame-options"), Some("DENY"), "{answer:?}");
        assert_eq!(header(&answer.head, "content-type"), Some("text/x-own"), "{answer:?}");
        assert_eq!(header(&answer.head, "server"), None, "{answer:?}");
    }
    let mut socket =
        world.open("GET /ws HTTP/1.1\r\nHost: whole.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n").await;
    let head = read_until(&mut socket, "\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 101") && header(&head, "x-frame-options") == Some("DENY"), "{head}");
    let open = world.in_flight(&["r1"]).await;
    assert_eq!((open.requests, open.websockets), (0, 1));
    socket.write_all(b"ping").await.expect("an open WebSocket");
    read_until(&mut socket, "ping").await;
    record.settings = Default::default();
    world.flip(&[record]).await;
    let plain = world.get("whole.test", "/").await;
    assert_eq!((header(&plain.head, "x-frame-options"), header(&plain.head, "server")), (None, Some("backend")));
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused_in_either_framing() {
    let world = World::start().await;
    let backend = world.backend("r1").await;
    let mut record = world.serving("web", &[&backend]);
    record.settings.max_body_size = Some(1000);
    world.flip(&[record, world.serving("other", &[&backend])]).await;
    let body = "b".repeat(1000);
    assert_eq!(world.post("web.test", "/echo", &body).await.body, body);
    let large = "b".repeat(100_000);
    assert_eq!(world.post("web.test", "/echo", &large).await.status, 413);
    assert_eq!(world.post("other.test", "/echo", &large).await.body.len(), large.len(), "another app has no limit");
    let chunked = async |host: &str, count: usize| {
        let chunk = format!("64\r\n{}\r\n", "c".repeat(100)).repeat(count);
        let head = "Transfer-Encoding: chunked\r\nConnection: close";
        ask(world.target, &format!("POST /echo HTTP/1.1\r\nHost: {host}\r\n{head}\r\n\r\n{chunk}0\r\n\r\n")).await
    };
    assert_eq!(chunked("web.test", 10).await.body.len(), 1000);
    assert_eq!(chunked("web.test", 11).await.status, 413);
    assert_eq!(chunked("other.test", 500).await.body.len(), 50_000);
    // In a second packet, when the first part has gone to the app already.
    let mut late =
        world.open("POST /echo HTTP/1.1\r\nHost: web.test\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n").await;
    late.write_all(body.as_bytes()).await.expect("a sent chunk");
    crate::world::eventually("the app has the first part", async || {
        backend.seen.body_bytes.load(std::sync::atomic::Ordering::Relaxed) >= 54_000
    })
    .await;
    late.write_all(b"\r\n1\r\nx\r\n0\r\n\r\n").await.expect("a sent chunk");
    read_until(&mut late, "HTTP/1.1 413").await;
    crate::world::eventually("nothing is open", async || world.in_flight(&["r1"]).await.requests == 0).await;
}

#[tokio::test]
async fn an_answer_that_does_not_come_in_time_is_504_and_asked_for_once() {
    let world = World::start().await;
    let (one, two) = (world.backend("r1").await, world.backend("r2").await);
    let mut record = world.serving("web", &[&one, &two]);
    record.settings.timeouts.read_ms = Some(300);
    world.flip(&[record, world.serving("other", &[&one])]).await;
    for answer in [world.get("web.test", "/slow?20000").await, world.post("web.test", "/slow?20000", "x").await] {
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (504, "The application did not answer in time. Please try again.\n")
        );
    }
    assert_eq!(one.arrivals().len() + two.arrivals().len(), 2, "no other replica is asked once more");
    assert_eq!(world.get("web.test", "/slow?1").await.status, 200);
    assert_eq!(world.get("other.test", "/slow?600").await.status, 200, "another app may take its time");
}

#[tokio::test]
async fn an_apps_own_pages_stand_for_those_of_the_proxy_and_of_nobody_else() {
    let world = World::start().await;
    let backend = world.backend("r1").await;
    let mut record = world.serving("web", &[&backend]);
    let page = |status, body: &str| ErrorPage {
        status,
        page: Page { kind: "text/html; charset=utf-8".to_owned(), body: body.to_owned() },
    };
    record.settings.error_pages = vec![page(413, "too large"), page(502, "<p>no \"answer\""), page(503, "later")];
    record.settings.max_body_size = Some(10);
    let mut resting = world.record("resting", Vec::new());
    resting.settings.error_pages = record.settings.error_pages.clone();
    world.flip(&[record.clone(), resting, world.serving("other", &[&backend])]).await;
    let broken = world.get("web.test", "/die").await;
    assert_eq!((broken.status, broken.body.as_str()), (502, "<p>no \"answer\""));
    assert_eq!(header(&broken.head, "content-type"), Some("text/html; charset=utf-8"), "{broken:?}");
    let large = world.post("web.test", "/echo", &"b".repeat(11)).await;
    assert_eq!((large.status, large.body.as_str()), (413, "too large"));
    let none = world.get("resting.test", "/").await;
    assert_eq!((none.status, none.body.as_str()), (503, "later"));
    assert_eq!(header(&none.head, "retry-after"), Some("5"), "{none:?}");
    assert!(world.get("other.test", "/die").await.body.starts_with("The application did not answer"));
    record.settings.access.deny = vec!["0.0.0.0/0".to_owned()];
    world.flip(&[record]).await;
    assert_eq!(world.get("web.test", "/").await.body, "This address is not open to you.\n", "one without a page");
}

#[tokio::test]
async fn what_is_no_setting_is_refused_with_its_field() {
    let world = World::start().await;
    for (settings, wanted) in [
        (json!({ "access": { "allow": ["10.0.0.0/33"] } }), "access.allow[0]"),
        (json!({ "access": { "deny": ["host"] } }), "access.deny[0]"),
        (
            json!({ "response_headers": { "set": [{ "name": "X-A", "value": "a\r\nb: c" }] } }),
            "response_headers.set[0].value",
        ),
        (json!({ "response_headers": { "remove": ["Content-Length"] } }), "response_headers.remove[0]"),
        (json!({ "max_body_size": 0 }), "max_body_size"),
        (
            json!({ "error_pages": [{ "status": 404, "type": "application/json", "body": "" }] }),
            "error_pages[0].status",
        ),
        (json!({ "error_pages": [{ "status": 502, "type": "image/png", "body": "" }] }), "error_pages[0].type"),
        (json!({ "rate_limit": { "requests": 1, "per_ms": 999, "burst": 1 } }), "rate_limit.per_ms"),
        (json!({ "timeouts": { "read_ms": 0 } }), "timeouts.read_ms"),
    ] {
        let mut record = serde_json::to_value(world.record("web", Vec::new())).expect("JSON");
        record.as_object_mut().expect("an object").extend(settings.as_object().expect("an object").clone());
        let body = json!({ "lease": "x", "changes": [{ "app": "t/web", "expect": 0, "record": record }] });
        let (status, answer) = world.call("POST", "/v1/flip", &body.to_string()).await;
        assert_eq!((status, &answer["error"]["field"]), (422, &json!(wanted)), "{answer}");
    }
}

#[tokio::test]
async fn the_body_of_a_refused_request_is_no_request_of_its_own() {
    let world = World::start().await;
    let backend = world.backend("r1").await;
    let mut record = world.serving("web", &[&backend]);
    record.settings.access.deny = vec!["0.0.0.0/0".to_owned()];
    world.flip(&[record, world.serving("other", &[&backend])]).await;
    let hidden = "GET /hidden HTTP/1.1\r\nHost: other.test\r\n\r\n";
    let head = format!("POST / HTTP/1.1\r\nHost: web.test\r\nContent-Length: {}\r\n\r\n", hidden.len());
    let mut client = world.open(&format!("{head}{hidden}GET /next HTTP/1.1\r\nHost: other.test\r\n\r\n")).await;
    let said = read_until(&mut client, "\"/next\"").await;
    assert!(said.starts_with("HTTP/1.1 403") && !said.contains("hidden"), "{said}");
    assert_eq!(backend.arrivals(), ["GET /next"]);
}
