//! Random requests and random answers to the gate, put together from what has been used against proxies. Whatever they are, the
//! proxy's Lua ends without an error, in bounded time and memory, and counts nothing that is over.
//!
//! The same ones in each run, so that what is red stays red; `LUA_SEED=7` makes others.

use std::time::{Duration, Instant};

use deploy_apps::model::Route;
use deploy_apps::ports::{Probe, Proxy};

use crate::attacks::{send, spent};
use crate::raw::Raw;
use crate::world::{Setup, World, eventually};

const REQUESTS: usize = 600;
const ANSWERS: usize = 120;
/// Of a worker for each request, on average over all; the worst single kinds are bounded in `attacks`.
const MOST_MS: f64 = 10.0;
const MOST_KILOBYTES: u64 = 16 * 1024;

/// xorshift
struct Random(u64);

impl Random {
    fn new() -> Self {
        let seed = std::env::var("LUA_SEED").ok().and_then(|text| text.parse::<u64>().ok()).unwrap_or(1);
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).expect("a small number")
    }

    fn of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len())]
    }

    /// Some pieces one after the other; now and then one of them very often.
    fn text(&mut self, pieces: &[&str], most: usize) -> String {
        let mut text = String::new();
        for _ in 0..self.below(most) {
            let often = if self.below(12) == 0 { self.below(4_000) } else { 1 };
            text.push_str(&self.of(pieces).repeat(often));
        }
        text
    }
}

const HOSTS: &[&str] = &[
    "app.test",
    "web.test",
    "strip.test",
    "a.wild.test",
    "x",
    ".",
    ":",
    "80",
    "99999",
    "[",
    "::1",
    "]",
    "@",
    "A",
    "-",
    "%",
];
const PATHS: &[&str] = &[
    "/", "a", "..", ".", "%2e", "%2f", "%2F", "//", "\\", ";", "?", "#", "%", "%zz", "%00", "%c3", "public", "p", "ä",
];
const VALUES: &[&str] = &[
    "127.0.0.1",
    "10.198.0.1",
    "::1",
    ",",
    ";",
    " ",
    "\"",
    "=",
    "for",
    "proto",
    "https",
    "host",
    "\\",
    "[",
    "]",
    ":",
    "1",
    "80",
    "65536",
    "a",
    "-",
    "00-",
    "_",
    "é",
    "websocket",
    "close",
    "\t",
    "unknown",
];
const NAMES: &[&str] = &[
    "X-Forwarded-For",
    "Forwarded",
    "X-Forwarded-Proto",
    "X-Forwarded-Host",
    "X-Forwarded-Port",
    "X-Request-ID",
    "traceparent",
    "Cookie",
    "Upgrade",
    "Connection",
    "X-Real-IP",
    "TE",
    "Expect",
    "Range",
    "X-Accel-Redirect",
];

fn request(random: &mut Random) -> String {
    let path = format!("/{}", random.text(PATHS, 8));
    let (host, method) = (random.text(HOSTS, 4), random.of(&["GET", "GET", "POST", "OPTIONS", "X"]));
    let target = match random.below(8) {
        0 => format!("http://{}{path}", random.text(HOSTS, 3)),
        1 => random.text(PATHS, 4),
        _ => path,
    };
    let version = random.of(&["1.1", "1.1", "1.1", "1.0"]);
    let mut text = format!("{method} {target} HTTP/{version}\r\nHost: {host}\r\n");
    for _ in 0..random.below(8) {
        let value = random.text(VALUES, 10);
        text.push_str(&format!("{}: {value}\r\n", random.of(NAMES)));
    }
    text.push_str("Connection: close\r\n\r\n");
    text
}

fn route(host: &str, path: &str, strip: bool) -> Route {
    Route { host: Some(host.to_owned()), path: path.to_owned(), strip, tls: None }
}

/// What nginx writes when Lua code fails.
async fn lua_errors(world: &World) -> Vec<String> {
    let log = world.logs().await;
    let is_lua = |line: &&str| {
        ["lua entry thread aborted", "failed to run", "[alert]", "[emerg]"].iter().any(|text| line.contains(text))
    };
    log.lines().filter(is_lua).map(str::to_owned).collect()
}

#[tokio::test]
async fn random_requests_end_in_bounded_time_and_leave_nothing_open() {
    let trusted = Setup { workers: 1, trusted_proxies: "10.198.0.0/16", ..Setup::default() };
    let world = World::with(trusted).await;
    let backend = world.backend("r1").await;
    let mut web = world.serving("web", &[&backend]);
    web.routes = vec![
        route("app.test", "/", false),
        route("web.test", "/public", false),
        route("web.test", "/a/a/a", false),
        route("strip.test", "/p", true),
        route("*.wild.test", "/", false),
    ];
    world.flip(&[web]).await;
    send(&world, "GET / HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n").await;

    let mut random = Random::new();
    let (before, had) = spent(&world).await;
    for _ in 0..REQUESTS {
        let request = request(&mut random);
        let asked = Instant::now();
        send(&world, &request).await;
        let begins: String = request.chars().take(200).collect();
        assert!(asked.elapsed() < Duration::from_secs(10), "{:?} for {begins:?}", asked.elapsed());
    }
    let (after, has) = spent(&world).await;
    assert_eq!(lua_errors(&world).await, [""; 0]);
    // A worker that died would have begun again.
    assert!(after > before, "the worker was replaced");
    #[expect(clippy::cast_precision_loss, reason = "some hundred")]
    let each = (after - before) / REQUESTS as f64;
    assert!(each < MOST_MS, "{each:.2} ms of a worker for each request");
    assert!(has.saturating_sub(had) < MOST_KILOBYTES, "the worker has grown from {had} to {has} KB");
    let is_empty = async || world.control.state().await.expect("a state").in_flight.values().all(|open| open.is_zero());
    eventually("no request is counted any more", is_empty).await;
}

const ANSWER: &[&str] = &[
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.1 103 Early Hints\r\n\r\n",
    "HTTP/1.0 500 \r\n",
    "HTTP/1.1 1000 X\r\n",
    "HTTP/2 200\r\n",
    "HTTP/",
    "Content-Length: 5\r\n",
    "Content-Length: -1\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Connection: close\r\n",
    "X-A: ",
    "X A: 1\r\n",
    "X-Accel-Redirect: /v1/state\r\n",
    " folded\r\n",
    "\r\n",
    "\r\n\r\n",
    "\n",
    "5\r\nhello\r\n0\r\n\r\n",
    "ffffffffffffffff\r\n",
    "hello",
    "\0",
    "\u{7f}",
    "é",
    "Set-Cookie: a=b\r\n",
];

#[tokio::test]
async fn random_answers_end_a_probe_in_its_time() {
    let world = World::with(Setup { workers: 1, ..Setup::default() }).await;
    let probe = async |port: u16| {
        let timeout = Duration::from_millis(300);
        let (path, host) = ("/healthz".to_owned(), "app.test".to_owned());
        world.control.probe(&Probe { address: world.gateway, port, path, host, timeout }).await.expect("an answer")
    };
    let well = Raw::saying(world.gateway, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    assert!(probe(well.port).await.healthy);
    let mut random = Random::new();
    let (_, had) = spent(&world).await;
    for _ in 0..ANSWERS {
        let answer = random.text(ANSWER, 8);
        let backend = Raw::saying(world.gateway, &answer).await;
        let asked = Instant::now();
        let found = probe(backend.port).await;
        let begins: String = answer.chars().take(200).collect();
        // Far more than its time, since the machine may be busy.
        assert!(asked.elapsed() < Duration::from_secs(5), "{:?} for {begins:?}", asked.elapsed());
        assert!(found.body.is_none_or(|body| body.len() <= 2048), "a body of any length for {begins:?}");
    }
    let (_, has) = spent(&world).await;
    assert_eq!(lua_errors(&world).await, [""; 0]);
    assert!(has.saturating_sub(had) < MOST_KILOBYTES, "the worker has grown from {had} to {has} KB");
    assert!(probe(well.port).await.healthy, "the gate still works");
}
