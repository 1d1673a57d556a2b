//! Several projects behind one proxy: none takes what is another's.

use std::process::Command;

use deploy_apps::model::{AppRecord, Generation, Route};
use deploy_apps::ports::{Proxy, ProxyError};

use crate::backend::Backend;
use crate::world::{World, change, key};

fn route(host: Option<&str>, path: &str) -> Route {
    Route { host: host.map(str::to_owned), path: path.to_owned(), strip: false, tls: None }
}

/// An app of the project that the backend's replica serves. Its peer has an address of its own, which is nobody's.
fn app(world: &World, project: &str, name: &str, backend: &Backend, routes: Vec<Route>) -> AppRecord {
    let mut record = world.serving(name, &[backend]);
    record.project = project.parse().expect("a name");
    record.routes = routes;
    record
}

#[tokio::test]
async fn rejects_a_route_within_that_of_another_project() {
    let world = World::start().await;
    let backend = world.backend("r1").await;
    let owned = vec![
        route(Some("shop.test"), "/"),
        route(Some("docs.test"), "/api"),
        route(Some("*.wild.test"), "/"),
        route(None, "/"),
        route(None, "/go"),
    ];
    world.flip(&[app(&world, "first", "web", &backend, owned)]).await;
    let lease = world.lease(&["second/web", "first/admin"]).await.expect("free leases");
    let flip = async |record: &AppRecord, expected: u64| {
        world.control.flip(&lease, &[change(record)], &[Generation(expected)]).await
    };
    for (host, path) in [
        (Some("shop.test"), "/admin"),
        (Some("SHOP.test"), "/admin/"),
        (Some("docs.test"), "/api/v2"),
        (Some("*.wild.test"), "/x"),
        (None, "/go/on"),
    ] {
        let refused = flip(&app(&world, "second", "web", &backend, vec![route(host, path)]), 0).await.expect_err(path);
        assert!(
            matches!(&refused, ProxyError::RouteConflict { app, other, .. }
                if *app == key("second/web") && *other == key("first/web")),
            "{refused:?}"
        );
    }
    let beside = vec![
        route(Some("docs.test"), "/"),
        route(Some("docs.test"), "/apis"),
        route(Some("a.wild.test"), "/x"),
        route(Some("www.shop.test"), "/"),
        route(None, "/gopher"),
    ];
    let mut second = app(&world, "second", "web", &backend, beside);
    assert_eq!(flip(&second, 0).await, Ok(Generation(2)));
    // Within a project the more specific route is what somebody has asked for.
    let admin = app(&world, "first", "admin", &backend, vec![route(Some("shop.test"), "/admin")]);
    assert_eq!(flip(&admin, 0).await, Ok(Generation(3)));
    // What another project had first does not keep an app from its next release.
    second.routes.push(route(Some("docs.test"), "/api/v3"));
    assert!(matches!(flip(&second, 2).await, Err(ProxyError::RouteConflict { .. })));
    second.routes.pop();
    second.version = "2.0.0+2".to_owned();
    assert_eq!(flip(&second, 2).await, Ok(Generation(4)));
}

/// A container in the proxy's network that asks for `http://<host><path>` and tells which backend has answered.
async fn calls(world: &World, container: &str, host: &str, path: &str) -> String {
    let address = world.target.ip();
    let script = format!(
        "(printf 'GET {path} HTTP/1.1\\r\\nHost: {host}\\r\\nConnection: close\\r\\n\\r\\n'; sleep 1) | socat -t9 - TCP:{address}:80"
    );
    let arguments = ["run", "--rm", "--name", container, "--network", &world.network(), "--entrypoint", "sh"];
    let mut command = Command::new("docker");
    command.args(arguments).args([World::image().as_str(), "-c", &script]);
    let output = tokio::task::spawn_blocking(move || command.output()).await.expect("no panic").expect("a container");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let (head, body) = said.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {output:?}"));
    match head.split(' ').nth(1) {
        Some("200") => serde_json::from_str::<serde_json::Value>(body).expect("JSON")["backend"].to_string(),
        status => status.unwrap_or("none").to_owned(),
    }
}

#[tokio::test]
async fn whoever_calls_reaches_its_own_project_first() {
    let world = World::start().await;
    // Containers are named by their project; these names are this test's alone.
    let (shop, shop_web, thief) = (world.name().to_owned(), format!("{}-web", world.name()), "thief".to_owned());
    let (one, two, captor) = (world.backend("one").await, world.backend("two").await, world.backend("captor").await);
    let far = |mut record: AppRecord| {
        record.peers.iter_mut().for_each(|peer| peer.id = format!("{}-{}", record.project, peer.id));
        record
    };
    world
        .flip(&[
            far(app(&world, &shop, "back", &one, vec![])),
            far(app(&world, &shop_web, "back", &two, vec![])),
            far(app(&world, &thief, "web", &captor, vec![route(Some("back"), "/")])),
        ])
        .await;

    // A release command, a replica before its flip, and an accessory: the table knows none of them.
    for (container, backend) in [
        (format!("{shop}-front-r1-release"), "\"one\""),
        (format!("{shop}-front-r1-1"), "\"one\""),
        (format!("{shop}-cron-1"), "\"one\""),
        (format!("{shop_web}-front-r12-pre-start-2"), "\"two\""),
        ("thief-other-r1-1".to_owned() + &shop, "\"captor\""),
    ] {
        assert_eq!(calls(&world, &container, "back", "/").await, backend, "{container}");
    }
}
