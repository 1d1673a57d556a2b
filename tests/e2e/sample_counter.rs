//! The sample's counter is exact through every kind of deploy, and honest while its Redis is away.
//!
//! What Redis promises (`appendfsync always`) is checked as its users see it: an acknowledged count survives `kill -9`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use deploy_apps::load::{Expect, Traffic};
use reqwest::{Client, StatusCode};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::harness::{DEADLINE, Host, docker, eventually, none_lost, sample};

/// The app gives Redis 3 s; the rest is for a busy machine.
const QUICK: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_counter_is_exact_through_deploys_and_through_the_death_of_its_redis() {
    let host = sample("counter").await;
    host.deploy(&["counter-service"]).await.succeeded();
    every_answered_request_counts_once_whatever_is_deployed(&host).await;
    a_repeated_key_counts_once(&host).await;
    retries_count_once_though_redis_is_killed(&host).await;
    a_hanging_redis_is_a_quick_refusal(&host).await;
}

async fn every_answered_request_counts_once_whatever_is_deployed(host: &Host) {
    let before = count(host).await;
    let post = || Traffic::post("/count", Expect::Success);
    let idle = Traffic::pooled_post("/count", Expect::Success, Duration::from_secs(2));
    let config = host.load("counter-service").send_every(6, Duration::from_millis(10), post()).send(2, idle);
    let load = host.start(config).await;
    host.deploy(&["counter-service", "--force"]).await.succeeded();
    for words in
        ["scale counter-service=1", "scale counter-service=5", "scale counter-service=2", "rollback counter-service"]
    {
        let words: Vec<&str> = words.split(' ').collect();
        host.cli(&words).env("COMPOSE_PROFILES", "counter").run().await.succeeded();
    }
    let report = load.stop().await;
    none_lost(&report);
    // Only POSTs were sent, so what was answered is what must have been counted: no more, no less.
    assert_eq!(count(host).await - before, report.ok, "counted against acknowledged\n{}", report.table());
    host.runs(&["counter-service-r1-1", "counter-service-r1-2", "redis-1"]).await;
}

async fn a_repeated_key_counts_once(host: &Host) {
    let before = count(host).await;
    let caller = Caller::new(host);
    // Enough to meet both replicas, some of them at once.
    let attempts = (0..8).map(|_| caller.clone()).map(|caller| tokio::spawn(async move { caller.post("same").await }));
    for attempt in attempts.collect::<Vec<_>>() {
        assert_eq!(attempt.await.expect("no panic"), StatusCode::OK);
    }
    assert_eq!(count(host).await, before + 1);
}

async fn retries_count_once_though_redis_is_killed(host: &Host) {
    let before = count(host).await;
    let clients = Clients::start(host);
    for _ in 0..2 {
        eventually("counting goes on", DEADLINE, clients.more(100)).await;
        let refused = clients.refused.load(Ordering::Relaxed);
        // From outside: `docker kill` would be a stop that somebody wanted, and not be repaired.
        signal(host, Signal::KILL);
        eventually("the outage is told", DEADLINE, async || {
            (clients.refused.load(Ordering::Relaxed) > refused).then_some(())
        })
        .await;
    }
    eventually("counting goes on", DEADLINE, clients.more(200)).await;
    let keys = clients.stop().await;
    assert_eq!(count(host).await - before, keys, "counted against keys, each sent until it was acknowledged");
    host.runs(&["counter-service-r1-1", "counter-service-r1-2", "redis-1"]).await;
    let restarts = docker(&["inspect", "-f", "{{.RestartCount}}", &redis(host)]);
    assert!(restarts.parse::<u32>().is_ok_and(|restarts| restarts >= 2), "Redis came back by itself: {restarts}");
}

async fn a_hanging_redis_is_a_quick_refusal(host: &Host) {
    let before = count(host).await;
    signal(host, Signal::STOP);
    let started = Instant::now();
    let status = Caller::new(host).post("hung").await;
    let (took, healthy) = (started.elapsed(), host.get("counter-service", "/healthz").await);
    signal(host, Signal::CONT);
    assert!(status == StatusCode::SERVICE_UNAVAILABLE && took < QUICK, "{status} after {took:?}");
    assert_eq!(healthy.status, 200, "an outage of Redis is not the replica's illness: {healthy:?}");
    eventually("it is counted, once", DEADLINE, async || {
        (Caller::new(host).post("hung").await == StatusCode::OK).then_some(())
    })
    .await;
    assert_eq!(count(host).await, before + 1);
}

/// Sends POSTs with a key, each until it is acknowledged.
struct Clients {
    acknowledged: Arc<AtomicU64>,
    refused: Arc<AtomicU64>,
    done: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Clients {
    fn start(host: &Host) -> Self {
        let mut clients =
            Self { acknowledged: Arc::default(), refused: Arc::default(), done: Arc::default(), tasks: Vec::new() };
        for client in 0..6 {
            let (acknowledged, refused) = (clients.acknowledged.clone(), clients.refused.clone());
            let (done, caller) = (clients.done.clone(), Caller::new(host));
            clients.tasks.push(tokio::spawn(async move {
                for number in 0_u32.. {
                    if done.load(Ordering::Relaxed) {
                        return;
                    }
                    while caller.post(&format!("client-{client}-{number}")).await != StatusCode::OK {
                        refused.fetch_add(1, Ordering::Relaxed);
                        sleep(Duration::from_millis(50)).await;
                    }
                    acknowledged.fetch_add(1, Ordering::Relaxed);
                    sleep(Duration::from_millis(5)).await;
                }
            }));
        }
        clients
    }

    /// Whether so many more were acknowledged than at the time of the call.
    fn more(&self, wanted: u64) -> impl AsyncFnMut() -> Option<()> {
        let (acknowledged, start) = (self.acknowledged.clone(), self.acknowledged.load(Ordering::Relaxed));
        async move || (acknowledged.load(Ordering::Relaxed) >= start + wanted).then_some(())
    }

    /// How many keys were acknowledged in all.
    async fn stop(self) -> u64 {
        self.done.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.expect("no panic in a client");
        }
        self.acknowledged.load(Ordering::Relaxed)
    }
}

#[derive(Clone)]
struct Caller {
    client: Client,
    url: String,
}

impl Caller {
    fn new(host: &Host) -> Self {
        let client = Client::builder().no_proxy().timeout(QUICK).build().expect("a client");
        Self { client, url: format!("http://{}/count", host.address()) }
    }

    /// 200, or the one refusal that is allowed.
    async fn post(&self, key: &str) -> StatusCode {
        let request = self.client.post(&self.url).header("host", "counter-service.localhost");
        let answer = request.header("idempotency-key", key).send().await.expect("an answer, and quickly");
        let status = answer.status();
        if status != StatusCode::OK {
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(answer.headers()["retry-after"], "1");
        }
        status
    }
}

async fn count(host: &Host) -> u64 {
    let answer = host.get("counter-service", "/count").await;
    let body: Option<Value> = serde_json::from_str(&answer.body).ok();
    body.and_then(|body| body["count"].as_u64()).unwrap_or_else(|| panic!("{answer:?}"))
}

fn redis(host: &Host) -> String {
    format!("{}-redis-1", host.name())
}

/// To the process of Redis itself.
fn signal(host: &Host, signal: Signal) {
    let pid = docker(&["inspect", "-f", "{{.State.Pid}}", &redis(host)]);
    let pid = pid.parse().ok().and_then(Pid::from_raw);
    kill_process(pid.expect("Redis runs"), signal).expect("a signal to a process of this test");
}
