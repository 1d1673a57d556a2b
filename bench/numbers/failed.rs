//! Failed requests over many deploys with all kinds of clients, compared with an nginx that reloads.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use deploy_apps::load::{Expect, Load, LoadConfig, Phase, Report, Traffic};
use tokio::time::{sleep, sleep_until};

use crate::host::{Host, address_of, app, docker, services};
use crate::standing;
use crate::table::Row;
use crate::{Bench, Result};

/// Duration of sleepers, uploads and streams. A deploy drains them, so longer ones would only extend the run.
const LONG: Duration = Duration::from_secs(1);
/// Pause between two deploys.
const BREATH: Duration = Duration::from_millis(200);

pub async fn measure(bench: &Bench) -> Result {
    let host = Host::start(bench, "failed", services([("web", app(bench, 2))])).await?;
    let deploys = bench.rounds(30, 6);
    let begun = Instant::now();
    let load = Load::start(mixed(host.proxy_address().await?)).await?;
    for _ in 0..deploys {
        load.set_phase(Phase::Deploying);
        host.deploy(&["web", "--force"]).await?;
        load.set_phase(Phase::Steady);
        sleep(BREATH).await;
    }
    let pace = begun.elapsed() / u32::try_from(deploys)?;
    let report = load.stop().await;
    let what =
        format!("failed of {} requests, {deploys} deploys under load of all kinds", report.ok + report.failures());
    Row::count(what, report.failures(), causes(&report)).at_most(0.0).print();

    let report = reload(bench, &host, deploys, pace).await?;
    let what = format!("of {} by nginx with {deploys} reloads at the same pace", report.ok + report.failures());
    Row::count(what, report.failures(), causes(&report)).print();
    Ok(())
}

/// The same load on nginx, which reloads to switch between two replicas that both keep running.
async fn reload(bench: &Bench, host: &Host, flips: usize, pace: Duration) -> Result<Report> {
    let replicas =
        [standing::app(host, &bench.images.app, "one").await?, standing::app(host, &bench.images.app, "two").await?];
    let conf = include_str!("../common/conf/reload.conf");
    let rival = standing::nginx(host, &bench.images.proxy, "rival", conf, &replicas[..1]).await?;
    let address: SocketAddr = (address_of(&rival).await?, 8080).into();
    let load = Load::start(mixed(address)).await?;
    let mut next = tokio::time::Instant::now();
    for number in 1..=flips {
        next += pace;
        sleep_until(next).await;
        flip(&rival, replicas[number % 2]).await?;
    }
    sleep(BREATH).await;
    Ok(load.stop().await)
}

async fn flip(rival: &str, to: SocketAddr) -> Result {
    let script = format!("echo 'server {to};' > /tmp/upstream.conf && nginx -c /tmp/nginx.conf -s reload");
    docker(&["exec", rival, "sh", "-c", &script]).await.map(drop)
}

fn mixed(target: SocketAddr) -> LoadConfig {
    let gap = Duration::from_millis(10);
    LoadConfig::new(target, "web.localhost")
        .bounded(Duration::from_secs(240), 1_000_000)
        .keep_streams_for(LONG)
        .send_every(12, gap, Traffic::get("/"))
        .send_every(24, gap, Traffic::post("/upload", Expect::ByteCount))
        .send(8, Traffic::pooled_post("/upload", Expect::ByteCount, 2 * LONG))
        .send(4, Traffic::sleeper("/sleep?for=1s"))
        .send(2, Traffic::upload("/upload", 1 << 20, LONG))
        .send(4, Traffic::sse("/events?every=100ms"))
        .send(4, Traffic::websocket("/ws"))
}

fn causes(report: &Report) -> String {
    let causes = report.failed.iter().map(|(cause, count)| format!("{cause}: {count}"));
    causes.collect::<Vec<_>>().join(", ")
}
