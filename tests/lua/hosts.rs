//! Which host decides, what is no host, and what hosts that nobody has may cost.

use deploy_apps::model::Route;

use crate::client::ask;
use crate::world::World;

fn route(host: &str) -> Route {
    Route { host: Some(host.to_owned()), path: "/".to_owned(), strip: false, tls: None }
}

async fn world_with(hosts: &[&str]) -> (World, crate::backend::Backend) {
    let world = World::start().await;
    let backend = world.backend("r1").await;
    let mut record = world.serving("b", &[&backend]);
    record.routes.extend(hosts.iter().map(|host| route(host)));
    world.flip(&[record]).await;
    (world, backend)
}

/// The status, and what the app was told as `Host` and `X-Forwarded-Host`.
async fn told(world: &World, line: &str, headers: &str) -> (u16, Option<(String, String)>) {
    let answer = ask(world.target, &format!("{line}\r\n{headers}Connection: close\r\n\r\n")).await;
    let header = |name: &str| answer.json()["headers"][name].as_str().unwrap_or("none").to_owned();
    (answer.status, (answer.status == 200).then(|| (header("host"), header("x-forwarded-host"))))
}

#[tokio::test]
async fn rejects_what_is_no_host() {
    let (world, _backend) = world_with(&["[2001:db8::1]"]).await;
    let longest = [vec!["a"; 126].join("."), "b".to_owned()].join(".");
    for (host, status) in [
        ("b.test:80@evil.example", 400),
        ("user@b.test", 400),
        ("user:80@b.test", 400),
        ("b.test:0", 400),
        ("b.test:65536", 400),
        ("b.test:99999", 400),
        ("b.test:000080", 400),
        ("b.test:8o", 400),
        ("b.test:-1", 400),
        ("b.test:80:80", 400),
        ("b.test,evil.example", 400),
        ("b.test evil.example", 400),
        ("b%2etest", 400),
        ("b.test/x", 400),
        ("b.test?x", 400),
        ("b\\test", 400),
        ("*", 400),
        ("*.test", 400),
        (".b.test", 400),
        ("b..test", 400),
        ("b.test..", 400),
        (":80", 400),
        ("::1", 400),
        ("[::1", 400),
        ("[::1]x", 400),
        ("[b.test]", 400),
        ("[fe80::1%25eth0]", 400),
        ("[2001:db8::1]:99999", 400),
        (longest.as_str(), 404),
        (&format!("{longest}."), 404),
        (&format!("{longest}.:65535"), 404),
        (&format!("{longest}c"), 400),
        (&"a".repeat(253), 404),
        (&"a".repeat(254), 400),
        (&format!("1.{}x", "a.".repeat(15_000)), 400),
    ] {
        let answer = world.get(host, "/").await;
        assert_eq!(answer.status, status, "{host:.60}: {answer:?}");
    }
    for host in ["b.test", "B.Test", "b.test.", "b.test:8080", "B.TEST.:65535", "[2001:db8::1]", "[2001:DB8::1]:8080"] {
        let told = told(&world, "GET / HTTP/1.1", &format!("Host: {host}\r\n")).await;
        assert_eq!(told, (200, Some((host.to_owned(), host.to_owned()))));
    }
}

#[tokio::test]
async fn one_host_decides_and_is_told() {
    let (world, _backend) = world_with(&[]).await;
    for (line, headers, host) in [
        ("GET http://b.test/ HTTP/1.1", "Host: evil.example\r\n", "b.test"),
        ("GET http://b.test HTTP/1.1", "Host: evil.example\r\n", "b.test"),
        ("GET http://b.test?q=/ HTTP/1.1", "Host: evil.example\r\n", "b.test"),
        ("GET http://b.test:81/ HTTP/1.1", "Host: b.test:82\r\n", "b.test:81"),
        ("GET HTTP://B.test/ HTTP/1.1", "Host: b.test\r\n", "B.test"),
        ("GET http://b.test/ HTTP/1.1", "Host: junk@evil.example\r\n", "b.test"),
        ("GET http://b.test/ HTTP/1.0", "", "b.test"),
        ("GET / HTTP/1.0", "Host: b.test\r\n", "b.test"),
    ] {
        let told = told(&world, line, headers).await;
        assert_eq!(told, (200, Some((host.to_owned(), host.to_owned()))), "{line} {headers}");
    }
    for (line, headers) in [
        ("GET / HTTP/1.1", "Host: b.test\r\nHost: evil.example\r\n"),
        ("GET / HTTP/1.1", "Host: b.test\r\nHost: b.test\r\n"),
        ("GET / HTTP/1.1", "Host:\r\n"),
        ("GET / HTTP/1.1", ""),
        ("GET http://user@b.test/ HTTP/1.1", "Host: b.test\r\n"),
        ("GET http://b.test:99999/ HTTP/1.1", "Host: b.test\r\n"),
        ("GET http://evil.example:80@b.test/ HTTP/1.1", "Host: b.test\r\n"),
    ] {
        assert_eq!(told(&world, line, headers).await.0, 400, "{line} {headers}");
    }
    // What the Host header says does not lead to what the target does not name.
    assert_eq!(told(&world, "GET http://evil.example/ HTTP/1.1", "Host: b.test\r\n").await.0, 404);
}

#[tokio::test]
async fn a_client_of_http_1_0_without_a_host_reaches_an_app_with_one() {
    let world = World::start().await;
    let backend = world.backend("r1").await;
    let mut record = world.serving("any", &[&backend]);
    record.routes = vec![Route { host: None, path: "/".to_owned(), strip: false, tls: None }];
    world.flip(&[record]).await;
    let address = world.target.ip().to_string();
    assert_eq!(told(&world, "GET / HTTP/1.0", "").await, (200, Some((address.clone(), address))));
}

/// A worker remembers 512 KiB of hosts at most; here 64 times as many bytes of them ask.
#[tokio::test]
async fn junk_hosts_take_no_memory() {
    let (world, _backend) = world_with(&["*.wild.test"]).await;
    let resident = async || -> u64 {
        let kilobytes = world
            .exec("cat /proc/[0-9]*/status | awk '/^Name:/{n=$2} /^VmRSS:/{if (n==\"nginx\") s+=$2} END{print s}'");
        kilobytes.await.parse().expect("a number of kilobytes")
    };
    let flood = async |suffix: &str, count: u32| {
        for round in 0..count / 500 {
            let name = |number| format!("h{round}-{number}.{}.{suffix}", "x".repeat(190));
            let request = |number| format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", name(number));
            let many: String = (0..499).map(request).collect();
            ask(world.target, &format!("{many}GET / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", name(499)))
                .await;
        }
    };
    flood("junk.test", 2000).await;
    flood("wild.test", 2000).await;
    let before = resident().await;
    flood("junk.test", 40_000).await;
    flood("wild.test", 40_000).await;
    let after = resident().await;
    // 80,000 such hosts, remembered by each worker, would be 30 MB and more.
    assert!(after < before + 12_000, "{before} KB before, {after} KB after");
    assert_eq!(world.get("b.test", "/").await.backend(), "r1");
}
