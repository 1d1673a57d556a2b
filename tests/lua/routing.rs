//! Which app a request goes to, what the app gets to see, and what a client sees when there is none.

use deploy_apps::model::Route;
use serde_json::json;

use crate::client::ask;
use crate::control::closed_port;
use crate::world::World;

fn route(host: &str, path: &str, strip: bool) -> Route {
    let host = (host != "any").then(|| host.to_owned());
    Route { host, path: path.to_owned(), strip, tls: None }
}

#[tokio::test]
async fn the_most_specific_route_wins_and_prefixes_end_at_segments() {
    let world = World::start().await;
    let table: &[(&str, &[Route])] = &[
        ("exact", &[route("shop.test", "/", false)]),
        ("cart", &[route("shop.test", "/cart", false)]),
        ("deep", &[route("shop.test", "/cart/items", true)]),
        ("wild", &[route("*.test", "/", false)]),
        ("longer", &[route("*.eu.test", "/", false)]),
        ("any", &[route("any", "/go", true), route("any", "/keep", false)]),
        ("umlaut", &[route("any", "/grün", true)]),
    ];
    let mut backends = Vec::new();
    let mut records = Vec::new();
    for (app, routes) in table {
        let backend = world.backend(app).await;
        let mut record = world.serving(app, &[&backend]);
        record.routes = routes.to_vec();
        records.push(record);
        backends.push(backend);
    }
    world.flip(&records).await;

    for (host, path, app, target) in [
        ("shop.test", "/", "exact", "/"),
        ("SHOP.Test:8080", "/x?q=1", "exact", "/x?q=1"),
        ("shop.test", "/cart", "cart", "/cart"),
        ("shop.test", "/cart/", "cart", "/cart/"),
        ("shop.test", "/cartoon", "exact", "/cartoon"),
        ("shop.test", "/cart/items", "deep", "/"),
        ("shop.test", "/cart/items/7?a=b%20c", "deep", "/7?a=b%20c"),
        ("shop.test", "/cart/itemset", "cart", "/cart/itemset"),
        ("shop.test", "//cart/%2e%2e/x", "exact", "//cart/%2e%2e/x"),
        ("other.test", "/cart", "wild", "/cart"),
        ("a.b.test", "/", "wild", "/"),
        ("a.eu.test", "/", "longer", "/"),
        ("eu.test", "/", "wild", "/"),
        ("nowhere.example", "/go", "any", "/"),
        ("nowhere.example", "/go/a%2Fb/c", "any", "/a%2Fb/c"),
        ("nowhere.example", "/%67o/x", "any", "/x"),
        ("nowhere.example", "/keep/x", "any", "/keep/x"),
        ("nowhere.example", "/gr%C3%BCn/x", "umlaut", "/x"),
        ("192.0.2.7", "/go/ip", "any", "/ip"),
    ] {
        let answer = world.get(host, path).await;
        assert_eq!(answer.status, 200, "{host} {path}: {answer:?}");
        let said = answer.json();
        assert_eq!((said["backend"].as_str(), said["target"].as_str()), (Some(app), Some(target)), "{host} {path}");
    }
    for (host, path) in [("nowhere.example", "/"), ("nowhere.example", "/gopher"), ("test", "/"), ("xtest", "/")] {
        assert_eq!(world.get(host, path).await.status, 404, "{host} {path}");
    }
}

#[tokio::test]
async fn apps_reach_each_other_by_name_within_their_project() {
    let world = World::start().await;
    let (own, unique) = (world.backend("own").await, world.backend("unique").await);
    let mut foreign = world.record("shop", vec![world.peer("foreign", closed_port(&world))]);
    foreign.project = "elsewhere".parse().expect("a name");
    foreign.peers[0].address = std::net::Ipv4Addr::new(10, 198, 255, 254);
    foreign.routes.clear();
    let mut shop = world.serving("shop", &[&own]);
    shop.routes.clear();
    let mut billing = world.serving("billing", &[&unique]);
    billing.routes.clear();
    world.flip(&[foreign]).await;
    world.flip(&[shop, billing]).await;

    // The test calls from the address of project t's own peers.
    assert_eq!(world.get("shop", "/").await.backend(), "own");
    assert_eq!(world.get("billing", "/").await.backend(), "unique");
    assert_eq!(world.get("nobody", "/").await.status, 404);
}

#[tokio::test]
async fn an_app_sees_the_proxys_word_on_where_a_request_came_from_and_not_the_clients() {
    let world = World::start().await;
    let backend = world.backend("r1").await;
    let mut record = world.serving("app", &[&backend]);
    record.routes.push(route("any", "/prefix", true));
    world.flip(&[record]).await;
    let request = |host: &str, path: &str| {
        format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\n\
             X-Forwarded-Host: evil\r\nX-Forwarded-Prefix: /evil\r\nForwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\n\
             Upgrade: h2c\r\nX-Request-ID: trace-1\r\nAccept-Language: de\r\nConnection: close\r\n\r\n"
        )
    };
    let headers = ask(world.target, &request("app.test:8080", "/x")).await.json()["headers"].clone();
    let gateway = world.gateway.to_string();
    for (name, expected) in [
        ("host", json!("app.test:8080")),
        ("x-forwarded-for", json!(gateway)),
        ("x-real-ip", json!(gateway)),
        ("x-forwarded-proto", json!("http")),
        ("x-forwarded-host", json!("app.test:8080")),
        ("x-request-id", json!("trace-1")),
        ("accept-language", json!("de")),
        ("upgrade", json!(null)),
        ("forwarded", json!(null)),
    ] {
        assert_eq!(headers[name], expected, "{name} among {headers}");
    }
    assert!(headers["connection"] != "close", "the client's hop is not the app's: {headers}");
    let prefixed = ask(world.target, &request("nowhere.example", "/prefix/x")).await.json();
    assert_eq!((&prefixed["headers"]["x-forwarded-prefix"], &prefixed["target"]), (&json!("/prefix"), &json!("/x")));
}

#[tokio::test]
async fn error_pages_name_nothing_of_what_runs_inside() {
    let world = World::start().await;
    let mut empty = world.record("secret-empty", Vec::new());
    empty.routes = vec![route("empty.test", "/", false)];
    let mut dead = world.record("secret-dead", vec![world.peer("secret-r1", closed_port(&world))]);
    dead.routes = vec![route("dead.test", "/", false)];
    world.flip(&[empty, dead]).await;

    for (host, status) in [("nowhere.example", 404), ("empty.test", 503), ("dead.test", 502)] {
        for accept in ["text/html", "application/json", "*/*"] {
            let head = format!("GET / HTTP/1.1\r\nHost: {host}\r\nAccept: {accept}\r\nConnection: close\r\n\r\n");
            let answer = ask(world.target, &head).await;
            assert_eq!(answer.status, status, "{host}");
            let said = format!("{}\n{}", answer.head, answer.body).to_lowercase();
            for inside in ["nginx", "lua", "openresty", "secret", "10.198", "deploy-apps", "upstream"] {
                assert!(!said.contains(inside), "`{inside}` in the answer of {host} to {accept}:\n{said}");
            }
            assert_eq!(accept == "text/html", answer.body.contains("<html"), "{accept}");
        }
    }
    assert!(ask(world.target, "GET / HTTP/1.1\r\nConnection: close\r\n\r\n").await.status == 400, "no Host");
}
