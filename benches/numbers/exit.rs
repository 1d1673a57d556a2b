//! A container that exits while it starts: how long the report takes.

use std::time::SystemTime;

use serde_json::json;

use crate::host::{Host, app, last_event, services};
use crate::samples::{Samples, milliseconds};
use crate::table::{Row, Unit};
use crate::{Bench, Result};

pub async fn measure(bench: &Bench) -> Result {
    let mut broken = app(bench, 1);
    // Not part of the first deploy, which must succeed: the variable is read when the file is.
    broken["environment"] = json!({ "FAULT": "${BENCH_FAULT:-none}" });
    let host = Host::start(bench, "exit", services([("web", broken)])).await?;
    let mut reported = Samples::default();
    for _ in 0..bench.rounds(11, 5) {
        let since = SystemTime::now();
        let mut run = host.spawn_with(&["web"], &[("BENCH_FAULT", "exit")])?;
        let told = run
            .event("step_failed", |event| event["step"].as_str().is_some_and(|step| step.starts_with("await")))
            .await?;
        match run.finish().await? {
            1 => {}
            code => return Err(format!("the deploy of a broken version ended with {code}").into()),
        }
        let died = last_event("die", &format!("{}-web-", host.name), since).await?;
        // The clocks of the engine and of this process are one only on one machine.
        reported.push(told.duration_since(died).map_or(0.0, milliseconds));
    }
    Row::median("container exits while starting → failure reported", Unit::Milliseconds, &reported)
        .at_most(250.0)
        .print();
    Ok(())
}
