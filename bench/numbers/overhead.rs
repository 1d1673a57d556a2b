//! The overhead of a redeploy beyond the time of the engine and the app.

use std::time::SystemTime;

use crate::engine;
use crate::host::{Host, app, services};
use crate::samples::{Samples, milliseconds};
use crate::table::{Row, Unit};
use crate::{Bench, Result};

const REPLICAS: u32 = 2;

pub async fn measure(bench: &Bench) -> Result {
    let host = Host::start(bench, "overhead", services([("web", app(bench, REPLICAS))])).await?;
    let apps = host.apps()?;
    let (mut wall, mut flipped) = (Samples::default(), Samples::default());
    let (mut floor, mut end) = (Samples::default(), Samples::default());
    for _ in 0..bench.rounds(15, 5) {
        let containers = engine::planned(&host, &apps).await?;
        floor.push_time(engine::create_until_healthy(&host, &containers).await?);
        end.push_time(engine::stop_and_remove(&host, &containers).await?);

        let begun = SystemTime::now();
        let mut run = host.spawn(&["web", "--force"])?;
        let acknowledged = run.event("flipped", |_| true).await?;
        run.succeed().await.map_err(|error| format!("the redeploy {error}"))?;
        wall.push(milliseconds(begun.elapsed()?));
        flipped.push(milliseconds(acknowledged.duration_since(begun)?));
    }
    let over = |samples: &Samples| samples.zip(&floor, |ours, engines| ours - engines);
    Row::median(
        "deploy overhead: command to its end − (create + start + first answer)",
        Unit::Milliseconds,
        &over(&wall),
    )
    .at_most(150.0)
    .print();
    let own = over(&wall).zip(&end, |over, engines| over - engines);
    Row::median("without the engine's own stop + remove of the old replicas", Unit::Milliseconds, &own).print();
    Row::median("until the new version serves − the same", Unit::Milliseconds, &over(&flipped)).at_most(60.0).print();
    Row::median(format!("the whole redeploy of {REPLICAS} replicas"), Unit::Milliseconds, &wall).print();
    Row::median("the engine alone: create + start + first answer", Unit::Milliseconds, &floor).print();
    Row::median("the engine alone: stop + remove", Unit::Milliseconds, &end).print();
    Ok(())
}
