//! Deploys under load: the same clients for every tool, without retries.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use deploy_apps::load::{Expect, Load, LoadConfig, Phase, Report, Traffic};
use serde::Serialize;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::common::samples::milliseconds;
use crate::common::{Result, http, process};
use crate::round::Deploy;
use crate::stage::{HOST, Stage};

/// Duration of sleepers, uploads and streams: longer than a stop that does not wait for them.
const LONG: Duration = Duration::from_secs(1);
/// Pause between two deploys, so that the steady state has its own figures.
const BREATH: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// One observation during the load.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Moment {
    /// From the load's start.
    pub at_ms: f64,
    /// Latency of one request on a new connection; `None` when it failed.
    pub latency_ms: Option<f64>,
    /// Requests started and failed so far, of all kinds.
    pub requests: u64,
    pub failures: u64,
}

/// Deploys `count` times under load.
pub async fn deploys(stage: &mut Stage, count: usize) -> Result<(Vec<Deploy>, Report, Vec<Moment>)> {
    let address = stage.address;
    let begun = Instant::now();
    let load = Load::start(mixed(address)).await?;
    let moments = RefCell::new(Vec::new());
    let look = async {
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            ticks.tick().await;
            let at_ms = milliseconds(begun.elapsed());
            let asked = Instant::now();
            let answer = http::get(address, HOST, "/healthz").await;
            let latency_ms = answer.ok().map(|_| milliseconds(asked.elapsed()));
            let progress = load.progress();
            let (requests, failures) = (progress.requests, progress.failures);
            moments.borrow_mut().push(Moment { at_ms, latency_ms, requests, failures });
        }
    };
    let deploy = async {
        let mut deploys = Vec::new();
        for _ in 0..count {
            sleep(BREATH).await;
            load.set_phase(Phase::Deploying);
            let at_ms = milliseconds(begun.elapsed());
            let took = process::run(stage.next()).await?;
            deploys.push(Deploy { at_ms, wall_ms: milliseconds(took) });
            // A deploy is complete when users are served again, even if the tool reports its end earlier.
            stage.confirm().await?;
            load.set_phase(Phase::Steady);
        }
        sleep(BREATH).await;
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(deploys)
    };
    let deploys = tokio::select! {
        deploys = deploy => deploys?,
        () = look => unreachable!("it looks for as long as it is asked to"),
    };
    let report = load.stop().await;
    Ok((deploys, report, moments.into_inner()))
}

/// A rate that leaves capacity on two cores: at full load all kinds of disturbances show in the tail.
fn mixed(target: std::net::SocketAddr) -> LoadConfig {
    let gap = Duration::from_millis(20);
    LoadConfig::new(target, HOST)
        .bounded(Duration::from_secs(600), 2_000_000)
        .keep_streams_for(LONG)
        .send_every(8, gap, Traffic::get("/"))
        .send_every(16, gap, Traffic::post("/upload", Expect::ByteCount))
        .send(8, Traffic::pooled_post("/upload", Expect::ByteCount, 2 * LONG))
        .send(4, Traffic::sleeper("/sleep?for=1s"))
        .send(2, Traffic::upload("/upload", 1 << 20, LONG))
        .send(4, Traffic::sse("/events?every=100ms"))
        .send(4, Traffic::websocket("/ws"))
}
