//! Deploys in a loop under light load: anything that they leave behind accumulates and becomes visible.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use deploy_apps::load::{Expect, Load, LoadConfig, Report, Traffic};
use serde::Serialize;

use crate::common::cgroup::Cgroup;
use crate::common::host::{Host, app, docker, services};
use crate::common::results::{self, Head};
use crate::common::samples::milliseconds;
use crate::common::{Bench, Machine, Result};
use crate::{page, plot};

/// Observations per run, including the first and the last.
const LOOKS: usize = 60;
const WIDTH: usize = 60;

/// The state after a number of deploys.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Look {
    pub deploys: usize,
    /// Since the first deploy.
    pub at_s: f64,
    /// Duration of the last deploy.
    wall_ms: f64,
    proxy_memory_bytes: f64,
    proxy_descriptors: usize,
    /// Size of the proxy's state on its volume.
    state_bytes: u64,
    containers: usize,
    images: usize,
    networks: usize,
}

#[derive(Debug, Serialize)]
struct Results<'a> {
    #[serde(flatten)]
    head: &'a Head<'a>,
    looks: &'a [Look],
    /// The load's report; only for a completed run.
    load: Option<&'a Report>,
}

/// One line of the plot.
pub type Series = (&'static str, fn(&Look) -> f64);

pub const SERIES: [Series; 7] = [
    ("proxy's memory, MB", |look| look.proxy_memory_bytes / 1e6),
    ("proxy's file descriptors", |look| look.proxy_descriptors as f64),
    ("proxy's state on disk, kB", |look| look.state_bytes as f64 / 1e3),
    ("containers", |look| look.containers as f64),
    ("image tags", |look| look.images as f64),
    ("networks", |look| look.networks as f64),
    ("deploy, ms", |look| look.wall_ms),
];

pub async fn measure(bench: &Bench, machine: &Machine, deploys: usize, file: &Path) -> Result<bool> {
    let head = Head::new("soak", machine);
    let host = Host::start(bench, "soak", services([("web", app(bench, 1))])).await?;
    let load = Load::start(light(host.proxy_address().await?)).await?;
    let (begun, every) = (Instant::now(), deploys.div_ceil(LOOKS));
    let mut looks = Vec::new();
    let mut broken = None;
    for number in 1..=deploys {
        let wall_ms = match host.deploy(&["web", "--force"]).await {
            Ok(took) => milliseconds(took),
            Err(error) => {
                broken = Some(format!("deploy {number}: {error}"));
                break;
            }
        };
        if number == 1 || number == deploys || number.is_multiple_of(every) {
            looks.push(look(&host, number, begun, wall_ms).await?);
            eprint!("\r{number} of {deploys} deploys");
            results::write(file, &Results { head: &head, looks: &looks, load: None })?;
        }
    }
    eprintln!();
    let report = load.stop().await;
    results::write(file, &Results { head: &head, looks: &looks, load: Some(&report) })?;
    std::fs::write(file.with_extension("html"), page::soak(&looks, &report, machine))?;
    print(&looks, &report);
    println!("every look: {}\nto look at: {}", file.display(), file.with_extension("html").display());
    if let Some(broken) = broken {
        return Err(broken.into());
    }
    Ok(true)
}

async fn look(host: &Host, deploys: usize, begun: Instant, wall_ms: f64) -> Result<Look> {
    let (name, proxy) = (host.name.as_str(), host.name.instance(1));
    let count =
        async |args: &[&str]| Ok::<_, Box<dyn std::error::Error + Send + Sync>>(docker(args).await?.lines().count());
    let state = docker(&["exec", &proxy, "du", "-sb", "/var/lib/deploy-apps"]).await?;
    Ok(Look {
        deploys,
        at_s: begun.elapsed().as_secs_f64(),
        wall_ms,
        proxy_memory_bytes: Cgroup::of(&proxy).await?.memory_bytes()?,
        proxy_descriptors: descriptors(&proxy).await?,
        state_bytes: state.split_whitespace().next().ok_or("no size of the proxy's state")?.parse()?,
        containers: count(&["ps", "-aq", "--filter", &format!("name=^/?{name}-")]).await?,
        images: count(&["images", "-q", &format!("deploy-apps/{name}-*")]).await?,
        networks: count(&["network", "ls", "-q", "--filter", &format!("name=^{name}")]).await?,
    })
}

/// Open files of nginx, master and workers together. The pids are those of the host, from `docker top`.
pub async fn descriptors(proxy: &str) -> Result<usize> {
    let shown = docker(&["top", proxy, "-o", "pid"]).await?;
    let of = |pid: &str| fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
    Ok(shown.lines().skip(1).map(|pid| of(pid.trim())).sum())
}

fn light(address: std::net::SocketAddr) -> LoadConfig {
    let gap = Duration::from_millis(100);
    LoadConfig::new(address, "web.localhost")
        .bounded(Duration::from_secs(24 * 3600), 100_000_000)
        .send_every(4, gap, Traffic::get("/"))
        .send_every(4, gap, Traffic::post("/upload", Expect::ByteCount))
}

fn print(looks: &[Look], report: &Report) {
    let Some((first, last)) = looks.first().zip(looks.last()) else { return };
    println!("{:<27} {:<WIDTH$} {:>9} {:>9} {:>9}", "", "", "first", "highest", "last");
    for (what, of) in SERIES {
        let values: Vec<f64> = looks.iter().map(of).collect();
        let highest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let drawn = plot::line(&values, WIDTH);
        println!("{what:<27} {drawn:<WIDTH$} {:>9.1} {highest:>9.1} {:>9.1}", of(first), of(last));
    }
    let requests = report.ok + report.failures();
    println!("{} deploys in {:.0} s, {} of {requests} requests lost", last.deploys, last.at_s, report.failures());
}
