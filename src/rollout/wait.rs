//! The bounded waits. Every polling loop of the core stands here or in `gate`, and each has a deadline.

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::failure::StepFailure;
use crate::model::InFlight;
use crate::plan::Limits;
use crate::ports::{Engine, ExitReport, Proxy, ProxyError};

/// Log lines shown for a container that failed.
const LOG_LINES: usize = 20;
/// How often the engine is asked for a state that it has no event for.
pub(super) const STATUS_INTERVAL: Duration = Duration::from_millis(100);
/// How long one call of the proxy waits for a change of the counts.
const COUNT_WAIT: Duration = Duration::from_secs(2);
/// How long counts may be unknown, as while the proxy restarts, before a drain gives up.
const COUNT_PATIENCE: Duration = Duration::from_secs(20);

/// Waits for what the engine or the proxy will say.
pub(super) struct Waits<'a, E, P> {
    engine: &'a E,
    proxy: &'a P,
}

impl<'a, E: Engine, P: Proxy> Waits<'a, E, P> {
    pub(super) fn new(engine: &'a E, proxy: &'a P) -> Self {
        Self { engine, proxy }
    }

    /// Waits until the proxy answers, whatever version it speaks: that is judged later.
    pub(super) async fn await_control(
        &self,
        name: &str,
        timeout: Duration,
        cancel: &CancellationToken,
    ) -> Result<(), StepFailure> {
        let answered = async {
            while let Err(ProxyError::Unreachable { .. }) = self.proxy.version().await {
                sleep(STATUS_INTERVAL).await;
            }
        };
        let failure = tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(StepFailure::cancelled()),
            exit = self.engine.await_exit(name) => match exit {
                Ok(exit) => StepFailure::failed(describe_exit(name, exit)),
                Err(error) => error.into(),
            },
            answered = tokio::time::timeout(timeout, answered) => match answered {
                Ok(()) => return Ok(()),
                Err(_) => StepFailure::failed(format!("`{name}` did not answer on its control channel within {timeout:?}")),
            },
        };
        Err(with_evidence(self.engine, failure, name, Vec::new()).await)
    }

    /// Waits for an exit with code 0.
    pub(super) async fn await_success(
        &self,
        name: &str,
        timeout: Duration,
        cancel: &CancellationToken,
    ) -> Result<(), StepFailure> {
        let failure = tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(StepFailure::cancelled()),
            exit = self.engine.await_exit(name) => match exit? {
                ExitReport { code: 0, .. } => return Ok(()),
                exit => StepFailure::failed(describe_exit(name, exit)),
            },
            () = sleep(timeout) => StepFailure::failed(format!("`{name}` did not finish within {timeout:?}")),
        };
        Err(with_evidence(self.engine, failure, name, Vec::new()).await)
    }

    /// Waits until nothing is open on `peers`, at most for the limits, and calls `told` with each new count.
    /// Returns what was open first and what is left.
    pub(super) async fn await_drained(
        &self,
        peers: &[String],
        limits: Limits,
        told: impl Fn(InFlight) + Send,
        cancel: &CancellationToken,
    ) -> Result<(InFlight, InFlight), StepFailure> {
        let start = Instant::now();
        let requests_end = start + limits.requests;
        let websockets_end = start + limits.websockets;
        let mut first = None;
        let mut known = None;
        let mut unknown_since: Option<Instant> = None;
        loop {
            let now = Instant::now();
            let next_limit = [requests_end, websockets_end].into_iter().filter(|end| *end > now).min().unwrap_or(now);
            let wait = COUNT_WAIT.min(next_limit.saturating_duration_since(now)).max(Duration::from_millis(1));
            let counted = tokio::select! {
                biased;
                () = cancel.cancelled() => return Err(StepFailure::cancelled()),
                counted = self.proxy.in_flight(peers, known, wait) => counted,
            };
            let open = match counted {
                Ok(open) => {
                    unknown_since = None;
                    open
                }
                // A proxy that restarts forgets its counts together with its connections; it must only come back.
                Err(error) => {
                    let since = *unknown_since.get_or_insert_with(Instant::now);
                    if since.elapsed() > COUNT_PATIENCE {
                        return Err(error.into());
                    }
                    sleep(STATUS_INTERVAL).await;
                    continue;
                }
            };
            if known != Some(open) {
                told(open);
            }
            known = Some(open);
            let waited = *first.get_or_insert(open);
            let now = Instant::now();
            let requests_done = open.requests == 0 || now >= requests_end;
            let websockets_done = open.websockets == 0 || now >= websockets_end;
            if requests_done && websockets_done {
                return Ok((waited, open));
            }
        }
    }
}

pub(super) fn describe_exit(name: &str, exit: ExitReport) -> String {
    let why = if exit.oom_killed { " (out of memory)" } else { "" };
    format!("`{name}` exited with code {}{why}", exit.code)
}

/// Lets `duration` pass unless the user wants to stop.
pub(super) async fn pause(duration: Duration, cancel: &CancellationToken) -> Result<(), StepFailure> {
    let end = Instant::now() + duration;
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(StepFailure::cancelled()),
        () = sleep_until(end) => Ok(()),
    }
}

/// Adds the last probe's answer and the last log lines.
pub(super) async fn with_evidence<E: Engine>(
    engine: &E,
    failure: StepFailure,
    name: &str,
    probe: Vec<String>,
) -> StepFailure {
    let log = engine.log_tail(name, LOG_LINES).await.unwrap_or_default();
    failure.detail("last probe", probe).detail(format!("last log lines of `{name}`"), log)
}
