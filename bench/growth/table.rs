//! A larger table in the proxy: the duration of a flip, and the table's memory. There are no reloads.

use crate::common::cgroup::Cgroup;
use crate::common::crowd::Crowd;
use crate::common::host::{Host, app, services};
use crate::common::samples::Samples;
use crate::common::{Bench, Result};
use crate::grid::{Grid, Unit};

/// Numbers of apps, with ten peers each.
const SIZES: [usize; 4] = [1, 10, 100, 1_000];
const PEERS: u32 = 10;
const FLIPS: usize = 200;

pub async fn measure(bench: &Bench, rounds: usize, grid: &mut Grid) -> Result {
    for size in SIZES {
        let host = Host::start(bench, "table", services([("web", app(bench, 1))])).await?;
        let proxy = Cgroup::of(&host.name.instance(1)).await?;
        let mut memory = Samples::default();
        let empty = proxy.memory_bytes()?;
        let mut crowd = Crowd::gather(&host, u32::try_from(size)?, PEERS).await?;
        let (mut median, mut slowest) = (Samples::default(), Samples::default());
        for _ in 0..rounds {
            let mut flips = Samples::default();
            for _ in 0..FLIPS {
                flips.push_time(crowd.flip().await?);
            }
            median.push(flips.quantile(0.5));
            slowest.push(flips.quantile(0.99));
            memory.push((proxy.memory_bytes()? - empty) / 1e6);
        }
        grid.put(size, "a flip acknowledged, p50", Unit::Milliseconds, median);
        grid.put(size, "a flip acknowledged, p99", Unit::Milliseconds, slowest);
        grid.put(size, "proxy's memory, above an empty table's", Unit::Megabytes, memory);
    }
    Ok(())
}
