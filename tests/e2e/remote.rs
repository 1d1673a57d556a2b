//! Deploys to an engine on another host, by TLS and by ssh, under load that runs beside it.

use std::path::Path;
use std::time::Instant;

use rustix::process::{Pid, Signal, getpgid};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::harness::{App, DEADLINE, FAULT_APP, FarHost, Host, Output, Scenario, eventually, none_lost};

type Vars = Vec<(String, String)>;

/// An app that is built on the far engine out of a folder here.
async fn built_there(test: &str) -> Host {
    let far = FarHost::shared().await;
    let app = App::built_from("web", Path::new("context")).replicas(2);
    let host = Scenario::new(test).app(app).far(far).start().await;
    std::fs::create_dir(host.folder().join("context")).expect("a folder");
    change_content(&host, "first");
    host
}

fn change_content(host: &Host, content: &str) {
    let write = |name: &str, text: &str| {
        std::fs::write(host.folder().join("context").join(name), text).expect("a writable folder");
    };
    write("Dockerfile", &format!("FROM {FAULT_APP}\nCOPY content /content\n"));
    // Of this test alone, or the build of another would do; and large enough to take several reads on its way.
    write("content", &format!("{content} of {}\n", host.name()).repeat(100_000));
}

async fn deploy(host: &Host, vars: &Vars, args: &[&str]) -> Output {
    let begun = Instant::now();
    let output = host.cli(args).envs(vars).env("TMPDIR", &host.folder().to_string_lossy()).run().await;
    println!("{args:?} over {} took {:?}", vars[0].1, begun.elapsed());
    output
}

/// First deploy, a new build, the same again by force, and nothing to do.
async fn three_deploys_lose_nothing(host: &Host, vars: &Vars) {
    let first = deploy(host, vars, &["web", "--format", "json"]).await.succeeded();
    let urls = first.events("app_finished")[0]["urls"].clone();
    assert_eq!(urls[0], Value::from(format!("http://web.localhost:{}", host.address().port())));
    let load = host.steady_load("web").await;
    change_content(host, "second");
    deploy(host, vars, &["web"]).await.succeeded().says("built");
    deploy(host, vars, &["web", "--force"]).await.succeeded();
    deploy(host, vars, &["web"]).await.succeeded().says("up to date (routes confirmed)");
    none_lost(&load.stop().await);
    host.is_clean(&["web-r3-1", "web-r3-2"]).await;
}

/// No process and no socket of a run is left when it has ended, a moment's grace for the kill included.
async fn nothing_is_left(host: &Host, before: &[u32]) {
    let far = FarHost::shared().await;
    let mark = host.folder().to_string_lossy().into_owned();
    let ours = |pid: &u32| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        !before.contains(pid) && String::from_utf8_lossy(&environment).contains(&mark)
    };
    let gone = async || far.ssh_processes().iter().all(|pid| !ours(pid)).then_some(());
    eventually("no `ssh` is left", DEADLINE, gone).await;
    let sockets = async || {
        let entries = std::fs::read_dir(host.folder()).expect("a folder").flatten();
        let names = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("deploy-apps-ssh-"));
        (names.count() == 0).then_some(())
    };
    eventually("no folder of sockets is left", DEADLINE, sockets).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_tls_a_deploy_is_what_it_is_at_home() {
    let host = built_there("far-tls").await;
    three_deploys_lose_nothing(&host, &FarHost::shared().await.tls()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_ssh_a_deploy_needs_no_docker_command_over_there() {
    let host = built_there("far-ssh").await;
    three_deploys_lose_nothing(&host, &FarHost::shared().await.ssh("deploy")).await;
    nothing_is_left(&host, &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_ssh_the_docker_command_is_used_where_no_socket_is_forwarded() {
    let host = built_there("far-stdio").await;
    three_deploys_lose_nothing(&host, &FarHost::shared().await.ssh("stdio")).await;
    nothing_is_left(&host, &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_ssh_a_shell_that_prints_does_not_disturb_the_docker_command() {
    let host = built_there("far-noisy").await;
    three_deploys_lose_nothing(&host, &FarHost::shared().await.ssh("noisy")).await;
}

/// A context as `docker context create` makes it.
fn write_context(config: &Path, name: &str, endpoint: &str, files: Option<&Path>) {
    let digest: String = Sha256::digest(name.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    let meta = config.join("contexts/meta").join(&digest);
    std::fs::create_dir_all(&meta).expect("a folder");
    let endpoints = serde_json::json!({ "docker": { "Host": endpoint, "SkipTLSVerify": false } });
    let text = serde_json::json!({ "Name": name, "Metadata": {}, "Endpoints": endpoints });
    std::fs::write(meta.join("meta.json"), text.to_string()).expect("a writable folder");
    let Some(files) = files else { return };
    let tls = config.join("contexts/tls").join(digest).join("docker");
    std::fs::create_dir_all(&tls).expect("a folder");
    for file in ["ca.pem", "cert.pem", "key.pem"] {
        std::fs::copy(files.join(file), tls.join(file)).expect("a copy");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn options_and_contexts_lead_to_the_same_engine() {
    let far = FarHost::shared().await;
    let host = Scenario::new("far-context").app(App::new("web")).far(far).start().await;
    let config = host.folder().join("docker");
    write_context(&config, "far-tls", &format!("tcp://{}:2376", far.address), Some(&far.path("client")));
    let by_ssh = format!("ssh://deploy@{}", far.address);
    write_context(&config, "far-ssh", &by_ssh, None);
    std::fs::write(config.join("config.json"), r#"{"currentContext":"far-tls"}"#).expect("written");
    let path = far.ssh("deploy")[1].1.clone();
    let run = |args: &'static [&'static str], vars: &[(&str, &str)]| {
        let cli = host.cli(args).env("DOCKER_CONFIG", &config.to_string_lossy()).env("PATH", &path);
        let cli = vars.iter().fold(cli.env("DOCKER_HOST", ""), |cli, (name, value)| cli.env(name, value));
        cli.run()
    };
    run(&["web"], &[]).await.succeeded();
    let again = "up to date (routes confirmed)";
    run(&["web", "--context", "far-ssh"], &[]).await.succeeded().says(again);
    run(&["web"], &[("DOCKER_CONTEXT", "far-ssh")]).await.succeeded().says(again);
    run(&["web"], &[("DOCKER_HOST", &by_ssh), ("DOCKER_CONTEXT", "nowhere")]).await.succeeded().says(again);
    let asked = [("DOCKER_HOST", "unix:///nowhere")];
    let host_option: &'static str = Box::leak(by_ssh.into_boxed_str());
    run(Box::leak(Box::new(["web", "-H", host_option])), &asked).await.succeeded().says(again);
    run(&["web", "--context", "pord"], &[]).await.exited(7).says(
        "error: --context names the docker context `pord`, which does not exist\n\n\
         hint: known contexts: `default`, `far-ssh`, `far-tls`; `docker context create pord --docker host=…` makes it",
    );
    run(&["web", "--context", "far-ssh", "--host", "tcp://a"], &[]).await.exited(2).says("cannot be used with");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_run_leaves_no_ssh_and_its_lease_is_free() {
    let far = FarHost::shared().await;
    let host = Scenario::new("far-killed").app(App::new("web")).far(far).start().await;
    let vars = far.ssh("deploy");
    deploy(&host, &vars, &["web"]).await.succeeded();
    let load = host.steady_load("web").await;
    let mut cli = host.cli(&["web", "--force", "--format", "json"]);
    cli = cli.envs(&vars).env("TMPDIR", &host.folder().to_string_lossy());
    let mut running = cli.spawn();
    running.event("replica_started").await;
    // What Ctrl-C in a terminal would reach is one process group, and `ssh` is in another.
    let environment = |pid: &u32| std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let mark = host.folder().to_string_lossy().into_owned();
    let ssh: Vec<u32> = far.ssh_processes();
    let ssh = ssh.into_iter().find(|pid| String::from_utf8_lossy(&environment(pid)).contains(&mark));
    let ssh = ssh.and_then(|pid| Pid::from_raw(pid.try_into().ok()?)).expect("the run's `ssh`");
    assert_ne!(getpgid(Some(ssh)).expect("a group"), getpgid(None).expect("our own"));
    running.signal(Signal::KILL);
    drop(running.finish().await);
    nothing_is_left(&host, &[]).await;
    deploy(&host, &vars, &["web", "--force", "--lock-wait", "5s"]).await.succeeded();
    none_lost(&load.stop().await);
    let record = host.record("web").await.expect("a record");
    let names: Vec<String> = record.peers.iter().map(|peer| peer.id[host.name().len() + 1..].to_owned()).collect();
    host.is_clean(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;
}
