//! The time from the end of the old version's last request to its stop signal.

use std::time::{Duration, SystemTime};

use serde::Serialize;
use tokio::time::{Instant, sleep};

use crate::common::host::first_event;
use crate::common::http::OpenRequest;
use crate::common::samples::between;
use crate::common::{Result, process};
use crate::stage::Stage;

/// The request reaches the app well within this.
const ARRIVAL: Duration = Duration::from_millis(200);
/// How long the request continues after the new version serves.
const LINGER: Duration = Duration::from_secs(1);
/// Limit for a tool that waits for the request before the new version serves, which would otherwise wait forever.
const PATIENCE: Duration = Duration::from_secs(3);

#[derive(Debug, Clone, Copy, Serialize)]
pub struct Stopped {
    /// Negative when the signal came while the request was still open.
    pub after_last_request_ms: f64,
    /// Whether the request was answered.
    pub answered: bool,
}

/// An upload keeps the old version busy during a deploy, and ends a second after the new one serves.
pub async fn measure(stage: &mut Stage) -> Result<Stopped> {
    let old = stage.replicas().await?.into_iter().next().ok_or("no container of the app runs")?;
    let since = SystemTime::now();
    let request = OpenRequest::begin(stage.address).await?;
    sleep(ARRIVAL).await;
    let deploy = process::start(stage.next())?;
    let begun = Instant::now();
    let lingered = async {
        while !stage.is_new().await && begun.elapsed() < PATIENCE {
            sleep(Duration::from_millis(20)).await;
        }
        sleep(LINGER).await;
        let ended = request.end().await;
        (ended.is_ok(), ended.unwrap_or_else(|_| SystemTime::now()))
    };
    let ((answered, ended), deployed) = tokio::join!(lingered, process::finish(deploy));
    deployed?;
    stage.confirm().await?;
    let stopped = first_event("kill", &old, since).await?;
    Ok(Stopped { after_last_request_ms: between(ended, stopped), answered })
}
