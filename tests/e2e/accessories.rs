//! Accessories that are asked for: created, replaced with their data kept, and back again when the new one fails.

use serde_json::{Value, json};

use crate::harness::{App, Host, Scenario, docker, none_lost};

/// Writes `line` into its volume, and then does what `then` says.
fn notebook(line: &str, then: &str) -> Value {
    json!({
        "image": "debian:trixie-slim",
        "pull_policy": "never",
        "restart": "unless-stopped",
        "init": true,
        "environment": { "LINE": line },
        "command": ["sh", "-c", format!("echo \"$$LINE\" >>/data/lines; {then}")],
        "volumes": ["lines:/data"],
        "healthcheck": { "test": "test -s /data/lines", "interval": "1s", "start_interval": "200ms", "start_period": "5s" },
    })
}

pub fn accessory(name: &str, service: Value) -> App {
    let mut app = App::new(name);
    for part in ["build", "stop_grace_period", "environment", "deploy", "x-deploy-apps"] {
        app = app.set(part, json!(null));
    }
    for (key, value) in service.as_object().expect("an object") {
        app = app.set(key, value.clone());
    }
    app
}

/// What the service has written, and the container that runs it.
fn lines(host: &Host) -> (String, String) {
    let filter = format!("label=deploy-apps.project={}", host.name());
    let service = "label=deploy-apps.service=notebook";
    let name = docker(&["ps", "--filter", &filter, "--filter", service, "--format", "{{.Names}}"]);
    let text = docker(&["exec", name.trim(), "cat", "/data/lines"]);
    (text.split_whitespace().collect::<Vec<_>>().join(" "), name.trim().replace(host.name(), "PROJECT"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_nothing_depends_on_comes_by_its_name_and_changes_by_its_name() {
    let tool = accessory(
        "tool",
        json!({ "image": "debian:trixie-slim", "pull_policy": "never", "profiles": ["tools"],
        "command": ["sleep", "infinity"], "init": true }),
    );
    let book = accessory("notebook", notebook("one", "exec sleep infinity"));
    let mut host = Scenario::new("accessory")
        .app(App::new("web"))
        .app(book)
        .app(tool)
        .section("volumes", json!({ "lines": {} }))
        .start()
        .await;
    host.deploy(&["web"]).await.succeeded();
    host.runs(&["web-r1-1"]).await;
    let output = host.deploy(&["notebook"]).await.succeeded();
    assert!(output.stdout.contains("✔ created"), "{output}");
    assert_eq!(lines(&host), ("one".to_owned(), "PROJECT-notebook-1".to_owned()));
    let again = host.deploy(&["notebook"]).await.succeeded();
    assert!(again.stdout.contains("unchanged"), "{again}");

    let load = host.steady_load("web").await;
    host.change("notebook", |_| accessory("notebook", notebook("two", "exec sleep infinity")));
    let warned = host.deploy(&["--all"]).await.succeeded();
    let warning =
        "accessory `notebook` differs from the compose file and is left as it is; `deploy-apps notebook` replaces it";
    assert!(warned.stderr.contains(warning), "{warned}");
    let tool = format!("name={}-tool-1", host.name());
    assert!(docker(&["ps", "-q", "--filter", &tool]).is_empty(), "nobody has chosen its profile");
    host.deploy(&["--all", "--profile", "tools"]).await.succeeded();
    assert!(!docker(&["ps", "-q", "--filter", &tool]).is_empty(), "its profile is chosen");
    let output = host.deploy(&["notebook"]).await.succeeded();
    assert!(output.stdout.contains("✔ replaced"), "{output}");
    assert_eq!(lines(&host), ("one two".to_owned(), "PROJECT-notebook-2".to_owned()));

    host.change("notebook", |_| accessory("notebook", notebook("three", "exit 3")));
    let output = host.deploy(&["notebook"]).await.exited(1);
    assert!(output.stdout.contains("✘ failed, the previous one runs again"), "{output}");
    let (text, name) = lines(&host);
    assert!(text.starts_with("one two three") && text.ends_with("two"), "{text}");
    assert_eq!(name, "PROJECT-notebook-2");
    let web = host.containers().await.into_iter().find(|container| container.name.contains("-web-")).expect("web");
    assert!(web.name.ends_with("web-r1-1"), "an accessory's change is none of the apps'");
    none_lost(&load.stop().await);

    let output = host.deploy(&["--replicas", "2", "notebook"]).await.exited(2);
    assert!(output.stderr.contains("error: `notebook` is an accessory, and has no replicas"), "{output}");
    host.deploy(&["down", "--yes", "--volumes"]).await.succeeded();
}

/// A real one, whose numbers are in memory until they are saved.
fn redis(command: &[&str], backup: &Value) -> Value {
    json!({
        "image": REDIS,
        "pull_policy": "never",
        "restart": "unless-stopped",
        "user": "0:0",
        "command": command,
        "volumes": ["numbers:/data", "backups:/backups"],
        "x-deploy-apps": { "backup": backup },
    })
}

const REDIS: &str = "e2e-redis:cached";
const SERVER: [&str; 6] = ["redis-server", "--save", "", "--dir", "/data", "--appendonly"];

fn in_redis(host: &Host, command: &[&str]) -> String {
    let project = format!("label=deploy-apps.project={}", host.name());
    let name =
        docker(&["ps", "--filter", &project, "--filter", "label=deploy-apps.service=redis", "--format", "{{.Names}}"]);
    docker(&[&["exec", &name][..], command].concat())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_is_backed_up_before_it_is_replaced_and_stays_when_that_fails() {
    crate::harness::of_sample(std::path::Path::new(env!("CARGO_MANIFEST_DIR")), &["redis"]).await;
    let no = [&SERVER[..], &["no"]].concat();
    let yes = [&SERVER[..], &["no", "--maxmemory", "64mb"]].concat();
    let save = json!({ "command": ["sh", "-c", "redis-cli --rdb /backups/dump.rdb >/dev/null 2>&1 && echo saved"], "timeout": "1m" });
    let mut host = Scenario::new("backup")
        .app(App::new("web"))
        .app(accessory("redis", redis(&no, &save)))
        .section("volumes", json!({ "numbers": {}, "backups": {} }))
        .start()
        .await;
    host.deploy(&["web", "redis"]).await.succeeded();
    in_redis(&host, &["redis-cli", "set", "visits", "41"]);
    assert_eq!(in_redis(&host, &["ls", "/backups"]), "", "a first deploy has nothing to save");

    let broken = json!(["sh", "-c", "echo the disk is full; exit 5"]);
    host.change("redis", |_| accessory("redis", redis(&yes, &broken)));
    let failed = host.deploy(&["redis"]).await.exited(1);
    failed.says("exited with code 5").says("the disk is full").says("`--no-backup`");
    assert_eq!(in_redis(&host, &["redis-cli", "get", "visits"]), "41", "the old one goes on");
    assert_eq!(in_redis(&host, &["hostname"]).len(), 12);

    host.change("redis", |_| accessory("redis", redis(&yes, &save)));
    let planned = host.deploy(&["plan", "redis"]).await.exited(11);
    let steps = planned.stdout.clone();
    let at = |text: &str| steps.find(text).unwrap_or_else(|| panic!("no `{text}` in {steps}"));
    assert!(at("back up with `sh -c redis-cli --rdb /backups/dump.rdb") < at("stop "), "{steps}");
    let output = host.deploy(&["redis"]).await.succeeded();
    assert!(output.stderr.contains("backed up in ") && output.stderr.contains(": saved"), "{output}");
    assert_eq!(in_redis(&host, &["redis-cli", "config", "get", "maxmemory"]).replace('\n', " "), "maxmemory 67108864");
    // It keeps nothing by itself, so what it has now is only in the backup.
    assert_eq!(in_redis(&host, &["redis-cli", "get", "visits"]), "");
    let restored = [
        "sh",
        "-c",
        "cp /backups/dump.rdb /tmp && redis-server --port 7000 --dir /tmp --daemonize yes >/dev/null \
                    && until redis-cli -p 7000 ping | grep -q PONG; do sleep 0.1; done; redis-cli -p 7000 get visits",
    ];
    assert_eq!(in_redis(&host, &restored), "41");

    // The file has it no more.
    host.forget("redis");
    host.deploy(&["status"])
        .await
        .succeeded()
        .says("orphan: not in the compose file; `deploy-apps remove redis` removes it");
    let orphan = "orphan: accessory `redis` is not in the compose file";
    let planned = host.cli(&["plan"]).run().await;
    assert!(planned.stdout.contains(orphan), "{planned}");
    let all = host.deploy(&["--all"]).await.succeeded();
    assert!(all.stderr.contains(orphan), "{all}");
    host.deploy(&["doctor"]).await.says("accessory `redis` is not in the compose file");
    host.deploy(&["remove", "redis", "--yes", "--images"]).await.succeeded();
    assert_eq!(in_redis(&host, &["true"]).lines().count(), 1, "there is none to run it in");
    host.deploy(&["history", "redis", "-n", "1"]).await.succeeded().says(" remove ").says(" completed ");
    let all = host.deploy(&["history", "--format", "json"]).await.succeeded();
    assert!(all.stdout.contains(r#""accessory":"remove""#), "{all}");
    let left = docker(&["images", "-q", &format!("deploy-apps/{}-redis", host.name())]);
    assert_eq!(left, "", "its image's tag is gone");
    host.deploy(&["down", "--yes", "--volumes", "--images"]).await.succeeded();
    assert_eq!(docker(&["images", "-q", &format!("deploy-apps/{}-web", host.name())]), "");
}
