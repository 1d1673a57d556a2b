//! Whether users notice a deploy: p99.9 latency during a deploy and in steady state.

use std::time::{Duration, Instant};

use deploy_apps::load::{Expect, Load, LoadConfig, Phase, Report, Traffic};
use tokio::time::sleep;

use crate::engine;
use crate::host::{Host, app, services};
use crate::samples::Samples;
use crate::table::{Row, Unit};
use crate::{Bench, Result};

/// Number of alternations between steady state and deploy per round, so that other activity on the machine affects both
/// equally.
const TURNS: usize = 3;
/// A moderate rate: at full load every disturbance shows in the tail.
const GAP: Duration = Duration::from_millis(10);

pub async fn measure(bench: &Bench) -> Result {
    let host = Host::start(bench, "tail", services([("web", app(bench, 2))])).await?;
    let apps = host.apps()?;
    let (mut ours, mut engines) = (Samples::default(), Samples::default());
    let (mut steady, mut deploying) = (Samples::default(), Samples::default());
    for _ in 0..bench.rounds(7, 2) {
        let report = alternate(&host, async || {
            host.deploy(&["web", "--force"]).await?;
            Ok(())
        })
        .await?;
        ours.push(ratio(&report)?);
        let (Some(calm), Some(busy)) = (report.latency.steady, report.latency.deploying) else { continue };
        steady.push(calm.p999_us as f64 / 1000.0);
        deploying.push(busy.p999_us as f64 / 1000.0);

        let report = alternate(&host, async || {
            let containers = engine::planned(&host, &apps).await?;
            engine::create_and_start(&host, &containers).await?;
            engine::stop_and_remove(&host, &containers).await?;
            Ok(())
        })
        .await?;
        engines.push(ratio(&report)?);
    }
    Row::median("p99.9 while deploying ÷ in steady state", Unit::Times, &ours).at_most(1.2).print();
    Row::median("while deploying", Unit::Milliseconds, &deploying).print();
    Row::median("in steady state", Unit::Milliseconds, &steady).print();
    Row::median("÷ while the engine alone makes and removes such containers", Unit::Times, &engines).print();
    Ok(())
}

async fn alternate(host: &Host, work: impl AsyncFn() -> Result) -> Result<Report> {
    let config = LoadConfig::new(host.proxy_address().await?, "web.localhost")
        .bounded(Duration::from_secs(60), 1_000_000)
        .send_every(12, GAP, Traffic::get("/"))
        .send_every(12, GAP, Traffic::post("/upload", Expect::ByteCount));
    let load = Load::start(config).await?;
    for _ in 0..TURNS {
        load.set_phase(Phase::Deploying);
        let begun = Instant::now();
        work().await?;
        load.set_phase(Phase::Steady);
        sleep(begun.elapsed()).await;
    }
    let report = load.stop().await;
    if report.failures() > 0 {
        return Err(format!("requests failed\n{report}").into());
    }
    Ok(report)
}

fn ratio(report: &Report) -> Result<f64> {
    report.latency.p999_ratio().ok_or_else(|| "no request was answered in one of the phases".into())
}
