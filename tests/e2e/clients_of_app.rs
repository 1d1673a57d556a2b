//! Who may come to an app, what they may send, and what its answers say: changed by one flip, undone by a rollback.

use serde_json::json;

use crate::harness::{App, Host, Scenario, none_lost};

/// The status, and the value of the header that the app's file sets.
async fn answer(host: &Host, name: &str, body: &str) -> (u16, String) {
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let request = client.post(format!("http://{}/mark", host.address())).header("host", format!("{name}.localhost"));
    let answer = request.body(body.to_owned()).send().await.expect("an answer");
    let marked = answer.headers().get("x-mark").map_or("", |value| value.to_str().expect("text"));
    (answer.status().as_u16(), marked.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_change_by_one_flip_under_load_and_are_undone_by_a_rollback() {
    let app = App::new("web").env("RELEASE_MARK", "one");
    let other = App::new("other");
    let mut host = Scenario::new("clients-of-app").app(app).app(other).start().await;
    host.deploy(&["web", "other"]).await.succeeded();
    let (whole, large) = ("b".repeat(64 << 10), "b".repeat((64 << 10) + 1));
    let open = answer(&host, "web", "").await;
    let load = host.start(host.steady("web")).await;
    host.change("web", |app| {
        app.set("/x-deploy-apps/response_headers", json!({ "set": { "X-Mark": "first" } }))
            .set("/x-deploy-apps/max_body_size", json!("64k"))
            .set("/x-deploy-apps/timeouts", json!({ "read": "50s" }))
    });
    let changed = "changed: `x-deploy-apps.response_headers`, `x-deploy-apps.max_body_size`, `x-deploy-apps.timeouts`";
    host.deploy(&["plan", "web"]).await.exited(11).says(changed);
    host.deploy(&["web"]).await.succeeded();
    host.runs(&["web-r1-1", "other-r1-1"]).await;
    assert_eq!(answer(&host, "web", &whole).await, (open.0, "first".to_owned()));
    assert_eq!(answer(&host, "web", &large).await.0, 413);
    none_lost(&load.stop().await);

    host.change("web", |app| {
        let access = json!({ "deny": ["0.0.0.0/0", "::/0"] });
        app.env("RELEASE_MARK", "two").set("/x-deploy-apps/access", access)
    });
    host.deploy(&["web"]).await.succeeded();
    assert_eq!(answer(&host, "web", "").await, (403, String::new()), "health checks pass, clients do not");
    assert_eq!(answer(&host, "other", &large).await, open, "no neighbour has to do with it");
    std::fs::write(host.folder().join("busy.txt"), "come back tomorrow").expect("a page");
    host.change("web", |app| {
        app.set("/x-deploy-apps/access", json!(null))
            .set("/x-deploy-apps/error_pages", json!({ "429": "./busy.txt" }))
            .set("/x-deploy-apps/rate_limit", json!({ "requests": 1, "per": "24h", "burst": 1 }))
    });
    host.deploy(&["web"]).await.succeeded();
    answer(&host, "web", "").await;
    answer(&host, "web", "").await;
    assert_eq!(answer(&host, "web", "").await.0, 429, "two workers let no more than two through");
    assert_eq!(host.get("web", "/").await.body, "come back tomorrow", "a page of the app's own");
    host.deploy(&["rollback", "web"]).await.succeeded();
    assert_eq!(answer(&host, "web", &whole).await, (open.0, "first".to_owned()));
}
