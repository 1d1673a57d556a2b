//! A container that exits during its start: the time until it is reported.

use std::time::SystemTime;

use serde_json::json;

use crate::host::{Host, app, first_event, services};
use crate::samples::{Samples, between};
use crate::table::{Row, Unit};
use crate::{Bench, Result};

pub async fn measure(bench: &Bench) -> Result {
    let mut broken = app(bench, 1);
    // The first deploy must succeed, so the variable is only set for the second one.
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
        let died = first_event("die", &format!("{}-web-", host.name), since).await?;
        reported.push(between(died, told));
    }
    Row::median("container exits while starting → failure reported", Unit::Milliseconds, &reported)
        .at_most(250.0)
        .print();
    Ok(())
}
