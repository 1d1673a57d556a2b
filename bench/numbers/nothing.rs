//! A run without changes, and the help.

use std::process::Stdio;
use std::time::Instant;

use tokio::process::Command;

use crate::host::{Host, app, binary, services};
use crate::samples::Samples;
use crate::table::{Row, Unit};
use crate::{Bench, Result};

pub async fn measure(bench: &Bench) -> Result {
    let host = Host::start(bench, "nothing", services([("web", app(bench, 2))])).await?;
    let (mut nothing, mut help) = (Samples::default(), Samples::default());
    for _ in 0..bench.rounds(20, 5) {
        nothing.push_time(host.deploy(&["web"]).await?);
    }
    for _ in 0..bench.rounds(50, 20) {
        let begun = Instant::now();
        let status = Command::new(binary()).arg("--help").stdout(Stdio::null()).status().await?;
        help.push_time(begun.elapsed());
        if !status.success() {
            return Err("`--help` fails".into());
        }
    }
    Row::median("nothing to do: routes confirmed, process start included", Unit::Milliseconds, &nothing)
        .at_most(40.0)
        .print();
    Row::median("`--help`", Unit::Milliseconds, &help).at_most(5.0).print();
    Ok(())
}
