//! Commands without a compose file: what they need is on the engine.

use serde_json::{Value, json};

use crate::accessories::accessory;
use crate::harness::{App, Cli, Host, Output, Scenario, none_lost};

/// In a folder without a compose file, which none of its parents has either.
async fn elsewhere(host: &Host, args: &[&str]) -> Output {
    let empty = tempfile::tempdir().expect("a folder");
    let cli: Cli = host.cli(args).within(empty.path());
    cli.run().await
}

fn of<'a>(listing: &'a Value, project: &str) -> &'a Value {
    let proxies = listing["proxies"].as_array().expect("proxies");
    let mut projects = proxies.iter().flat_map(|proxy| proxy["projects"].as_array().expect("projects"));
    projects.find(|other| other["project"] == project).unwrap_or_else(|| panic!("no {project} in {listing:#}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_every_project_with_its_routes() {
    let redis = json!({ "image": "debian:trixie-slim", "command": ["sleep", "infinity"], "pull_policy": "never", "init": true });
    let host = Scenario::new("ls").app(App::new("web").replicas(2)).app(accessory("redis", redis)).start().await;
    host.deploy(&["--all"]).await.succeeded();
    let name = host.name();

    let listing = elsewhere(&host, &["ls", "--format", "json"]).await.document("ls");
    let project = of(&listing, name);
    let web = &project["apps"][0];
    assert_eq!(
        (&web["app"], &web["serving"], &web["state"], &web["release"]),
        (&json!("web"), &json!(2), &json!("serving"), &json!(1))
    );
    assert!(web["routes"].as_array().expect("routes").iter().any(|route| route["host"] == "web.localhost"), "{web:#}");

    assert_eq!(project["accessories"][0]["service"], json!("redis"), "{project:#}");
    let text = elsewhere(&host, &["ls", "-p", name]).await.succeeded();
    assert!(text.stdout.lines().all(|line| line.chars().count() <= 80), "{text}");
    assert!(text.stdout.contains("web.localhost/"), "{text}");
    let routes = elsewhere(&host, &["ls", "--routes", "-p", name]).await.succeeded();
    let line = routes.stdout.lines().find(|line| line.starts_with("web.localhost/")).expect("the route");
    assert!(line.contains(&format!("{name}/web")), "{routes}");

    let unknown = elsewhere(&host, &["ls", "-p", "nobody-has-this"]).await.exited(2);
    assert!(unknown.stderr.contains("unknown project `nobody-has-this`") && unknown.stderr.contains(name), "{unknown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_project_is_worked_on_by_its_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let app = crate::run::with_shell(folder.path()).env("RELEASE_MARK", "one");
    let mut host = Scenario::new("by-name").app(app).start().await;
    host.deploy(&["web"]).await.succeeded();
    host.change("web", |app| app.env("RELEASE_MARK", "two"));
    host.deploy(&["web"]).await.succeeded();
    let name = host.name().to_owned();
    let with = |args: &[&str]| [&["-p", &name], args].concat().into_iter().map(str::to_owned).collect::<Vec<String>>();
    let ask = async |args: &[&str]| {
        let args = with(args);
        elsewhere(&host, &args.iter().map(String::as_str).collect::<Vec<_>>()).await
    };

    let status = ask(&["status", "--format", "json"]).await.succeeded().document("status");
    assert_eq!(
        (&status["apps"][0]["state"], &status["apps"][0]["release"]),
        (&json!("serving"), &json!(2)),
        "{status:#}"
    );
    let history = ask(&["history", "--format", "json"]).await.succeeded().document("history");
    assert_eq!(history["runs"].as_array().map(Vec::len), Some(2), "{history:#}");
    ask(&["logs", "web", "--tail", "5"]).await.succeeded();
    let said = ask(&["exec", "web", "--", "sh", "-c", "echo $RELEASE_MARK; exit 7"]).await.exited(7);
    assert_eq!(said.stdout.trim(), "two", "{said}");

    ask(&["run", "web", "sh", "-c", "exit 9"]).await.exited(9);

    let load = host.steady_load("web").await;
    ask(&["scale", "web=2"]).await.succeeded();
    ask(&["rollback", "web"]).await.succeeded();
    assert_eq!(host.get("web", "/mark").await.body, "one");
    assert_eq!(host.record("web").await.expect("a record").peers.len(), 2, "the number is kept");
    ask(&["restart", "web"]).await.succeeded();
    none_lost(&load.stop().await);
    // The number set by hand is the file's business as before.
    host.deploy(&["web"]).await.succeeded();
    assert_eq!(host.record("web").await.expect("a record").peers.len(), 2);

    ask(&["prune"]).await.succeeded();
    ask(&["remove", "web", "--yes"]).await.succeeded();
    assert!(host.containers().await.is_empty());
    ask(&["down", "--yes"]).await.succeeded().says("nothing of project");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_file_and_a_name_it_is_said_what_works() {
    let host = Scenario::new("no-name").app(App::new("web")).start().await;
    let none = elsewhere(&host, &["status"]).await.exited(5);
    assert!(none.stderr.contains("deploy-apps ls") && none.stderr.contains("-p NAME"), "{none}");
    let deploy = elsewhere(&host, &["-p", host.name(), "deploy", "web"]).await.exited(5);
    assert!(deploy.stderr.contains("needs the compose file"), "{deploy}");
    let unknown = elsewhere(&host, &["-p", "nobody-has-this", "status"]).await.exited(2);
    assert!(unknown.stderr.contains("unknown project `nobody-has-this`"), "{unknown}");
}
