//! Basic auth of an app: passwords from a file, asked for by one flip, and shown nowhere.

use serde_json::{Value, json};

use crate::harness::{App, Host, Scenario, none_lost};

/// Of `secret`.
const HASH: &str = "$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW";

async fn status(host: &Host, name: &str, password: Option<&str>) -> u16 {
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let request = client.get(format!("http://{}/mark", host.address())).header("host", format!("{name}.localhost"));
    let request = match password {
        Some(_) => request.basic_auth("ann", password),
        None => request,
    };
    request.send().await.expect("an answer").status().as_u16()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passwords_are_asked_for_by_one_flip_and_hashes_are_shown_nowhere() {
    let mut host = Scenario::new("basic-auth").app(App::new("web")).app(App::new("other")).start().await;
    host.deploy(&["web", "other"]).await.succeeded();
    let load = host.start(host.steady("other")).await;
    let file = host.folder().join("htpasswd");
    let users = |text: String| std::fs::write(&file, text).expect("a file");
    users("ann:$apr1$salt$hash\n".to_owned());
    host.change("web", |app| app.set("/x-deploy-apps/basic_auth", json!({ "users": "./htpasswd" })));
    host.deploy(&["web"]).await.exited(5).says("is Apache's MD5 (`$apr1$`), and only bcrypt is taken");
    assert_eq!(status(&host, "web", None).await, 200, "nothing has changed");

    users(format!("ann:{HASH}\n"));
    let plan = host.folder().join("plan.json");
    let plan = plan.to_str().expect("text");
    let shown = host.deploy(&["plan", "web", "--format", "json", "--out", plan]).await.exited(11);
    let saved = std::fs::read_to_string(plan).expect("a plan");
    host.deploy(&["--plan-file", plan]).await.succeeded();
    host.runs(&["other-r1-1", "web-r1-1"]).await;
    for password in [None, Some("wrong"), Some("")] {
        assert_eq!(status(&host, "web", password).await, 401, "{password:?}");
    }
    assert_eq!(status(&host, "web", Some("secret")).await, 200);
    assert_eq!(status(&host, "other", None).await, 200);
    host.deploy(&["web"]).await.succeeded().says("up to date");

    host.change("web", |app| app.env("RELEASE_MARK", "two").set("/x-deploy-apps/basic_auth", Value::Null));
    host.deploy(&["web"]).await.succeeded();
    assert_eq!(status(&host, "web", None).await, 200);
    host.deploy(&["rollback", "web"]).await.exited(6).says("`x-deploy-apps.basic_auth.users`");
    host.change("web", |app| app.set("/x-deploy-apps/basic_auth", json!({ "users": "./htpasswd" })));
    host.deploy(&["rollback", "web"]).await.succeeded();
    assert_eq!((status(&host, "web", None).await, status(&host, "web", Some("secret")).await), (401, 200));
    none_lost(&load.stop().await);

    let inspected = crate::harness::docker(&["inspect", &format!("{}-web-r1-1", host.name())]);
    let state = format!("{}-proxy", host.name());
    let files = crate::harness::docker(&[
        "exec",
        &state,
        "sh",
        "-c",
        "cat /var/lib/deploy-apps/history.jsonl /var/lib/deploy-apps/releases/*/*",
    ]);
    let history = host.deploy(&["history", "web", "--format", "json"]).await.succeeded().stdout;
    let status = host.deploy(&["status", "--format", "json"]).await.succeeded().stdout;
    for (what, text) in [
        ("plan", shown.stdout.as_str()),
        ("saved plan", saved.as_str()),
        ("labels", inspected.as_str()),
        ("releases and history", files.as_str()),
        ("history", history.as_str()),
        ("status", status.as_str()),
    ] {
        assert!(!text.is_empty() && !text.contains("2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW"), "{what}: {text}");
    }
}
