//! Redirects of an app: changed by one flip, undone by a rollback.

use serde_json::{Value, json};

use crate::harness::{App, Host, Scenario, none_lost};
use crate::schema::validates;

/// The status and the address that a client gets, with the port of the host taken out.
async fn answer(host: &Host, name: &str, path: &str) -> (u16, String) {
    let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build();
    let port = format!(":{}", host.address().port());
    let request = client.expect("a client").get(format!("http://{}{path}", host.address()));
    let answer = request.header("host", format!("{name}{port}")).send().await.expect("an answer");
    let location = answer.headers().get("location").map_or("", |value| value.to_str().expect("text"));
    (answer.status().as_u16(), location.replace(&port, ":PORT"))
}

async fn drift(host: &Host) -> Vec<String> {
    let output = host.cli(&["status", "--format", "json"]).run().await;
    let document: Value = serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}\n{output}"));
    validates("status", &document);
    let drift = document["apps"][0]["drift"].as_array().expect("a list").iter();
    drift.map(|drift| format!("{}: {}", drift["kind"], drift["text"])).collect()
}

fn redirects(app: App, list: Value) -> App {
    app.set("/x-deploy-apps/redirects", list)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn change_by_one_flip_under_load_and_are_undone_by_a_rollback() {
    let www = |status: u16| json!([{ "host": "www.web.localhost", "to": "web.localhost", "status": status }]);
    let app = redirects(App::new("web").env("RELEASE_MARK", "one"), www(301));
    let mut host = Scenario::new("redirects").app(app).start().await;
    host.deploy(&["web"]).await.succeeded();
    let moved = |status| (status, "http://web.localhost:PORT/a/b?c=d".to_owned());
    assert_eq!(answer(&host, "www.web.localhost", "/a/b?c=d").await, moved(301));
    assert_eq!(answer(&host, "web.localhost", "/mark").await, (200, String::new()));

    let load = host.start(host.steady("web")).await;
    host.change("web", |app| redirects(app, www(308)));
    let changed = "changed: `x-deploy-apps.redirects`";
    host.deploy(&["plan", "web"]).await.exited(11).says(changed);
    assert_eq!(drift(&host).await, [format!("\"redirects\": \"{changed}\"")]);
    host.deploy(&["web"]).await.succeeded();
    assert_eq!(answer(&host, "www.web.localhost", "/a/b?c=d").await, moved(308));
    host.runs(&["web-r1-1"]).await;
    host.deploy(&["web"]).await.succeeded().says("up to date");
    assert_eq!(drift(&host).await, [""; 0]);

    host.change("web", |app| redirects(app.env("RELEASE_MARK", "two"), json!([{ "path": "/a", "to": "/b" }])));
    host.deploy(&["web"]).await.succeeded();
    assert_eq!(answer(&host, "web.localhost", "/a/b?c=d").await, (307, "http://web.localhost:PORT/b/b?c=d".to_owned()));
    assert_eq!(answer(&host, "www.web.localhost", "/").await.0, 404, "the file names it no more");
    host.deploy(&["rollback", "web"]).await.succeeded();
    assert_eq!(answer(&host, "web.localhost", "/a/b?c=d").await.1, "", "r1 had none of `/a`");
    let kept = &host.record("web").await.expect("a record").settings.redirects;
    assert_eq!(kept.iter().map(ToString::to_string).collect::<Vec<_>>(), ["www.web.localhost/ to web.localhost (308)"]);
    none_lost(&load.stop().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_ones_are_refused_with_their_place() {
    let host = Scenario::new("redirects-bad").app(redirects(App::new("web"), json!([{ "path": "/a", "to": "/a/b" }])));
    let host = host.start().await;
    let refused = host.deploy(&["web"]).await.exited(5);
    refused.says("the redirect of */a to /a/b (307) leads to itself").says("hint: name another host");
    assert!(host.containers().await.is_empty());
}
