//! The time for a flip to be acknowledged with a large table: written to disk, and active in every worker.

use crate::crowd::Crowd;
use crate::host::{Host, app, services};
use crate::samples::Samples;
use crate::table::{Row, Unit};
use crate::{Bench, Result};

const APPS: u32 = 1_000;
const PEERS: u32 = 10;
/// Per round, so that its p99 is not just the slowest flip.
const FLIPS: u32 = 400;

pub async fn measure(bench: &Bench) -> Result {
    let host = Host::start(bench, "flip", services([("web", app(bench, 1))])).await?;
    let mut crowd = Crowd::gather(&host, APPS, PEERS).await?;
    let (mut median, mut slowest) = (Samples::default(), Samples::default());
    for _ in 0..bench.rounds(7, 3) {
        let mut flips = Samples::default();
        for _ in 0..FLIPS {
            flips.push_time(crowd.flip().await?);
        }
        median.push(flips.quantile(0.5));
        slowest.push(flips.quantile(0.99));
    }
    Row::median(format!("flip acknowledged, {APPS} apps × {PEERS} peers, p99"), Unit::Milliseconds, &slowest)
        .at_most(5.0)
        .print();
    Row::median("p50", Unit::Milliseconds, &median).print();
    Ok(())
}
