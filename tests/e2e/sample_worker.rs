//! The sample's worker and what becomes of its metrics: nothing is lost by a deploy, and a dead backend is not its trouble.

use std::fs;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::harness::{DEADLINE, Host, Running, docker, eventually, sample};

/// Until a point is in a graph: the worker's flush, statsd's of 5 s, carbon's write, on a busy machine.
const GRAPHED: Duration = Duration::from_secs(90);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_tick_of_the_worker_is_lost_by_a_deploy_and_its_backend_may_die() {
    let host = sample("worker").await;
    host.deploy(&["metrics-worker"]).await.succeeded();
    let mut log = host.cli(&["logs", "metrics-worker", "-f", "--format", "json"]).spawn();
    the_graph_is_visible(&host).await;

    let output = host.deploy(&["metrics-worker", "--force", "--format", "json"]).await.succeeded();
    let at = |name: &str| output.events(name)[0]["elapsed_ms"].as_u64().expect("a time");
    assert!(at("replica_started") <= at("replica_stopped"), "start-first\n{output}");
    every_tick_arrived(&host, &mut log, "r1").await;

    let compose = host.folder().join("compose.yaml");
    let text = fs::read_to_string(&compose).expect("the sample");
    assert!(text.contains("order: start-first"), "the worker's order has moved");
    fs::write(&compose, text.replace("order: start-first", "order: stop-first")).expect("a writable folder");
    let output = host.deploy(&["metrics-worker", "--force", "--format", "json"]).await.succeeded();
    let at = |name: &str| output.events(name)[0]["elapsed_ms"].as_u64().expect("a time");
    assert!(at("replica_stopped") <= at("replica_started"), "stop-first\n{output}");
    every_tick_arrived(&host, &mut log, "r2").await;

    for part in ["statsd", "carbon", "graphite-web"] {
        the_backend_dies_and_comes_back(&host, part).await;
    }
    log.signal(Signal::INT);
    log.finish().await.succeeded();
}

async fn the_graph_is_visible(host: &Host) {
    eventually("ticks are in the graph", GRAPHED, async || (ticks(host, "r1").await? > 0.0).then_some(())).await;
    let (status, page) = fetch(host, "/").await.expect("a page");
    assert!(status == 200 && String::from_utf8_lossy(&page).contains("Graphite"), "{status}");
    assert_eq!(fetch(host, "/static/js/composer.js").await.expect("a script").0, 200);
    let (status, image) =
        fetch(host, "/render?target=stats.gauges.metrics-worker.*.*.memory_bytes").await.expect("an image");
    assert!(status == 200 && image.starts_with(b"\x89PNG"), "{status}");
    for name in ["gauges.metrics-worker.r1.1.event_loop_delay_ms", "timers.metrics-worker.r1.1.sieve.upper_90"] {
        let path = format!("/render?target=stats.{name}&format=json&from=-10min");
        eventually(name, GRAPHED, async || (sum(&fetch(host, &path).await?.1)? > 0.0).then_some(())).await;
    }
}

/// What a release says at its end that it has done and sent is exactly what Graphite has of it.
async fn every_tick_arrived(host: &Host, log: &mut Running, release: &str) {
    let last = loop {
        let line: Value = serde_json::from_str(&log.line().await).expect("JSON");
        let said: Value = serde_json::from_str(line["text"].as_str().expect("text")).expect("JSON of the worker");
        assert_ne!(said["level"], "error", "{said}");
        if said["release"] == release && said["message"].as_str().is_some_and(|text| text.starts_with("stopped")) {
            break said;
        }
    };
    assert_eq!(last["message"], "stopped, everything sent", "{last}");
    let done = last["ticks"].as_f64().expect("a number");
    assert!(done > 0.0 && last["sent"].as_f64() == Some(done), "{last}");
    let mut found = None;
    let all = eventually("all ticks are in the graph", GRAPHED, async || {
        found = ticks(host, release).await;
        // More would be as wrong as less, and is seen at once.
        (found? >= done).then_some(found?)
    })
    .await;
    assert!((all - done).abs() < 0.5, "{all} ticks in Graphite, {last}");
}

async fn the_backend_dies_and_comes_back(host: &Host, part: &str) {
    let worker = format!("{}-metrics-worker-r3-1", host.name());
    let started = docker(&["inspect", "-f", "{{.State.StartedAt}}", &worker]);
    let name = format!("{}-{part}-1", host.name());
    let restarts = || docker(&["inspect", "-f", "{{.RestartCount}} {{.State.Health.Status}}", &name]);
    assert_eq!(restarts(), "0 healthy");
    // From outside: `docker kill` would be a stop that somebody wanted, and not be repaired.
    let pid = docker(&["inspect", "-f", "{{.State.Pid}}", &name]).parse().ok().and_then(Pid::from_raw);
    kill_process(pid.expect("it runs"), Signal::KILL).expect("a signal to a process of this test");
    eventually("it comes back by itself", DEADLINE, async || (restarts() == "1 healthy").then_some(())).await;

    let before = eventually("graphs are drawn", GRAPHED, async || ticks(host, "r3").await).await;
    eventually("new ticks arrive", GRAPHED, async || (ticks(host, "r3").await? > before).then_some(())).await;
    let now = docker(&["inspect", "-f", "{{.State.StartedAt}}", &worker]);
    assert_eq!(now, started, "the worker was restarted when {part} died");
}

async fn ticks(host: &Host, release: &str) -> Option<f64> {
    let path = format!("/render?target=stats.counters.metrics-worker.{release}.1.ticks.count&format=json&from=-1h");
    sum(&fetch(host, &path).await?.1)
}

/// The sum of all points of the one series; `None` when there is none.
fn sum(json: &[u8]) -> Option<f64> {
    let series: Value = serde_json::from_slice(json).ok()?;
    let points = series[0]["datapoints"].as_array()?;
    Some(points.iter().filter_map(|point| point[0].as_f64()).sum())
}

async fn fetch(host: &Host, path: &str) -> Option<(u16, Vec<u8>)> {
    let url = format!("http://127.0.0.1:{}{path}", host.port_of("GRAPHITE_PORT"));
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let answer = client.get(url).send().await.ok()?;
    Some((answer.status().as_u16(), answer.bytes().await.ok()?.to_vec()))
}
