//! One round of one tool: set up, deploy under load, and measure the cost of its parts.

use serde::Serialize;

use crate::common::cgroup::Cgroup;
use crate::common::samples::Samples;
use crate::common::{Bench, Result, engine, process, wrk};
use crate::load::{self, Moment};
use crate::stage::Stage;
use crate::stop::{self, Stopped};
use crate::tools::Tool;

/// Measurements of the engine alone per round, as a single one may hit a busy moment.
const FLOORS: usize = 3;
/// Stops of an old version per round.
const STOPS: usize = 2;

/// The results of one round, as stored in the results file.
#[derive(Debug, Serialize)]
pub struct Round {
    pub number: usize,
    /// Position of the tool in the round, from 1.
    pub place: usize,
    /// The engine alone: create, start and first healthy answer of the same container, median.
    pub floor_ms: f64,
    pub deploys: Vec<Deploy>,
    /// The report of the load during the deploys.
    pub load: deploy_apps::load::Report,
    pub moments: Vec<Moment>,
    pub stops: Vec<Stopped>,
    pub throughput: Throughput,
    /// Memory of the container in front of the app, right after the load; `None` without one.
    pub proxy_memory_bytes: Option<f64>,
    /// Peak memory of the tool's processes during a deploy.
    pub tool_memory_bytes: u64,
}

#[derive(Debug, Clone, Copy, Serialize)]
pub struct Deploy {
    /// From the load's start.
    pub at_ms: f64,
    /// Duration of the command.
    pub wall_ms: f64,
}

/// At full load, without a deploy.
#[derive(Debug, Serialize)]
pub struct Throughput {
    pub requests_per_second: f64,
    pub p99_ms: f64,
    /// CPU time of the container in front of the app, in µs; `None` without one.
    pub proxy_us_per_request: Option<f64>,
}

pub async fn measure(bench: &Bench, tool: Tool, number: usize, place: usize, deploys: usize) -> Result<Round> {
    let mut stage = Stage::start(bench, tool).await?;
    let floor_ms = floor(bench, &stage).await?;
    let proxy = match tool.proxy(&stage) {
        Some(container) => Some(Cgroup::of(&container).await?),
        None => None,
    };
    let (deploys, load, moments) = load::deploys(&mut stage, deploys).await?;
    let proxy_memory_bytes = proxy.as_ref().map(Cgroup::memory_bytes).transpose()?;
    let mut stops = Vec::new();
    for _ in 0..STOPS {
        stops.push(stop::measure(&mut stage).await?);
    }
    let throughput = throughput(bench, &stage, proxy.as_ref()).await?;
    let tool_memory_bytes = process::peak_memory(stage.next()).await?;
    stage.confirm().await?;
    Ok(Round {
        number,
        place,
        floor_ms,
        deploys,
        load,
        moments,
        stops,
        throughput,
        proxy_memory_bytes,
        tool_memory_bytes,
    })
}

async fn floor(bench: &Bench, stage: &Stage) -> Result<f64> {
    let mut floors = Samples::default();
    for _ in 0..FLOORS {
        floors.push_time(engine::floor(&bench.engine, &stage.name, &stage.image, "bridge").await?);
    }
    Ok(floors.median())
}

async fn throughput(bench: &Bench, stage: &Stage, proxy: Option<&Cgroup>) -> Result<Throughput> {
    let target = format!("http://{}/", stage.address);
    let run = |seconds| wrk::run(bench, &stage.name, "host", &target, seconds);
    // The first run fills caches and pools, and is not counted.
    run(1).await?;
    let before = proxy.map(Cgroup::processor_seconds).transpose()?;
    let said = run(if bench.quick { 2 } else { 3 }).await?;
    let after = proxy.map(Cgroup::processor_seconds).transpose()?;
    let used = before.zip(after).map(|(before, after)| (after - before) * 1e6 / said.requests);
    Ok(Throughput { requests_per_second: said.rate, p99_ms: said.p99_ms, proxy_us_per_request: used })
}
