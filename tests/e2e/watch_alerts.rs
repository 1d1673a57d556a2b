//! Alerts: the sample system is broken for real, and the mail that arrives is read, and the one that it is over.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use deploy_apps::load::Traffic;

use crate::harness::{DEADLINE, Host, docker, eventually, forget_mails, hurry, mailed, over, sample, sum, told};

/// Of the sample's compose file.
fn edit(host: &Host, from: &str, to: &str) {
    let file = host.folder().join("compose.yaml");
    let text = fs::read_to_string(&file).expect("the compose file");
    assert!(text.contains(from), "no `{from}` in the sample");
    fs::write(file, text.replacen(from, to, 1)).expect("a writable folder");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_breaks_is_read_in_a_mail_and_so_is_its_end() {
    let host = sample("alerts").await;
    hurry(&host);
    let watchers = ["blackbox-exporter", "redis-exporter", "container-metrics", "mail", "alertmanager", "prometheus"];
    host.deploy(&[&["go-app", "redis"], &watchers[..]].concat()).await.succeeded();
    let container = |name: &str| format!("{}-{name}", host.name());
    objectives_burn(&host).await;

    forget_mails(&host).await;
    let load = host.load("go-app").send_every(2, Duration::from_millis(50), Traffic::get("/"));
    let load = host.start(load).await;

    // One replica, then all of them. `docker stop` is final: nothing but a human brings them back.
    let (one, other) = (container("go-app-r1-1"), container("go-app-r1-2"));
    docker(&["stop", &one]);
    told(&host, "ReplicaDown", "ticket", "1 replica of release 1 is left out").await;
    docker(&["stop", &other]);
    told(&host, "AppDown", "page", "`go-app` of `").await;
    docker(&["start", &one, &other]);
    over(&host, "AppDown").await;
    over(&host, "ReplicaDown").await;
    load.stop().await;

    forget_mails(&host).await;
    // A deploy that is undone, and a good one, whose drain limit cuts a request.
    let (command, drain) = ("stop_grace_period: 10s", "drain: { timeout: 60s,");
    let broken = format!("{command}\n    entrypoint: [/not-there]");
    edit(&host, command, &broken);
    assert_eq!(host.deploy(&["go-app"]).await.code, Some(1));
    told(&host, "DeployFailed", "ticket", "the release before serves").await;
    edit(&host, &broken, command);
    edit(&host, drain, "drain: { timeout: 1s,");
    let sleepers = host.load("go-app").send(3, Traffic::sleeper("/sleep?for=60s"));
    let sleepers = host.start(sleepers).await;
    host.in_flight("go-app", |open| open.requests >= 3).await;
    let output = host.deploy(&["go-app", "--force", "--format", "json"]).await.succeeded();
    assert!(sum(&output.events("drained"), "/cut/requests") >= 3, "{output}");
    // Not stopped: they would wait for the requests that they have begun again.
    drop(sleepers);
    over(&host, "DeployFailed").await;
    told(&host, "DrainCutRequests", "ticket", "broke off").await;
    over(&host, "DrainCutRequests").await;
    a_deploy_is_stuck(&host).await;

    forget_mails(&host).await;
    // The one way to all apps.
    let proxy = container("proxy");
    docker(&["stop", "-t", "2", &proxy]);
    told(&host, "ProxyDown", "page", "can be reached while its nginx is away").await;
    docker(&["start", &proxy]);
    over(&host, "ProxyDown").await;

    forget_mails(&host).await;
    // The database behind the apps.
    let redis = container("redis-1");
    docker(&["stop", &redis]);
    told(&host, "RedisDown", "page", "has found no Redis").await;
    docker(&["start", &redis]);
    over(&host, "RedisDown").await;

    forget_mails(&host).await;
    // A watcher that is gone is missed by the others. The alert that always fires is never mailed.
    docker(&["stop", &container("redis-exporter-1")]);
    told(&host, "TargetMissing", "ticket", "`redis-exporter:9121` does not answer").await;
    docker(&["start", &container("redis-exporter-1")]);
    mailed(&host, "RESOLVED", "TargetMissing", "`redis-exporter:9121`").await;

    forget_mails(&host).await;
    a_container_has_too_little_memory(&host).await;
    let mails = docker(&["logs", &container("mail-1")]);
    assert!(mails.contains("mail taken") && !mails.contains("Watchdog"), "{mails}");
}

/// Answers are wrong and late while the app itself is up.
async fn objectives_burn(host: &Host) {
    // Nothing listens on port 80 in its own container, so its answer is a 502.
    let wrong = Traffic::get("/chain?to=localhost/version");
    let load = host.load("go-app").send_every(2, Duration::from_millis(500), wrong);
    let load = host.start(load.send(4, Traffic::sleeper("/sleep?for=1s"))).await;
    told(host, "ErrorBudgetBurn", "page", "spends its month of availability in two days").await;
    told(host, "LatencyBudgetBurn", "page", "spends its month of latency in two days").await;
    load.stop().await;
    over(host, "ErrorBudgetBurn").await;
    over(host, "LatencyBudgetBurn").await;
}

/// Nobody can serve: the new release does not become healthy, and the old one, which it has replaced, cannot come back.
async fn a_deploy_is_stuck(host: &Host) {
    forget_mails(host).await;
    let whole = fs::read_to_string(host.folder().join("compose.yaml")).expect("the compose file");
    edit(host, "environment: *traced", "environment: { PORT: \"8099\" }");
    edit(host, "deploy:\n", "deploy:\n      update_config: { order: stop-first }\n");
    edit(host, "successes: 2, timeout: 30s", "successes: 2, timeout: 10s");
    let serving: Vec<String> = host.containers().await.into_iter().map(|container| container.name).collect();
    let serving: Vec<&String> = serving.iter().filter(|name| name.contains("-go-app-")).collect();
    let deploy = host.cli(&["go-app"]).spawn();
    let state = |name: &str| docker(&["inspect", "--format", "{{.State.Status}}", name]);
    let stopped = async || serving.iter().find(|name| state(name) == "exited");
    let gone = eventually("a replica of the old release is stopped", DEADLINE, stopped).await;
    docker(&["rm", gone]);
    deploy.finish().await.exited(4);
    told(host, "DeployStuck", "page", "it is not known which release the proxy routes to").await;
    fs::write(host.folder().join("compose.yaml"), whole).expect("a writable folder");
    host.deploy(&["go-app"]).await.succeeded();
    over(host, "DeployStuck").await;
}

/// More than the 64 MB that the exporter may have, in a process beside its own: the kernel takes the larger one.
async fn a_container_has_too_little_memory(host: &Host) {
    let name = format!("{}-redis-exporter-1", host.name());
    docker(&["exec", &name, "sh", "-c", "head -c 200m /dev/zero | tail"]);
    told(host, "ContainerOutOfMemory", "ticket", "-redis-exporter-1` was killed").await;
    over(host, "ContainerOutOfMemory").await;
}

/// What follows `prefix` in the lines of all files of a folder.
fn found_in(folder: &Path, prefix: &str) -> BTreeSet<String> {
    let files = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("a file").path());
    let texts = files.filter(|path| path.is_file()).map(|path| fs::read_to_string(path).expect("a text"));
    let lines = |text: String| {
        text.lines().filter_map(|line| line.trim().strip_prefix(prefix).map(str::to_owned)).collect::<Vec<_>>()
    };
    texts.flat_map(lines).collect()
}

#[test]
fn each_alert_has_a_section_in_the_runbooks_a_test_and_a_link_and_each_section_an_alert() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let prometheus = repository.join("stack/prometheus");
    let alerts = found_in(&prometheus.join("rules"), "- alert: ");
    assert!(alerts.len() > 25, "{alerts:?}");
    let runbooks = fs::read_to_string(repository.join("docs/sample/runbooks.md")).expect("the runbooks");
    let sections: BTreeSet<String> =
        runbooks.lines().filter_map(|line| line.strip_prefix("## ")).map(str::to_owned).collect();
    assert_eq!(alerts, sections, "alerts, and sections of docs/sample/runbooks.md");
    let links = found_in(&prometheus.join("rules"), "runbook_url: docs/sample/runbooks.md#");
    assert_eq!(links, alerts.iter().map(|name| name.to_lowercase()).collect(), "the alerts' links");
    let tests = fs::read_dir(prometheus.join("tests")).expect("a folder").flatten();
    let tests: String = tests.map(|file| fs::read_to_string(file.path()).expect("a text")).collect();
    let untested: Vec<&String> = alerts
        .iter()
        .filter(|name| {
            let by_name = [format!("alertname: {name}"), format!("alertname=\"{name}\"")];
            !by_name.iter().any(|text| tests.contains(text))
        })
        .collect();
    assert!(untested.is_empty(), "no test of {untested:?}");
}

/// An image of the stack, from the engine's cache where nothing has changed.
fn image(component: &str, target: &[&str]) -> String {
    let context = format!("{}/stack/{component}", env!("CARGO_MANIFEST_DIR"));
    let tag = format!("deploy-apps-test-{component}");
    let built = docker(&[&["build", "-q", "-t", &tag], target, &[&context]].concat());
    assert!(built.contains("sha256:"), "{built}");
    tag
}

#[test]
fn the_settings_of_mails_are_filled_in_checked_and_lead_to_the_right_people() {
    let image = image("alertmanager", &[]);
    let run = |args: &[&str]| docker(&[&["run", "--rm"], args].concat());
    let script = "start-alertmanager render > /tmp/a.yml && amtool check-config /tmp/a.yml && \
        for s in page ticket; do amtool config routes test --config.file=/tmp/a.yml severity=$s alertname=AppDown; done; \
        amtool config routes test --config.file=/tmp/a.yml severity=none alertname=Watchdog";
    let told = run(&["--entrypoint", "sh", &image, "-c", script]);
    let receivers: Vec<&str> = told.lines().filter(|line| ["pages", "tickets", "silent"].contains(line)).collect();
    assert_eq!(receivers, ["pages", "tickets", "silent"], "{told}");

    // A server of one's own: TLS by default, and the password is never in the configuration.
    let own =
        ["-e", "SMTP_HOST=smtp.example.test:587", "-e", "SMTP_USER=ann", "-e", "SMTP_PASSWORD_FILE=/etc/hostname"];
    let rendered = run(&[&own[..], &[&image, "render"]].concat());
    for part in [
        "smtp_smarthost: \"smtp.example.test:587\"",
        "smtp_require_tls: true",
        "smtp_auth_username: \"ann\"",
        "smtp_auth_password_file: \"/etc/hostname\"",
    ] {
        assert!(rendered.contains(part), "no `{part}` in\n{rendered}");
    }
    let refused = run(&["-e", "SMTP_USER=ann", &image]);
    assert!(
        refused.contains("error: `SMTP_USER` is set, but `/run/secrets/smtp_password` holds no password"),
        "{refused}"
    );
    let refused = run(&["-e", "ALERT_GROUP_WAIT=soon", &image]);
    assert!(refused.contains("not a valid duration string") && refused.contains("hint: "), "{refused}");
}
