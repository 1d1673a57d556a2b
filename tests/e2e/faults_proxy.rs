//! The proxy dies, or the way to it is cut: it comes back with its routes, and what it had acknowledged still holds.

use deploy_apps::load::Traffic;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::Value;

use crate::harness::{App, Connection, DEADLINE, End, Host, Scenario, Wire, docker, eventually, none_lost, skipped};

/// A host whose `web` serves r1. `None` where its processes may not be killed.
async fn serving(test: &str) -> Option<Host> {
    if !rustix::process::getuid().is_root() {
        skipped("only root can kill a process of a container from outside");
        return None;
    }
    let host = Scenario::new(test).app(App::new("web").replicas(2).drain("600s", "600s")).start().await;
    host.deploy(&["web"]).await.succeeded();
    Some(host)
}

/// The processes in the proxy's containers whose command line has `part`, as this machine numbers them.
fn processes(host: &Host, part: &str) -> Vec<Pid> {
    // Commands come by way of the container that has the port.
    let names = [host.nginx(), format!("{}-proxy", host.name())];
    let listed: String = names.iter().map(|name| docker(&["top", name, "-eo", "pid,args"])).collect();
    let lines = listed.lines().filter(|line| line.contains(part));
    lines.filter_map(|line| Pid::from_raw(line.split_whitespace().next()?.parse().ok()?)).collect()
}

/// Returns when they are gone: until then one of them may still take a request.
async fn kill(processes: Vec<Pid>) {
    for pid in processes {
        kill_process(pid, Signal::KILL).expect("a process of the proxy");
        eventually("it is gone", DEADLINE, async || test_kill_process(pid).is_err().then_some(())).await;
    }
}

async fn kill_proxy(host: &Host) {
    kill(processes(host, "nginx: master")).await;
}

/// No command is run meanwhile.
async fn is_back(host: &Host, mark: &str) {
    let answers =
        async || host.try_get("web", "/mark").await.is_some_and(|answer| answer.status == 200 && answer.body == mark);
    eventually("the proxy routes again", DEADLINE, async || answers().await.then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_proxy_is_back_with_its_routes_and_their_generation() {
    let Some(host) = serving("proxy-killed").await else { return };
    let before = host.proxy_state().await;
    for _ in 0..3 {
        kill_proxy(&host).await;
        is_back(&host, "").await;
        let after = host.proxy_state().await;
        assert_eq!((after.generation, &after.apps), (before.generation, &before.apps));
        let load = host.steady_load("web").await;
        none_lost(&load.stop().await);
    }
    let load = host.steady_load("web").await;
    host.deploy(&["web", "--force"]).await.succeeded();
    none_lost(&load.stop().await);
    host.is_clean(&["web-r2-1", "web-r2-2"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_dies_leaves_no_count_behind_that_a_drain_would_wait_for() {
    let Some(host) = serving("worker-killed").await else { return };
    let sleepers = host.start(host.load("web").send(8, Traffic::sleeper("/sleep?for=5s"))).await;
    let asleep = async || {
        let open = host.proxy_state().await.in_flight;
        (open.values().map(|open| open.requests).sum::<u64>() >= 8).then_some(())
    };
    eventually("requests are open", DEADLINE, asleep).await;
    kill(processes(&host, "nginx: worker")).await;
    is_back(&host, "").await;
    // What was open on the workers is lost; the drain limit is far beyond what a run may take here.
    drop(sleepers);
    let load = host.steady_load("web").await;
    host.deploy(&["web", "--force", "--lock-wait", "5s"]).await.succeeded();
    none_lost(&load.stop().await);
    host.is_clean(&["web-r2-1", "web-r2-2"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deploy_during_which_the_proxy_is_killed_completes_or_is_undone() {
    let Some(mut host) = serving("proxy-killed-midway").await else { return };
    for (round, moment) in ["create", "await `", "flip", "drain"].into_iter().enumerate() {
        let mark = format!("during {moment}");
        host.change("web", |app| app.env("RELEASE_MARK", &mark).fault("slow-start").env("FAULT_AFTER", "1"));
        let mut running = host.cli(&["web", "--format", "json"]).spawn();
        let begins = |event: &Value| event["step"].as_str().is_some_and(|step| step.starts_with(moment));
        running.event_where("step_started", begins).await;
        kill_proxy(&host).await;
        let output = running.finish().await;
        let code = output.code.expect("an exit code");
        assert!([0, 1, 3].contains(&code), "round {round}, {moment}: it completes or is undone\n{output}");
        if code != 1 {
            is_back(&host, &mark).await;
        }
        let next = host.deploy(&["web", "--lock-wait", "30s"]).await;
        assert_eq!(next.code, Some(0), "{moment}: the next run converges\n{output}\n{next}");
        is_back(&host, &mark).await;
        let record = host.record("web").await.expect("a record");
        let names: Vec<String> = (1..=2).map(|replica| format!("web-{}-{replica}", record.release)).collect();
        host.is_clean(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flip_that_was_acknowledged_survives_the_proxy() {
    let Some(mut host) = serving("flip-kept").await else { return };
    host.change("web", |app| app.env("RELEASE_MARK", "new"));
    let mut running = host.cli(&["web", "--format", "json"]).spawn();
    running.event("flipped").await;
    kill_proxy(&host).await;
    is_back(&host, "new").await;
    let output = running.finish().await;
    assert!(matches!(output.code, Some(0 | 3)), "after the flip the only way is forward\n{output}");
    host.deploy(&["web", "--lock-wait", "30s"]).await.succeeded();
    host.is_clean(&["web-r2-1", "web-r2-2"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_control_connection_that_is_cut_is_opened_again() {
    let Some(mut host) = serving("channel-cut").await else { return };
    let load = host.steady_load("web").await;
    // As of another machine the socket cannot be opened directly: each connection to it is a process in the container.
    let far = Wire::to(End::Socket("/var/run/docker.sock".into())).await;
    let far = format!("tcp://{}", far.place());
    for (moment, engine) in [("await `", None), ("drain", None), ("await `", Some(&far)), ("drain", Some(&far))] {
        let mark = format!("{moment} of a {} engine", if engine.is_some() { "far" } else { "near" });
        host.change("web", |app| app.env("RELEASE_MARK", &mark).fault("slow-start").env("FAULT_AFTER", "2"));
        let cli = host.cli(&["web", "--format", "json"]);
        let mut running = if let Some(engine) = engine { cli.env("DOCKER_HOST", engine) } else { cli }.spawn();
        let begins = |event: &Value| event["step"].as_str().is_some_and(|step| step.starts_with(moment));
        running.event_where("step_started", begins).await;
        let cut = running.cut_control();
        let processes = processes(&host, "socat - UNIX-CONNECT");
        assert_eq!((cut > 0, !processes.is_empty()), (engine.is_none(), engine.is_some()), "{mark}");
        processes.into_iter().for_each(|pid| {
            // One that ends by itself in this moment is cut as well.
            let _ = kill_process(pid, Signal::KILL);
        });
        running.finish().await.succeeded();
        assert_eq!(host.get("web", "/mark").await.body, mark);
    }
    host.is_clean(&["web-r5-1", "web-r5-2"]).await;
    none_lost(&load.stop().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgraded_proxy_has_finished_what_was_open_and_has_its_routes() {
    let host = Scenario::new("upgrade").app(App::new("web").replicas(2)).start().await;
    host.deploy(&["web"]).await.succeeded();
    let before = host.proxy_state().await;
    let mut open = Connection::open(&host, "web").await;
    open.send("GET", "/sleep?for=3s", b"").await;
    host.in_flight("web", |open| open.requests == 1).await;

    host.deploy(&["proxy", "upgrade", "--force"]).await.succeeded();
    assert_eq!(open.answer().await.status, 200, "what was open has had its answer");
    is_back(&host, "").await;
    let after = host.proxy_state().await;
    assert_eq!((after.generation, &after.apps), (before.generation, &before.apps));
    let log = docker(&["inspect", "-f", "{{json .HostConfig.LogConfig}}", &format!("{}-proxy-2", host.name())]);
    let log: Value = serde_json::from_str(&log).expect("JSON");
    let keeps_files = ["json-file", "local"].iter().any(|driver| log["Type"] == *driver);
    assert!(!keeps_files || log["Config"]["max-size"].is_string(), "its log would fill the disk: {log}");
    let load = host.steady_load("web").await;
    host.deploy(&["web", "--force"]).await.succeeded();
    none_lost(&load.stop().await);
    host.is_clean(&["web-r2-1", "web-r2-2"]).await;
}
