//! From `docker compose up` to deploy-apps: what compose runs is taken over without a change of its port or its data.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::json;

use crate::harness::{App, Host, Scenario, docker};

/// A server for the old version, in what the base image has.
const SERVER: &str = "use IO::Socket::INET; $SIG{TERM} = sub { exit 0 }; \
    my $s = IO::Socket::INET->new(LocalPort => 8080, Listen => 50, ReuseAddr => 1) or die; \
    while (my $c = $s->accept) { while (<$c>) { last if /^\\r?$/ } \
    print $c \"HTTP/1.1 200 OK\\r\\nContent-Length: 7\\r\\nConnection: close\\r\\n\\r\\nthe old\"; close $c }";

/// What compose has made; gone with the test.
struct Composed(String);

impl Drop for Composed {
    fn drop(&mut self) {
        docker(&["rm", "-f", &format!("{}-web-1", self.0), &format!("{}-db-1", self.0)]);
        docker(&["network", "rm", &format!("{}_default", self.0)]);
        docker(&["volume", "rm", &format!("{}_lines", self.0)]);
    }
}

fn labelled<'a>(project: &'a str, service: &'a str) -> Vec<String> {
    let pairs = [("project", project), ("service", service), ("oneoff", "False"), ("container-number", "1")];
    pairs.iter().flat_map(|(key, value)| ["--label".to_owned(), format!("com.docker.compose.{key}={value}")]).collect()
}

/// As `docker compose up -d` leaves it: a network, a volume, a database and the app at the port of the host.
fn compose_up(host: &Host) -> Composed {
    let project = host.name();
    let (network, volume) = (format!("{project}_default"), format!("{project}_lines"));
    let label = format!("com.docker.compose.project={project}");
    docker(&["network", "create", "--label", &label, &network]);
    docker(&["volume", "create", "--label", &label, &volume]);
    let start = |service: &str, rest: &[&str]| {
        let labels = labelled(project, service);
        let name = format!("{project}-{service}-1");
        let mut args = vec!["run", "-d", "--init", "--name", &name, "--network", &network, "--network-alias", service];
        args.extend(labels.iter().map(String::as_str));
        args.extend(rest);
        docker(&args);
    };
    let mount = format!("{volume}:/data");
    let image = "debian:trixie-slim";
    start("db", &["-v", &mount, image, "sh", "-c", "echo kept >>/data/lines; exec sleep infinity"]);
    let port = format!("{}:8080", host.address());
    start("web", &["-p", &port, image, "perl", "-e", SERVER]);
    Composed(project.to_owned())
}

/// The scenario of a project whose database compose has made.
async fn project(test: &str, web: App) -> (Host, Composed) {
    let mut db = App::new("db");
    for part in ["build", "stop_grace_period", "environment", "deploy", "x-deploy-apps"] {
        db = db.set(part, json!(null));
    }
    let db = db
        .set("image", json!("debian:trixie-slim"))
        .set("pull_policy", json!("never"))
        .set("init", json!(true))
        .set("command", json!(["sh", "-c", "echo kept >>/data/lines; exec sleep infinity"]))
        .set("volumes", json!(["lines:/data"]));
    let web = web.set("depends_on", json!(["db"])).set("/x-deploy-apps/routes", json!([{ "path": "/" }]));
    let host = Scenario::new(test).app(web).app(db).section("volumes", json!({ "lines": {} })).start().await;
    let composed = compose_up(&host);
    (host, composed)
}

fn ask(address: SocketAddr) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    text.contains(" 200 ").then_some(text)
}

fn id(name: &str) -> String {
    docker(&["inspect", "--format", "{{.Id}} {{.State.StartedAt}}", name])
}

/// Waits until the old server answers, or another one.
async fn answers(address: SocketAddr, old: bool) {
    for _ in 0..600 {
        if ask(address).is_some_and(|text| text.contains("the old") == old) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("no such answer at {address}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_compose_project_is_taken_over() {
    let (host, composed) = project("adopt", App::new("web")).await;
    let (web, db) = (format!("{}-web-1", composed.0), format!("{}-db-1", composed.0));
    answers(host.address(), true).await;
    let database = id(&db);
    let plan = host.deploy(&["plan", "web"]).await.exited(11);
    assert!(plan.stdout.contains(&format!("`{web}`, which docker compose made, serves port")), "{plan}");
    assert!(!plan.stdout.contains(&format!("create `{db}`")), "{plan}");
    let status = host.deploy(&["status"]).await.succeeded();
    assert!(
        status.stdout.contains(&format!("`{db}` was made by docker compose; it stays as accessory `db`")),
        "{status}"
    );

    let output = host.deploy(&["web"]).await.succeeded();
    assert!(output.stderr.contains(&format!(" went from `{web}` to the proxy in ")), "{output}");
    answers(host.address(), false).await;
    assert_eq!(docker(&["ps", "-aq", "--filter", &format!("name=^{web}$")]), "", "the old container is gone");
    assert_eq!(id(&db), database, "the database was neither replaced nor started again");
    assert_eq!(docker(&["exec", &db, "cat", "/data/lines"]), "kept");
    let replica = format!("{}-web-r1-1", composed.0);
    let networks = docker(&["inspect", "--format", "{{json .NetworkSettings.Networks}}", &replica]);
    assert!(networks.contains(&format!("{}_default", composed.0)), "{networks}");

    let again = host.deploy(&["web"]).await.succeeded();
    assert!(again.stdout.contains("up to date"), "{again}");
    // Named, it stays as long as its image does.
    host.deploy(&["db"]).await.succeeded();
    assert_eq!(id(&db), database);
    host.deploy(&["down", "--yes"]).await.succeeded();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compose_serves_on_when_the_first_deploy_fails() {
    let broken = App::new("web").set("command", json!(["/nowhere"])).set("entrypoint", json!([]));
    let (mut host, composed) = project("adopt-fails", broken).await;
    let web = format!("{}-web-1", composed.0);
    answers(host.address(), true).await;
    let container = id(&web);
    host.deploy(&["web"]).await.exited(1);
    assert!(ask(host.address()).expect("an answer").contains("the old"));
    assert_eq!(id(&web), container);
    host.change("web", |app| app.set("command", json!(null)).set("entrypoint", json!(null)));
    host.deploy(&["web"]).await.succeeded();
    assert!(!ask(host.address()).expect("an answer").contains("the old"));
    host.deploy(&["down", "--yes"]).await.succeeded();
}
