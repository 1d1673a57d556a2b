//! More replicas of one app: a redeploy creates and stops all of them, compared with the engine alone.

use crate::common::host::{Host, app, services};
use crate::common::samples::Samples;
use crate::common::{Bench, Result, engine};
use crate::flips;
use crate::grid::{Grid, Unit};

const SIZES: [usize; 4] = [1, 5, 20, 50];
const FLIPS: usize = 50;

pub async fn measure(bench: &Bench, rounds: usize, grid: &mut Grid) -> Result {
    let sizes = if bench.quick { &SIZES[..2] } else { &SIZES[..] };
    for &size in sizes {
        let host = Host::start(bench, "replicas", services([("web", app(bench, u32::try_from(size)?))])).await?;
        let apps = host.apps()?;
        let (mut ours, mut engines) = (Samples::default(), Samples::default());
        for _ in 0..rounds.min(5) {
            let containers = engine::planned(&host, &apps).await?;
            let made = engine::create_until_healthy(&host, &containers).await?;
            engines.push_time(made + engine::stop_and_remove(&host, &containers).await?);
            ours.push_time(host.deploy(&["web", "--force"]).await?);
        }
        grid.put(size, "redeploy of all", Unit::Milliseconds, ours);
        grid.put(size, "the engine alone: make, stop, remove", Unit::Milliseconds, engines);
        grid.put(size, "a flip acknowledged", Unit::Milliseconds, flips::again(&host, "web", FLIPS).await?);
    }
    Ok(())
}
