//! The bounded waits. Every polling loop of the core stands here or in `gate`, and each has a deadline.

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::failure::{FailureKind, StepFailure};
use super::run::Run;
use crate::model::{Hook, InFlight, ObservedProxy};
use crate::plan::Limits;
use crate::ports::{Engine, ExitReport, HookReport, Proxy, ProxyError};

/// Log lines shown for a container that failed.
const LOG_LINES: usize = 20;
/// How often the engine is asked for a state that it has no event for.
pub(super) const STATUS_INTERVAL: Duration = Duration::from_millis(100);
/// How long one call of the proxy waits for a change of the counts.
const COUNT_WAIT: Duration = Duration::from_secs(2);
/// How long counts may be unknown, as while the proxy restarts, before a drain gives up.
const COUNT_PATIENCE: Duration = Duration::from_secs(20);

impl<E: Engine, P: Proxy> Run<E, P> {
    /// Runs a hook of a container that has just been started.
    pub(super) async fn post_start(
        &self,
        name: &str,
        hook: &Hook,
        cancel: &CancellationToken,
    ) -> Result<(), StepFailure> {
        match self.run_hook(name, hook, cancel).await {
            Ok(Some(_)) => Ok(()),
            Ok(None) => {
                let failure = StepFailure::failed(format!("`{name}` ended before its post_start command"));
                Err(self.with_evidence(failure, name, Vec::new()).await)
            }
            Err(failure) => Err(failure),
        }
    }

    /// Saves an accessory's data. Returns the last lines of what it printed.
    pub(super) async fn backup(
        &self,
        name: &str,
        hook: &Hook,
        cancel: &CancellationToken,
    ) -> Result<Vec<String>, StepFailure> {
        let hint = "nothing of it was changed; correct the `backup` command, or replace it without one: `--no-backup`";
        match self.run_hook(name, hook, cancel).await {
            Ok(Some(output)) => Ok(output),
            Ok(None) => {
                let failure = StepFailure::failed(format!("`{name}` ended before its backup"));
                Err(self.with_evidence(failure, name, Vec::new()).await.hint(hint))
            }
            Err(failure) if failure.kind == FailureKind::Failed => Err(failure.hint(hint)),
            Err(failure) => Err(failure),
        }
    }

    /// Runs a command in a container to its end, or to its limit. Returns its last lines; `None`: the container did not run.
    pub(super) async fn run_hook(
        &self,
        name: &str,
        hook: &Hook,
        cancel: &CancellationToken,
    ) -> Result<Option<Vec<String>>, StepFailure> {
        let command = hook.shown();
        let report = tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(StepFailure::cancelled()),
            report = self.engine.run_hook(name, hook) => report?,
            () = sleep(hook.timeout) => {
                let message = format!("`{command}` in `{name}` did not finish within {:?}", hook.timeout);
                return Err(StepFailure::failed(message));
            }
        };
        match report {
            None => Ok(None),
            Some(HookReport { code: 0, output }) => Ok(Some(output)),
            Some(HookReport { code, output }) => {
                let failure = StepFailure::failed(format!("`{command}` in `{name}` exited with code {code}"));
                Err(failure.detail(format!("last output of `{command}`"), output))
            }
        }
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
        Err(self.with_evidence(failure, name, Vec::new()).await)
    }

    /// Reads the proxy's state, waiting at most `patience` for a proxy that does not answer.
    pub(super) async fn await_state(&self, patience: Duration) -> Result<ObservedProxy, ProxyError> {
        let deadline = Instant::now() + patience;
        loop {
            match self.proxy.state().await {
                Err(_) if Instant::now() < deadline => sleep(STATUS_INTERVAL).await,
                answer => return answer,
            }
        }
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
        Err(self.with_evidence(failure, name, Vec::new()).await)
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

    /// Lets `duration` pass unless the user wants to stop.
    pub(super) async fn pause(&self, duration: Duration, cancel: &CancellationToken) -> Result<(), StepFailure> {
        let end = Instant::now() + duration;
        tokio::select! {
            biased;
            () = cancel.cancelled() => Err(StepFailure::cancelled()),
            () = sleep_until(end) => Ok(()),
        }
    }

    /// Adds the last probe's answer and the last log lines.
    pub(super) async fn with_evidence(&self, failure: StepFailure, name: &str, probe: Vec<String>) -> StepFailure {
        let log = self.engine.log_tail(name, LOG_LINES).await.unwrap_or_default();
        failure.detail("last probe", probe).detail(format!("last log lines of `{name}`"), log)
    }
}

pub(super) fn describe_exit(name: &str, exit: ExitReport) -> String {
    let why = if exit.oom_killed { " (out of memory)" } else { "" };
    format!("`{name}` exited with code {}{why}", exit.code)
}
