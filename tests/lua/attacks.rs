//! What one request may cost the proxy, and random paths read as differently as programs do.
//!
//! `cargo test --test lua attacks -- --nocapture` prints what each attack costs a worker's event loop.

mod list;

use std::fmt::Write as _;

use deploy_apps::model::Route;

use self::list::{attacks, deep_paths, wild_host};
use crate::client::ask;
use crate::world::{Setup, World};

/// Requests of each kind; what is told is their mean.
const ROUNDS: u32 = 20;
/// A request that costs more than this is not bounded: the quadratic ones that this found took 1,500 ms. Far more than any takes
/// on a busy machine, since it is the worker's own time and not the clock's.
const MOST_MS: f64 = 25.0;

fn route(host: &str, path: &str, strip: bool) -> Route {
    Route { host: Some(host.to_owned()), path: path.to_owned(), strip, tls: None }
}

fn get(host: &str, path: &str, headers: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{headers}Connection: close\r\n\r\n")
}

/// Milliseconds that the one worker has run, and the kilobytes that it has.
pub async fn spent(world: &World) -> (f64, u64) {
    let script = "w=$(cat /proc/1/task/1/children); w=${w%% *}; cut -d' ' -f1 /proc/$w/schedstat; \
                  awk '/^VmRSS:/{print $2}' /proc/$w/status";
    let said = world.exec(script).await;
    let mut numbers = said.split_whitespace().map(|word| word.parse::<f64>().expect("a number"));
    let nanoseconds = numbers.next().expect("a time");
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "kilobytes of a process")]
    let kilobytes = numbers.next().expect("a size") as u64;
    (nanoseconds / 1e6, kilobytes)
}

#[tokio::test]
async fn no_request_holds_up_a_worker() {
    let world = World::with(Setup { workers: 1, ..Setup::default() }).await;
    let backend = world.backend("r1").await;
    let mut many = world.serving("many", &[&backend]);
    many.routes = deep_paths().map(|path| route("many.test", &path, false)).collect();
    many.routes.push(route("many.test", "/", false));
    let mut wild = world.serving("wild", &[&backend]);
    wild.routes = vec![route(&wild_host(), "/", false), route("strip.test", "/p", true)];
    world.flip(&[world.serving("app", &[&backend]), many, wild]).await;

    let mut table = String::from("\n| request | ms of a worker | memory grows by |\n| --- | --- | --- |\n");
    let mut worst = ("", 0.0);
    for (what, request) in &attacks() {
        // The first one compiles, and brings what is remembered.
        send(&world, request).await;
        let (before, had) = spent(&world).await;
        for _ in 0..ROUNDS {
            send(&world, request).await;
        }
        let (after, has) = spent(&world).await;
        let each = (after - before) / f64::from(ROUNDS);
        writeln!(table, "| {what} | {each:.2} | {} KB |", has.saturating_sub(had)).expect("a text");
        if each > worst.1 {
            worst = (*what, each);
        }
    }
    eprintln!("{table}");
    assert!(worst.1 < MOST_MS, "{} takes {:.1} ms of a worker\n{table}", worst.0, worst.1);
}

/// The answer may be an early refusal that closes the connection under what is still sent.
pub async fn send(world: &World, request: &str) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(world.target).await.expect("a connection");
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
}

/// Paths are put together from these; each has been used by somebody to get past a router.
const PIECES: &[&str] = &[
    "/", "/", "/", "public", "admin", "web", "d", "x", "..", ".", "%2e", "%2E%2e", "%2f", "%2F", "\\", "%5c", ";",
    "%61dmin", "p%75blic", "//", "/../", "/..", "#", "%", "?", "a.b", "...", "%25",
];
const TABLE: &[(&str, &str)] =
    &[("root", "/"), ("public", "/public"), ("admin", "/admin"), ("deep", "/public/d"), ("web", "/web")];

fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let hex = text.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match hex.filter(|_| bytes[at] == b'%') {
            Some(byte) => (out.push(byte), at += 3),
            None => (out.push(bytes[at]), at += 1),
        };
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// A program's reading: how it splits, what is a dot segment to it, and whether empty segments stay.
fn resolved(path: &str, separators: &[char], name: fn(&str) -> String, keeps_empty: bool) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for segment in path.split(separators) {
        match name(segment).as_str() {
            "." => {}
            ".." => drop(out.pop()),
            "" if !keeps_empty => {}
            _ => out.push(decoded(segment)),
        }
    }
    out
}

/// What programs make of a path; of each whether it may not even lead to another route below the app's own. Servlet containers and
/// IIS may: to them `/admin;x` and `/admin%5Cx` are below `/admin`, to all others they are names beside it.
fn readings(path: &str) -> Vec<(bool, Vec<String>)> {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let path = path.strip_prefix('/').unwrap_or(path);
    let plain = |segment: &str| segment.to_owned();
    let without_parameters = |segment: &str| decoded(segment.split(';').next().unwrap_or_default());
    let mut all = Vec::new();
    for keeps_empty in [false, true] {
        all.push((true, resolved(path, &['/'], plain, keeps_empty)));
        all.push((true, resolved(path, &['/'], decoded, keeps_empty)));
        all.push((true, resolved(path, &['/', '\\'], decoded, keeps_empty)));
        all.push((false, resolved(&decoded(path), &['/', '\\'], plain, keeps_empty)));
        all.push((false, resolved(path, &['/'], without_parameters, keeps_empty)));
    }
    all
}

fn is_within(segments: &[String], path: &str) -> bool {
    let route: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    route.len() <= segments.len() && route.iter().zip(segments).all(|(one, other)| one == other)
}

fn owner(segments: &[String]) -> &'static str {
    let found = TABLE.iter().filter(|(_, path)| is_within(segments, path)).max_by_key(|(_, path)| path.len());
    found.map_or("none", |(app, _)| app)
}

#[tokio::test]
async fn random_paths_are_read_alike_by_router_and_app() {
    let world = World::start().await;
    let (mut backends, mut records) = (Vec::new(), Vec::new());
    for (app, path) in TABLE {
        let backend = world.backend(app).await;
        let mut record = world.serving(app, &[&backend]);
        record.routes = vec![route("many.test", path, *app == "web")];
        records.push(record);
        backends.push(backend);
    }
    world.flip(&records).await;
    // xorshift: the same paths in each run, so that what is red stays red.
    let mut state = 88_172_645_463_325_252_u64;
    let mut below = |limit: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % limit as u64).expect("a small number")
    };
    let mut answered = 0;
    for _ in 0..2500 {
        let count = below(9) + 1;
        let path: String = (0..count).map(|_| PIECES[below(PIECES.len())]).collect();
        let path = format!("/{}", path.trim_start_matches('/'));
        let answer = ask(world.target, &get("many.test", &path, "")).await;
        assert!([200, 400, 404].contains(&answer.status), "{path}: {answer:?}");
        if answer.status != 200 {
            continue;
        }
        answered += 1;
        let (app, said) = (answer.backend(), answer.json());
        let target = said["target"].as_str().expect("a target");
        assert!(!(app == "web" && target.starts_with("//")), "{path} became {target}");
        let seen = if app == "web" { format!("/web{target}") } else { target.to_owned() };
        let own = TABLE.iter().find(|(name, _)| *name == app).expect("an app of the table").1;
        for (is_strict, reading) in readings(&seen) {
            let is_right = if is_strict { owner(&reading) == app } else { is_within(&reading, own) };
            assert!(is_right, "{path} was sent to {app} as {target}, read as {reading:?}");
        }
    }
    assert!(answered > 300, "only {answered} were sent on");
}
