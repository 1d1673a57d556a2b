//! More apps on one host: duration of observations and of runs without changes.

use std::time::Instant;

use crate::common::host::{Host, app, services};
use crate::common::samples::Samples;
use crate::common::{Bench, Result};
use crate::flips;
use crate::grid::{Grid, Unit};

const SIZES: [usize; 4] = [1, 10, 50, 200];
const FLIPS: usize = 50;

pub async fn measure(bench: &Bench, rounds: usize, grid: &mut Grid) -> Result {
    let sizes = if bench.quick { &SIZES[..2] } else { &SIZES[..] };
    for &size in sizes {
        let all = (1..=size).map(|number| (format!("app-{number:03}"), app(bench, 1)));
        let begun = Instant::now();
        let host = Host::start(bench, "apps", services(all)).await?;
        let mut first = Samples::default();
        first.push_time(begun.elapsed());
        let commands: [(&'static str, &[&str]); 4] = [
            ("`status`", &["status"]),
            ("`plan`, nothing to do", &["plan"]),
            ("deploy of one, nothing to do", &["app-001"]),
            ("deploy of all, nothing to do", &["--all"]),
        ];
        for (what, command) in commands {
            let mut times = Samples::default();
            for _ in 0..rounds {
                times.push_time(host.deploy(command).await?);
            }
            grid.put(size, what, Unit::Milliseconds, times);
        }
        grid.put(size, "a flip acknowledged", Unit::Milliseconds, flips::again(&host, "app-001", FLIPS).await?);
        let mut one = Samples::default();
        for _ in 0..rounds {
            one.push_time(host.deploy(&["app-001", "--force"]).await?);
        }
        grid.put(size, "redeploy of one", Unit::Milliseconds, one);
        grid.put(size, "first deploy of all, with the proxy", Unit::Milliseconds, first);
    }
    Ok(())
}
