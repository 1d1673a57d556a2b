//! Settings of an app that are about its clients.

use super::Case;
use crate::model::{HeaderField, RateLimit, Settings};

fn block(settings: &str) -> Case {
    Case::block(&format!("      port: 80\n      {settings}\n"))
}

fn settings(text: &str) -> Settings {
    block(text).first_app().settings
}

#[test]
fn they_are_read() {
    let headers =
        settings("response_headers: { set: { X-Frame-Options: DENY, X-N: 1 }, remove: Server }").response_headers;
    let field = |name: &str, value: &str| HeaderField { name: name.to_owned(), value: value.to_owned() };
    assert_eq!(headers.set, [field("X-Frame-Options", "DENY"), field("X-N", "1")]);
    assert_eq!(headers.remove, ["Server"]);
    let access = settings("access: { allow: [10.0.0.0/8, \"2001:db8::7\"], deny: \"10.1.0.0/16, 10.2.3.4\" }").access;
    assert_eq!(access.allow, ["10.0.0.0/8", "2001:db8::7/128"]);
    assert_eq!(access.deny, ["10.1.0.0/16", "10.2.3.4/32"]);
    assert_eq!(settings("access: { allow: private }").access.allow.len(), 6);
    assert_eq!(settings("max_body_size: 10m").max_body_size, Some(10 << 20));
    let limit = |requests, per_ms, burst| Some(RateLimit { requests, per_ms, burst });
    assert_eq!(settings("rate_limit: { requests: 9 }").rate_limit, limit(9, 1000, 9));
    assert_eq!(settings("rate_limit: { requests: 9, per: 1m, burst: 3 }").rate_limit, limit(9, 60_000, 3));
    let timeouts = settings("timeouts: { read: 1.5s }").timeouts;
    assert_eq!((timeouts.read_ms, timeouts.send_ms), (Some(1500), None));
}

#[test]
fn pages_come_from_files_and_are_bounded() {
    let with = |setting: &str, file: &str, text: &str| block(&format!("error_pages: {setting}")).file(file, text);
    let pages = with("{ 503: ./p/a.html, \"502\": p/a.html }", "p/a.html", "<p>Later").first_app().settings.error_pages;
    let shown: Vec<(u16, &str)> = pages.iter().map(|page| (page.status, page.page.body.as_str())).collect();
    assert_eq!(shown, [(502, "<p>Later"), (503, "<p>Later")]);
    with("{ 404: ./a.html }", "a.html", "").refuses(
        "6:22: the proxy itself never answers with `404`",
        "it does with 401, 403, 413, 429, 500, 502, 503 and 504; other answers are the app's own",
    );
    with("{ 502: ./a.png }", "a.png", "")
        .refuses("6:27: page `./a.png` is neither .html, .json nor .txt", "its ending says as what it is sent");
    let all = "{ 401: a.txt, 403: a.txt, 429: a.txt, 502: a.txt, 503: a.txt }";
    with(all, "a.txt", &"x".repeat(60 << 10)).refuses(
        "6:7: the pages of `error_pages` have 307200 bytes together",
        "at most 256 KiB are taken; pictures may come from elsewhere",
    );
}

#[test]
fn what_is_wrong_is_refused_with_its_place() {
    let refuses = |settings: &str, message: &str, hint: &str| block(settings).refuses(&format!("6:{message}"), hint);
    refuses(
        "response_headers: { set: { X_A: b } }",
        "34: `X_A` is not the name of a header",
        "use letters, digits and `-`, such as `X-Frame-Options`",
    );
    refuses(
        "response_headers: { remove: Transfer-Encoding }",
        "35: header `Transfer-Encoding` is the proxy's own: it says where an answer ends",
        "",
    );
    refuses(
        "response_headers: { set: { X-A: \"a\\nb\" } }",
        "39: the value of header `X-A` must be one line of at most 4,096 ASCII characters",
        "",
    );
    refuses(
        "access: { allow: 10.0.0.1/8 }",
        "24: `10.0.0.1/8` in `allow` has bits set beyond its prefix",
        "write `10.0.0.0/8` for the network, or the address without `/…`",
    );
    refuses(
        "access: { deny: [host] }",
        "24: `host` in `deny` is not an address or a network in CIDR form",
        "write such as `203.0.113.7`, `10.0.0.0/8` or `2001:db8::/32`, or the word `private`",
    );
    refuses(
        "max_body_size: 0",
        "22: `max_body_size` must be from `1` byte to `1024t`; leave it out for no limit, not `0`",
        "",
    );
    refuses(
        "rate_limit: { per: 1m }",
        "7: `rate_limit` needs `requests`",
        "write such as `rate_limit: { requests: 100, per: 1m, burst: 20 }`",
    );
    refuses("rate_limit: { requests: 1, per: 10ms }", "39: `per` must be from `1s` to `24h`, not `10ms`", "");
    refuses("timeouts: { read: 25h }", "25: `read` must be from `1ms` to `24h`, not `25h`", "");
    refuses("timeouts: { red: 25h }", "19: unknown key `red` in `timeouts`", "did you mean `read`?");
    let worker = Case::block("      access: { deny: 10.0.0.1 }\n");
    worker.refuses(
        "5:7: app `web` has `access` but no `port`",
        "add the `port` that it listens on, or remove what only a routed app needs",
    );
}
