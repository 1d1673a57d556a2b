//! What a client may send to make a router work, each the longest or the most of its kind. The tests bound what one costs; the
//! benchmark prints it.

/// Routes of `many.test`, one below the other, besides its `/`.
pub const DEPTH: usize = 199;

/// The host of a route with as many labels as a host may nearly have.
pub fn wild_host() -> String {
    format!("*.{}", ["w"; 120].join("."))
}

pub fn deep_paths() -> impl Iterator<Item = String> {
    (1..=DEPTH).map(|depth| "/s".repeat(depth))
}

fn get(host: &str, path: &str, headers: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{headers}Connection: close\r\n\r\n")
}

/// The first one is ordinary: the others are to be read beside it. Asked for are `app.test`; `many.test` with [`deep_paths`];
/// `strip.test/p`, a route with strip; and [`wild_host`].
pub fn attacks() -> Vec<(&'static str, String)> {
    let long = |text: &str| text.repeat(30_000 / text.len());
    let header = |name: &str, text: &str| get("app.test", "/", &format!("{name}: {}\r\n", long(text)));
    vec![
        ("an ordinary request", get("app.test", "/", "")),
        ("a host of 30 KB with 15,000 labels", get(&format!("1.{}x", long("a.")), "/", "")),
        ("a host of 127 labels", get(&["a"; 127].join("."), "/", "")),
        ("a host of 127 labels below a wildcard of 120", get(&["w"; 127].join("."), "/", "")),
        ("a path of 30 KB", get("app.test", &format!("/{}", long("a")), "")),
        ("a path of 15,000 segments along 199 routes", get("many.test", &long("/s"), "")),
        ("30,000 slashes", get("many.test", &long("/"), "")),
        ("10,000 escaped slashes", get("many.test", &format!("/a{}", long("%2F")), "")),
        ("10,000 escaped letters below a route with strip", get("strip.test", &format!("/p/{}", long("%61")), "")),
        ("6,000 dot segments", get("many.test", &long("/s/.."), "")),
        ("a path of 4,000 bytes to be written again", get("strip.test", &format!("/p/./{}", "ä".repeat(1990)), "")),
        ("a query of 30 KB", get("many.test", &format!("/?{}", long("?")), "")),
        ("a cookie of 30 KB", header("Cookie", "a=b;")),
        ("an X-Request-ID of 30 KB", header("X-Request-ID", "a")),
        ("a traceparent of 30 KB", header("traceparent", ";00-")),
        ("an Upgrade of 30 KB", header("Upgrade", "websocket")),
        ("50,000 headers", get("app.test", "/", &"a: 1\r\n".repeat(50_000))),
    ]
}
