//! More open WebSockets in the proxy: the cost of each, and the effect on flips and on other requests.

use std::net::SocketAddr;
use std::time::Duration;

use deploy_apps::load::{Kind, Load, LoadConfig, Traffic};
use tokio::time::{Instant, sleep};

use crate::common::cgroup::Cgroup;
use crate::common::host::{Host, app, services};
use crate::common::samples::Samples;
use crate::common::{Bench, Result};
use crate::grid::{Grid, Unit};
use crate::{flips, soak};

const SIZES: [usize; 4] = [0, 10, 1_000, 10_000];
const FLIPS: usize = 50;
/// How many to open at once. A client retries after some seconds: on a machine that opens a few hundred per second,
/// thousands at once would all time out, and none would ever be open.
const PORTION: usize = 500;
/// Time limit per portion.
const PATIENCE: Duration = Duration::from_secs(60);
/// The connections are meant to be idle.
const TALK_EVERY: Duration = Duration::from_secs(20);

pub async fn measure(bench: &Bench, rounds: usize, grid: &mut Grid) -> Result {
    let sizes = if bench.quick { &SIZES[..3] } else { &SIZES[..] };
    for &size in sizes {
        let host = Host::start(bench, "sockets", services([("web", app(bench, 1))])).await?;
        let proxy = Cgroup::of(&host.name.instance(1)).await?;
        let address = host.proxy_address().await?;
        let open = open(&host, address, size).await?;
        let failures = || open.iter().map(|load| load.progress().failures).sum::<u64>();
        // On a busy machine a connection may have needed a retry.
        let before = failures();
        let mut memory = Samples::default();
        memory.push(proxy.memory_bytes()? / 1e6);
        grid.put(size, "proxy's memory", Unit::Megabytes, memory);
        grid.put(size, "a flip acknowledged", Unit::Milliseconds, flips::again(&host, "web", FLIPS).await?);
        let (mut median, mut slowest) = (Samples::default(), Samples::default());
        for _ in 0..rounds {
            let others = LoadConfig::new(address, "web.localhost")
                .bounded(Duration::from_secs(3), 1_000_000)
                .send_every(8, Duration::from_millis(10), Traffic::get("/"));
            let others = Load::start(others).await?;
            others.bound_reached().await;
            let report = others.stop().await;
            let latency = report.kind(Kind::Get).and_then(|kind| kind.latency).and_then(|latency| latency.steady);
            let latency = latency.filter(|_| report.failures() == 0).ok_or("the others' requests failed")?;
            median.push(latency.p50_us as f64 / 1e3);
            slowest.push(latency.p99_us as f64 / 1e3);
        }
        grid.put(size, "p50 of the others", Unit::Milliseconds, median);
        grid.put(size, "p99 of the others", Unit::Milliseconds, slowest);
        let mut lost = Samples::default();
        lost.push((failures() - before) as f64);
        grid.put(size, "WebSockets lost to the flips", Unit::Count, lost);
    }
    Ok(())
}

/// Opens them portion by portion, each as a separate load.
async fn open(host: &Host, address: SocketAddr, size: usize) -> Result<Vec<Load>> {
    let mut loads = Vec::new();
    for first in (0..size.max(1)).step_by(PORTION) {
        let portion = PORTION.min(size - first);
        loads.push(Load::start(sockets(address, portion)).await?);
        let (wanted, begun) = (first + portion, Instant::now());
        // Each uses two files of the proxy. Counting echoes would include lost connections.
        loop {
            let files = soak::descriptors(&host.name.instance(1)).await?;
            if files >= 2 * wanted {
                break;
            }
            if begun.elapsed() > PATIENCE {
                return Err(format!(
                    "about {} of {size} WebSockets are open, {PATIENCE:?} after the last {portion} began",
                    files / 2
                )
                .into());
            }
            sleep(Duration::from_millis(200)).await;
        }
    }
    Ok(loads)
}

/// Sizes without sockets keep a single client, so that all sizes run the same way.
fn sockets(address: SocketAddr, size: usize) -> LoadConfig {
    let talk = Traffic::WebSocket { path: "/ws".to_owned(), every: TALK_EVERY };
    let config = LoadConfig::new(address, "web.localhost").bounded(Duration::from_secs(900), 1_000_000);
    if size == 0 { config.send_every(1, TALK_EVERY, Traffic::get("/")) } else { config.send(size, talk) }
}
