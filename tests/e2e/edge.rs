//! What stands around the proxy: who is in front of it, the port that clients come to, and its network.

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::{Value, json};

use crate::harness::{App, DEADLINE, FAULT_APP, Host, Scenario, docker, eventually, skipped};
use crate::schema::validates;

async fn status(host: &Host) -> Value {
    let output = host.cli(&["status", "--format", "json", "--no-drift"]).run().await;
    let document: Value = serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}\n{output}"));
    validates("status", &document);
    document
}

/// The problems that `doctor` finds, as `check: message`.
async fn problems(host: &Host, args: &[&str]) -> Vec<String> {
    let output = host.cli(&[&["doctor", "--format", "json"], args].concat()).run().await;
    let document: Value = serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}\n{output}"));
    validates("doctor", &document);
    let findings = document["findings"].as_array().expect("findings").iter();
    let problems = findings.filter(|finding| finding["level"] == "problem");
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().replace(host.name(), "PROJECT");
    problems.map(|finding| format!("{}: {}", text(finding, "check"), text(finding, "message"))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn believes_what_runs_on_the_engines_machine_when_told_to() {
    let mut host = Scenario::new("edge-trust").app(App::new("web")).start().await;
    host.deploy(&["web"]).await.succeeded();
    host.change_proxy("trusted_proxies", json!(["host"]));
    host.deploy(&["plan", "web"]).await.exited(6).says("runs with other settings").says("`deploy-apps proxy upgrade`");
    host.deploy(&["proxy", "upgrade"]).await.succeeded();
    host.deploy(&["web"]).await.succeeded().says("up to date");

    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let request = client.get(format!("http://{}/healthz", host.address())).header("host", "web.localhost");
    let answer = request.header("x-forwarded-for", "6.6.6.6, 203.0.113.9").send().await.expect("an answer");
    assert_eq!(answer.status().as_u16(), 200);
    let log = async || host.cli(&["logs", "proxy"]).run().await.succeeded().stdout;
    let logged = async || log().await.contains("\"client\":\"203.0.113.9\"").then_some(());
    eventually("the real client in the log", DEADLINE, logged).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_published_port_with_the_proxy_protocol_answers_whoever_speaks_it() {
    let scenario = Scenario::new("edge-line").app(App::new("web"));
    let host = scenario.proxy("trusted_proxies", json!("host")).proxy("proxy_protocol", json!(true)).start().await;
    let output = host.deploy(&["web"]).await.succeeded();
    assert!(!output.stderr.contains("does not answer"), "{output}");
    assert_eq!(status(&host).await["proxy"]["port_answers"], true);
    assert_eq!(problems(&host, &[]).await, [""; 0]);
    assert!(host.try_get("web", "/").await.is_none(), "without the protocol's line");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_a_published_port_that_nobody_forwards_any_more() {
    if !rustix::process::getuid().is_root() {
        skipped("only root can end the engine's forwarder");
        return;
    }
    let host = Scenario::new("edge-dead").app(App::new("web")).start().await;
    host.deploy(&["web"]).await.succeeded();
    assert_eq!(status(&host).await["proxy"]["port_answers"], true);
    let Some(forwarder) = forwarder(host.address().port()) else {
        skipped("the engine forwards without a process of its own");
        return;
    };
    kill_process(forwarder, Signal::KILL).expect("a process of ours");
    eventually("it is gone", DEADLINE, async || test_kill_process(forwarder).is_err().then_some(())).await;

    let said =
        format!("the proxy runs, but its published port `{}` does not answer: connection refused", host.address());
    let remedy = format!("`docker restart {}-proxy`", host.name());
    host.deploy(&["web"]).await.succeeded().says("up to date").says(&said).says(&remedy);
    host.deploy(&["status"]).await.succeeded().says(&said).says(&remedy);
    let document = status(&host).await;
    assert_eq!((&document["proxy"]["port_answers"], &document["proxy"]["port_error"]), (&json!(false), &json!(said)));
    assert_eq!(problems(&host, &[]).await, [format!("ports: {said}")]);

    docker(&["restart", &format!("{}-proxy", host.name())]);
    eventually("the port answers", DEADLINE, async || {
        (status(&host).await["proxy"]["port_answers"] == json!(true)).then_some(())
    })
    .await;
    assert_eq!(host.get("web", "/healthz").await.status, 200);
}

/// The engine's process that forwards this port of the loopback.
fn forwarder(port: u16) -> Option<Pid> {
    let wanted = format!("-host-port\0{port}\0");
    let processes = std::fs::read_dir("/proc").ok()?.filter_map(Result::ok);
    let mut pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let is_it = |pid: &i32| {
        let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.contains("docker-proxy") && line.contains(&wanted)
    };
    pids.find(is_it).and_then(Pid::from_raw)
}

/// Stops everything and takes the networks away, as `docker network prune` does then.
async fn without_networks(host: &Host) {
    let names: Vec<String> = host.containers().await.into_iter().map(|container| container.name).collect();
    let proxy = format!("{}-proxy", host.name());
    let nginx = host.nginx();
    let all: Vec<&str> = names.iter().map(String::as_str).chain([proxy.as_str(), nginx.as_str()]).collect();
    docker(&[&["stop", "-t", "1"], &all[..]].concat());
    let ours = format!("name=^{}", host.name());
    let networks = docker(&["network", "ls", "--filter", &ours, "--format", "{{.Name}}"]);
    assert!(networks.lines().count() >= 2, "the proxy's and the project's: {networks}");
    for network in networks.lines() {
        docker(&["network", "rm", network]);
    }
    assert_eq!(docker(&["network", "ls", "-q", "--filter", &ours]), "");
}

async fn serving(test: &str) -> Host {
    let db = App::new("db").set("/x-deploy-apps", Value::Null);
    let web = App::new("web").replicas(2).set("/depends_on", json!(["db"]));
    let host = Scenario::new(test).app(db).app(web).start().await;
    host.deploy(&["--all"]).await.succeeded();
    host
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repair_brings_back_what_lost_its_networks() {
    let host = serving("edge-fix").await;
    let before = host.record("web").await.expect("a record");
    without_networks(&host).await;
    let found = problems(&host, &[]).await;
    assert!(
        found.contains(
            &"networks: network `PROJECT` was removed, so neither the proxy nor a replica can start".to_owned()
        ),
        "{found:#?}"
    );
    host.deploy(&["doctor", "--fix"]).await.succeeded();
    assert_eq!(host.record("web").await.as_ref(), Some(&before), "routes and addresses are as before");
    assert_eq!(host.get("web", "/healthz").await.status, 200);
    assert_eq!(problems(&host, &[]).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deploy_brings_back_what_lost_its_networks() {
    let host = serving("edge-lost").await;
    without_networks(&host).await;
    host.deploy(&["--all"]).await.succeeded();
    assert_eq!(host.get("web", "/healthz").await.status, 200);
    assert_eq!(problems(&host, &[]).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_a_container_that_answers_in_a_replicas_place() {
    let host = Scenario::new("edge-stranger").app(App::new("web").replicas(2)).start().await;
    host.deploy(&["web"]).await.succeeded();
    assert_eq!(status(&host).await["strangers"], json!([]));
    let record = host.record("web").await.expect("a record");
    let peer = &record.peers[0];
    docker(&["stop", "-t", "1", &peer.id]);
    let (stranger, address) = (format!("{}-web-stranger", host.name()), peer.address.to_string());
    docker(&["run", "-d", "--name", &stranger, "--network", host.name(), "--ip", &address, FAULT_APP]);
    let found = problems(&host, &[]).await;
    let said = format!(
        "replicas: `PROJECT-web-stranger` has the address {address} of `PROJECT-web-r1-1`, so it gets requests for `PROJECT/web`"
    );
    let shown = status(&host).await;
    let text = host.deploy(&["status"]).await;
    docker(&["rm", "-f", &stranger]);
    assert!(found.contains(&said), "{found:#?}");
    assert_eq!(shown["strangers"][0]["container"], json!(stranger), "{shown:#}");
    text.says("-web-stranger` has the address");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn says_that_the_file_wants_another_port_than_the_proxy_has() {
    let mut host = Scenario::new("edge-port").app(App::new("web")).start().await;
    host.deploy(&["web"]).await.succeeded();
    let runs = host.address().port();
    host.change_proxy("http_port", json!(runs + 1));
    let said = format!("it listens on port {runs}, and the file says `http_port: {}`", runs + 1);
    let keep = format!("`http_port: {runs}`");
    host.deploy(&["web"]).await.exited(6).says(&said).says("`deploy-apps proxy upgrade`").says(&keep);
    host.deploy(&["plan", "web"]).await.exited(6).says(&said).says(&keep);
    host.deploy(&["status"]).await.succeeded().says(&said).says(&keep);
    host.deploy(&["doctor"]).await.says(&said);
    assert!(status(&host).await["proxy"]["differs"].as_str().is_some_and(|text| text.contains(&said)));
}
