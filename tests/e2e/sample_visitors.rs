//! `visitors` of the sample system: every visitor counted once, whatever happens to replicas, schema and database.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deploy_apps::load::{Load, Traffic};
use tokio::task::JoinHandle;

use crate::harness::{DEADLINE, Host, docker, eventually, none_lost, sample};

/// The folder of migrations in the copy of the sample.
const VERSIONS: &str = "apps/visitors/visitors/migrations/versions";
/// Cookies of visitors that come again and again, so that replicas meet them at the same moment.
const REGULARS: u128 = 5;

/// Visitors with cookies of their own, who count themselves.
struct Crowd {
    leave: Arc<AtomicBool>,
    visits: Vec<JoinHandle<u64>>,
}

impl Crowd {
    fn enter(host: &Host) -> Self {
        let leave = Arc::new(AtomicBool::new(false));
        let visit = |number: u128| {
            let (leave, url) = (Arc::clone(&leave), format!("http://{}/", host.address()));
            tokio::spawn(async move {
                let client = reqwest::Client::builder().no_proxy().build().expect("a client");
                let mut counted = 0;
                while !leave.load(Ordering::Relaxed) {
                    let cookie = format!("visitor={}", cookie(number % REGULARS));
                    let request = client.get(&url).header("host", "visitors.localhost").header("cookie", cookie);
                    let answer = request.send().await.expect("an answer");
                    assert_eq!(answer.status(), 200);
                    drop(answer.bytes().await.expect("the whole page"));
                    counted += 1;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                counted
            })
        };
        let visits = (0..2 * REGULARS).map(visit).collect();
        Self { leave, visits }
    }

    async fn go(self) -> u64 {
        self.leave.store(true, Ordering::Relaxed);
        let mut sum = 0;
        for visits in self.visits {
            sum += visits.await.expect("no visit failed");
        }
        sum
    }
}

fn cookie(number: u128) -> String {
    format!("00000000-0000-4000-8000-{number:012x}")
}

/// Asks the database itself, past the app.
fn sql(host: &Host, statement: &str) -> String {
    let postgres = format!("{}-postgres-1", host.name());
    let told = docker(&["exec", &postgres, "psql", "-AtXq", "--dbname=visitors", "--command", statement]);
    told.trim().to_owned()
}

/// Ends the server's first process as a crash does; a `docker kill` would count as a desired, and it would stay down.
fn crash_postgres(host: &Host) {
    let pid = docker(&["inspect", "--format", "{{.State.Pid}}", &format!("{}-postgres-1", host.name())]);
    let pid = rustix::process::Pid::from_raw(pid.trim().parse().expect("a number")).expect("a process");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("a process of this machine");
}

fn edit(host: &Host, file: &str, from: &str, to: &str) {
    let path = host.folder().join(file);
    let text = fs::read_to_string(&path).expect("a file of the sample");
    assert!(text.contains(from), "`{file}` has no `{from}`");
    fs::write(path, text.replace(from, to)).expect("a writable folder");
}

fn write(host: &Host, file: &str, text: &str) {
    fs::write(host.folder().join(file), text).expect("a writable folder");
}

/// A migration after the last one, which locks the table and then does this.
fn next_migration(host: &Host, then: &str) {
    let text = format!(
        "\"\"\"One that cannot work.\"\"\"\n\nfrom alembic import op\n\nrevision = \"0004\"\ndown_revision = \"0003\"\n\n\n\
         def upgrade() -> None:\n    op.execute(\"ALTER TABLE visitors ADD COLUMN half text\")\n    {then}\n"
    );
    write(host, &format!("{VERSIONS}/0004_half.py"), &text);
}

async fn some_load(host: &Host) -> Load {
    let load = host.start(host.load("visitors").send_every(4, Duration::from_millis(50), Traffic::get("/"))).await;
    eventually("the load flows", DEADLINE, async || (load.progress().requests > 20).then_some(())).await;
    load
}

async fn version(host: &Host) -> String {
    let answer = host.get("visitors", "/version").await;
    let told: serde_json::Value = serde_json::from_str(&answer.body).expect("JSON");
    told["version"].as_str().expect("text").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_visitor_is_counted_once_whatever_happens() {
    let host = sample("visitors").await;
    let mut told = host.deploy(&["visitors"]).await.succeeded().to_string();
    assert!(host.get("visitors", "/").await.body.contains("Welcome, <b>visitor 1</b>."));
    assert_eq!(host.get("localhost", "/visitors/healthz").await.status, 200, "the path is its second route");

    let (load, crowd) = (some_load(&host).await, Crowd::enter(&host));
    for args in
        [&["visitors", "--force"][..], &["scale", "visitors=3"], &["scale", "visitors=2"], &["rollback", "visitors"]]
    {
        told += &host.deploy(args).await.succeeded().to_string();
    }
    let visits = crowd.go().await;
    let counted =
        sql(&host, "SELECT count(*), sum(visits) FROM visitors WHERE id::text LIKE '00000000-0000-4000-8000-%'");
    assert_eq!(counted, format!("{REGULARS}|{visits}"));

    // What cannot work changes nothing: a migration that fails after its first statement, two that never end, …
    let version_before = version(&host).await;
    next_migration(&host, "op.execute('SELECT 1 / 0')");
    let output = host.deploy(&["visitors"]).await.exited(1).says("a migration failed: division by zero");
    told += &output.says("nothing was changed").to_string();
    next_migration(&host, "op.execute('SELECT pg_sleep(600)')");
    told +=
        &host.deploy(&["visitors"]).await.exited(1).says("; nothing was changed").says("took longer than").to_string();
    // One that hangs outside of the database holds no lock for long either: the load goes on beside it.
    next_migration(&host, "import time; time.sleep(600)");
    edit(&host, "compose.yaml", r#""migrate"], timeout: 2m }"#, r#""migrate"], timeout: 10s }"#);
    told += &host.deploy(&["visitors"]).await.exited(1).says("did not finish within 10s").to_string();
    let left = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'visitors-migrate'";
    eventually("its session ends", DEADLINE, async || (sql(&host, left) == "0").then_some(())).await;
    let half = "SELECT count(*) FROM information_schema.columns WHERE table_name = 'visitors' AND column_name = 'half'";
    assert_eq!((sql(&host, half).as_str(), sql(&host, "SELECT * FROM alembic_version").as_str()), ("0", "0003"));
    fs::remove_file(host.folder().join(VERSIONS).join("0004_half.py")).expect("written above");
    // … and a setting that is missing.
    edit(&host, "compose.yaml", "USER_URL:", "OWNER_URL:");
    told += &host.deploy(&["visitors"]).await.exited(1).says("error: variable `USER_URL` is not set").to_string();
    edit(&host, "compose.yaml", "OWNER_URL:", "USER_URL:");
    assert_eq!(version(&host).await, version_before);
    none_lost(&load.stop().await);
    let names: Vec<String> = host.containers().await.into_iter().map(|container| container.name).collect();
    assert!(!names.iter().any(|name| name.ends_with("-release")), "{names:?}");

    crash_postgres(&host);
    eventually("the page without its figures", DEADLINE, async || {
        // Told once, by the page; nobody is taken out of service.
        let answer = host.get("visitors", "/").await;
        assert_eq!(host.get("visitors", "/healthz").await.status, 200);
        (answer.status == 503 || answer.body.contains("Welcome, ")).then_some(())
    })
    .await;
    let back = async || host.get("visitors", "/").await.body.contains("Welcome, ").then_some(());
    eventually("the database and the app are back", DEADLINE, back).await;
    let counted = sql(&host, "SELECT sum(visits) FROM visitors WHERE id::text LIKE '00000000-0000-4000-8000-%'");
    assert_eq!(counted, visits.to_string(), "what was counted stays counted");

    no_password(&host, &told).await;
}

/// Asserts that the password is nowhere but in its file.
async fn no_password(host: &Host, told: &str) {
    let password = fs::read_to_string(host.folder().join("stack/secrets/postgres-password")).expect("made by set-up");
    assert!(password.len() >= 32, "it is no guess");
    let mut seen = vec![("the deploys", told.to_owned())];
    for args in [
        &["plan", "visitors", "--format", "json"][..],
        &["--profile", "visitors", "config"],
        &["history"],
        &["status", "--format", "json"],
        &["logs", "visitors"],
        &["logs", "postgres"],
    ] {
        let output = host.deploy(args).await;
        assert!(!output.stdout.is_empty(), "{args:?} says nothing\n{output}");
        seen.push((args[0], output.to_string()));
    }
    let ours = docker(&["ps", "-aq", "--filter", &format!("name=^{}-", host.name())]);
    seen.push(("docker inspect", docker(&[&["inspect"], &ours.lines().collect::<Vec<_>>()[..]].concat())));
    for (what, text) in seen {
        assert!(!text.contains(&password), "{what} shows the password");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_and_new_version_serve_side_by_side_while_the_schema_expands_and_contracts() {
    let host = sample("expand-contract").await;
    // One replica after the other, so that versions overlap for as long as it takes to see them.
    write(
        &host,
        "compose.override.yaml",
        "services: { visitors: { deploy: { update_config: { parallelism: 1, delay: 3s } } } }\n",
    );
    let store = host.folder().join("apps/visitors/visitors/store.py");
    let present = fs::read_to_string(&store).expect("the sample");
    let later = ["0002_expand_first_seen.py", "0003_contract_first_day.py"].map(|name| {
        let path = host.folder().join(VERSIONS).join(name);
        let text = fs::read_to_string(&path).expect("a migration of the sample");
        fs::remove_file(&path).expect("a writable folder");
        (path, text)
    });
    let old = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/visitors-1.0/store.py");
    fs::copy(old, &store).expect("a writable folder");
    write(&host, "apps/visitors/VERSION", "1.0.0\n");
    host.deploy(&["visitors"]).await.succeeded();
    let load = some_load(&host).await;

    for (release, (path, migration)) in (2..).zip(&later) {
        fs::write(path, migration).expect("a writable folder");
        fs::write(&store, &present).expect("a writable folder");
        write(&host, "apps/visitors/VERSION", &format!("1.{}.0\n", release - 1));
        let (before, after) =
            (format!("1.{}.0+{}", release - 2, release - 1), format!("1.{}.0+{release}", release - 1));
        let mut seen = Vec::new();
        let mut running = std::pin::pin!(host.deploy(&["visitors"]));
        let output = loop {
            tokio::select! {
                output = &mut running => break output,
                told = version(&host) => seen.push(told),
            }
        };
        output.succeeded();
        // In turn, and not only one after the other: an answer of the old one follows one of the new one.
        let first_new = seen.iter().position(|told| *told == after).unwrap_or(seen.len());
        assert!(seen[first_new..].contains(&before), "{before} and {after} did not serve at once");
    }

    // The schema no longer fits 1.0: it does not become ready, and so gets no traffic. 1.1 fits it.
    host.deploy(&["rollback", "visitors", "r1"]).await.exited(1);
    assert_eq!(version(&host).await, "1.2.0+3");
    host.deploy(&["rollback", "visitors", "r2"]).await.succeeded();
    assert_eq!(version(&host).await, "1.1.0+2");
    none_lost(&load.stop().await);
    // Rows of all versions are complete.
    assert_eq!(sql(&host, "SELECT count(*) FROM visitors WHERE first_seen IS NULL"), "0");
}
