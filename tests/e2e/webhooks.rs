//! `x-deploy-apps.notify`: who is told what, and that nobody who does not listen costs a deploy.

use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{App, Host, Receiver, Reply, Scenario, nobody};

/// Writes `notify` into the compose file as it is now.
fn notify(host: &Host, webhooks: Value) {
    let file = host.folder().join("compose.yaml");
    let mut compose: Value = serde_json::from_slice(&std::fs::read(&file).expect("a file")).expect("JSON");
    compose["x-deploy-apps"]["notify"] = webhooks;
    std::fs::write(file, compose.to_string()).expect("a writable folder");
}

fn bodies(receiver: &Receiver) -> Vec<Value> {
    receiver.received().iter().map(|received| serde_json::from_slice(&received.body).expect("JSON")).collect()
}

#[track_caller]
fn fits_its_schema(body: &Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schema/notify.json");
    let schema: Value = serde_json::from_slice(&std::fs::read(path).expect("the schema")).expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("a valid schema");
    let problems: Vec<String> = validator.iter_errors(body).map(|error| error.to_string()).collect();
    assert!(problems.is_empty(), "{problems:?}\n{body:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn success_and_failure_are_told_to_those_who_want_to_know() {
    let all = Receiver::start(&[Reply::Status(204)]).await;
    let failures = Receiver::start(&[Reply::Status(200)]).await;
    let mut host = Scenario::new("hooks").app(App::new("web")).start().await;
    let webhooks = json!([
        { "url": "${HOOK}", "headers": { "X-Token": "${TOKEN}" } },
        { "url": failures.url("/chat"), "on": "failure", "format": "slack" },
    ]);
    let deploy = async |host: &Host, args: &[&str]| {
        host.cli(args).env("HOOK", &all.url("/in?key=secret")).env("TOKEN", "t0ken").run().await
    };
    notify(&host, webhooks.clone());
    let output = deploy(&host, &["web"]).await.succeeded();
    assert!(!output.stderr.contains("warning:") && !output.stderr.contains("secret"), "{output}");
    let body = bodies(&all).pop().expect("it was told");
    assert_eq!(all.received()[0].headers["x-token"], "t0ken");
    assert_eq!(all.received()[0].headers["content-type"], "application/json");
    fits_its_schema(&body);
    assert_eq!((&body["v"], &body["status"], &body["command"]), (&json!(1), &json!("success"), &json!("deploy")));
    assert_eq!((&body["project"], &body["exit_code"], &body["error"]), (&json!(host.name()), &json!(0), &Value::Null));
    let app = &body["apps"][0];
    assert_eq!(app["app"], json!(format!("{}/web", host.name())));
    assert_eq!((&app["from"], &app["to"], &app["outcome"]), (&Value::Null, &json!(1), &json!("completed")));
    assert!(app["urls"][0].as_str().is_some_and(|url| url.starts_with("http://web.localhost:")), "{body:#}");
    assert_eq!(failures.received().len(), 0);

    // Nothing has changed, so there is nothing to tell.
    deploy(&host, &["web"]).await.succeeded();
    assert_eq!(all.received().len(), 1);

    host.change("web", |app| app.fault("unhealthy").set("/x-deploy-apps/health/timeout", json!("2s")));
    notify(&host, webhooks);
    deploy(&host, &["web"]).await.exited(1);
    let body = bodies(&all).pop().expect("it was told");
    fits_its_schema(&body);
    assert_eq!((&body["status"], &body["exit_code"]), (&json!("failure"), &json!(1)));
    let app = &body["apps"][0];
    assert_eq!((&app["from"], &app["to"], &app["outcome"]), (&json!(1), &json!(2), &json!("rolled_back")));
    assert!(app["error"].as_str().is_some_and(|error| error.contains("healthy")), "{body:#}");
    let chat = bodies(&failures).pop().expect("it was told");
    let text = chat["text"].as_str().expect("a text");
    assert!(text.starts_with(&format!("✘ deploy of {} failed, by ", host.name())), "{text}");
    assert!(text.contains("\n• web r1 → r2 ") && text.contains(": rolled back ("), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_https_webhooks_and_traces_go_only_to_whom_the_machine_trusts() {
    let hook = Receiver::start_tls(&[Reply::Status(204)]).await;
    let collector = Receiver::start_tls(&[Reply::Status(200)]).await;
    let host = Scenario::new("https-hooks").app(App::new("web")).start().await;
    notify(&host, json!([{ "url": hook.url("/in") }]));
    let deploy = || host.cli(&["web", "--force"]).env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url(""));
    // An authority that this machine does not know: nothing is sent, and the deploy is as good as ever.
    let output = deploy().run().await.succeeded();
    let warning =
        |start: &str| output.stderr.lines().any(|line| line.starts_with(start) && line.contains("ertificate"));
    assert!(warning("warning: webhook `localhost:") && warning("warning: the trace was not exported"), "{output}");
    assert_eq!((hook.received().len(), collector.received().len()), (0, 0));

    let output = deploy().env("SSL_CERT_FILE", hook.authority()).run().await.succeeded();
    assert!(!output.stderr.contains("warning: webhook"), "{output}");
    assert_eq!(bodies(&hook).pop().expect("it was told")["status"], "success");
    let output = deploy().env("SSL_CERT_FILE", collector.authority()).run().await.succeeded();
    assert!(!output.stderr.contains("warning: the trace"), "{output}");
    assert!(collector.received().iter().any(|received| received.path == "/v1/traces"), "{output}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_listen_costs_no_deploy() {
    let recovers = Receiver::start(&[Reply::Status(500), Reply::Status(429), Reply::Status(200)]).await;
    let broken = Receiver::start(&[Reply::Status(503)]).await;
    let picky = Receiver::start(&[Reply::Status(404)]).await;
    let moved = Receiver::start(&[Reply::Status(302)]).await;
    let silent = Receiver::start(&[Reply::Silence]).await;
    let gone = nobody();
    let host = Scenario::new("deaf-hooks").app(App::new("web")).start().await;
    let url = |receiver: &Receiver| json!({ "url": receiver.url("/secret"), "timeout": "1s" });
    let webhooks = json!([url(&recovers), url(&broken), url(&picky), url(&moved), url(&silent), { "url": format!("http://{gone}/secret") }]);
    notify(&host, webhooks);
    let output = host.deploy(&["web"]).await.succeeded();
    let warnings: Vec<&str> = output.stderr.lines().filter(|line| line.starts_with("warning: webhook")).collect();
    let warning =
        |place: String, reason: &str| format!("warning: webhook `{place}` could not be called, tried {reason}");
    let wanted = [
        warning(broken.place(), "3 times: it answered 503 Service Unavailable"),
        warning(picky.place(), "once: it answered 404 Not Found"),
        warning(moved.place(), "once: it answered 302 Found"),
        warning(silent.place(), "once: no answer within 1s"),
        warning(gone.to_string(), "3 times: Connection refused (os error 111)"),
    ];
    assert_eq!(warnings, wanted, "{output}");
    assert!(!output.stderr.contains("secret"), "{output}");
    let counts = [&recovers, &broken, &picky, &moved, &silent].map(|receiver| receiver.received().len());
    assert_eq!(counts, [3, 3, 1, 1, 1]);
    // The last word about the deploy itself came first.
    assert!(output.stdout.contains("r1"), "{output}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_that_is_none_is_refused_before_anything_is_done() {
    let host = Scenario::new("bad-hook").app(App::new("web")).start().await;
    let text = "services: { web: { image: \"a:1\", x-deploy-apps: { port: 80 } } }\nx-deploy-apps:\n  notify: [{ url: \"${HOOK}\" }]\n";
    std::fs::write(host.folder().join("compose.yaml"), text).expect("a writable folder");
    let output = host.cli(&["web"]).env("HOOK", "hooks.example.com/secret").run().await.exited(5);
    let says = "error: compose.yaml:3:19: `url` must be an `http://` or `https://` URL\n  3 |   notify: [{ url: \"${HOOK}\" }]\n    |                   ^^^^^^^^^\n\
                hint: its value is not shown, because it may hold a token; check the variable it comes from\n";
    assert_eq!(output.stderr, says);
}
