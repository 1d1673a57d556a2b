//! Redirects: the proxy answers with another address, and no replica has to do with it.

use deploy_apps::model::{Redirect, Route};
use serde_json::json;
use tokio::io::AsyncWriteExt;

use crate::client::{ask, read_until};
use crate::control::closed_port;
use crate::world::{Setup, World};

fn redirect(host: Option<&str>, path: &str, to: &str, status: u16) -> Redirect {
    Redirect { host: host.map(str::to_owned), path: path.to_owned(), to: to.to_owned(), status }
}

fn location(head: &str) -> Option<&str> {
    head.lines().find_map(|line| line.strip_prefix("Location: "))
}

#[tokio::test]
async fn the_first_that_matches_answers_with_path_and_query() {
    let world = World::start().await;
    let backend = world.backend("r1").await;
    let mut record = world.serving("web", &[&backend]);
    for host in ["www.web.test", "*.old.test"] {
        record.routes.push(Route { host: Some(host.to_owned()), path: "/".to_owned(), strip: false, tls: None });
    }
    record.settings.redirects = vec![
        redirect(Some("www.web.test"), "/docs", "https://docs.test/", 302),
        redirect(Some("www.web.test"), "/", "web.test", 301),
        redirect(Some("*.old.test"), "/", "https://web.test:8443/from", 308),
        redirect(None, "/a", "/b/c", 307),
    ];
    world.flip(&[record]).await;
    for (host, path, status, to) in [
        ("www.web.test", "/", 301, "http://web.test/"),
        ("WWW.web.test:8080", "/x/y?q=a%20b&c", 301, "http://web.test:8080/x/y?q=a%20b&c"),
        ("www.web.test", "/x/../y", 301, "http://web.test/x/../y"),
        ("www.web.test", "/docs", 302, "https://docs.test/"),
        ("www.web.test", "/docs?q", 302, "https://docs.test/?q"),
        ("www.web.test", "/docs/1%2F2", 302, "https://docs.test/1%2F2"),
        ("www.web.test", "/docsx", 301, "http://web.test/docsx"),
        ("a.b.old.test:81", "/p?q", 308, "https://web.test:8443/from/p?q"),
        ("web.test", "/a", 307, "http://web.test/b/c"),
        ("web.test:8080", "/a/x%20y?z=1", 307, "http://web.test:8080/b/c/x%20y?z=1"),
        ("web.test", "/%61/x", 307, "http://web.test/b/c/x"),
        ("web.test", "/x/../a/y%20z?q", 307, "http://web.test/b/c/y%20z?q"),
    ] {
        let answer = world.get(host, path).await;
        assert_eq!((answer.status, location(&answer.head)), (status, Some(to)), "{host} {path}: {answer:?}");
    }
    let posted = world.post("web.test", "/a", "body").await;
    assert_eq!((posted.status, location(&posted.head)), (307, Some("http://web.test/b/c")));
    assert!(
        posted.head.to_ascii_lowercase().contains("x-request-id: ") && !posted.head.contains("nginx"),
        "{posted:?}"
    );
    for path in ["/", "/ab", "/b/a"] {
        assert_eq!(world.get("web.test", path).await.backend(), "r1", "{path}");
    }
    assert_eq!(world.in_flight(&["r1"]).await.requests, 0, "no redirect is counted at a replica");
}

#[tokio::test]
async fn one_flip_changes_them_on_a_connection_that_stays_open() {
    let world = World::start().await;
    let backend = world.backend("r1").await;
    let mut record = world.serving("web", &[&backend]);
    let mut client = world.open("GET /a HTTP/1.1\r\nHost: web.test\r\n\r\n").await;
    read_until(&mut client, "404 Not Found").await;
    for (target, wanted) in [(Some("/b"), "/b"), (Some("/c"), "/c"), (None, "\"backend\"")] {
        record.settings.redirects = target.map(|to| redirect(None, "/a", to, 302)).into_iter().collect();
        world.flip(&[record.clone()]).await;
        client.write_all(b"GET /a HTTP/1.1\r\nHost: web.test\r\n\r\n").await.expect("the connection is open");
        let wanted =
            if target.is_some() { format!("Location: http://web.test{wanted}\r\n") } else { wanted.to_owned() };
        read_until(&mut client, &wanted).await;
    }
}

#[tokio::test]
async fn the_scheme_and_host_of_a_trusted_proxy_are_kept() {
    let world = World::with(Setup { trusted_proxies: "0.0.0.0/0,::/0", ..Setup::default() }).await;
    let mut record = world.record("web", Vec::new());
    record.settings.redirects = vec![redirect(Some("web.test"), "/", "new.test", 301)];
    record.peers = vec![world.peer("gone", closed_port(&world))];
    world.flip(&[record]).await;
    let head = "GET /x HTTP/1.1\r\nHost: web.test\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: web.test:444";
    let answer = ask(world.target, &format!("{head}\r\nConnection: close\r\n\r\n")).await;
    assert_eq!((answer.status, location(&answer.head)), (301, Some("https://new.test:444/x")));
}

#[tokio::test]
async fn what_is_no_redirect_is_refused_with_its_field() {
    let world = World::start().await;
    for (field, value, wanted) in [
        ("status", json!(200), "redirects[0].status"),
        ("to", json!("a\r\nSet-Cookie: x"), "redirects[0].to"),
        ("path", json!("a"), "redirects[0].path"),
        ("host", json!("a b"), "redirects[0].host"),
        ("from", json!("a"), "redirects[0].from"),
    ] {
        let mut record = world.record("web", Vec::new());
        record.settings.redirects = vec![redirect(None, "/a", "/b", 301)];
        let mut record = serde_json::to_value(record).expect("JSON");
        record["redirects"][0][field] = value;
        let body = json!({ "lease": "x", "changes": [{ "app": "t/web", "expect": 0, "record": record }] });
        let (status, answer) = world.call("POST", "/v1/flip", &body.to_string()).await;
        assert_eq!((status, &answer["error"]["field"]), (422, &json!(wanted)), "{answer}");
    }
}
