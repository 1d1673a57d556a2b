//! The time from the end of the old replica's last request to its stop signal.

use std::time::{Duration, SystemTime};

use deploy_apps::ports::Proxy;
use tokio::time::{sleep, timeout};

use crate::host::{Host, app, first_event, services};
use crate::http::OpenRequest;
use crate::samples::{Samples, between};
use crate::table::{Row, Unit};
use crate::{Bench, Result};

const LIMIT: Duration = Duration::from_secs(30);

pub async fn measure(bench: &Bench) -> Result {
    let host = Host::start(bench, "drain", services([("web", app(bench, 1))])).await?;
    let address = host.proxy_address().await?;
    let mut waited = Samples::default();
    for _ in 0..bench.rounds(11, 5) {
        let record = host.known("web").await?.record.ok_or("the app has no record")?;
        let old: Vec<String> = record.peers.iter().map(|peer| peer.id.clone()).collect();
        let since = SystemTime::now();
        let request = OpenRequest::begin(address).await?;
        timeout(LIMIT, async {
            while host.proxy.in_flight(&old, None, Duration::ZERO).await?.requests == 0 {
                sleep(Duration::from_millis(2)).await;
            }
            Ok::<_, deploy_apps::ports::ProxyError>(())
        })
        .await??;
        let mut run = host.spawn(&["web", "--force"])?;
        run.event("drain_progressed", |event| event["left"]["requests"] == 1).await?;
        let ended = request.end().await?;
        run.succeed().await.map_err(|error| format!("the redeploy {error}"))?;
        let stopped = first_event("kill", &old[0], since).await?;
        waited.push(between(ended, stopped));
    }
    Row::median("last request of the old replica ends → its stop signal", Unit::Milliseconds, &waited)
        .at_most(50.0)
        .print();
    Ok(())
}
