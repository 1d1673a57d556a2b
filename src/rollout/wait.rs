//! The bounded waits. Every polling loop of the core stands here, and each has a deadline.

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

use super::failure::{FailureKind, StepFailure};
use super::probed::Probed;
use super::run::Run;
use crate::model::{Condition, ContainerState, DockerHealth, Hook, InFlight, ObservedProxy};
use crate::plan::{Gate, Limits, Look};
use crate::ports::{ContainerStatus, Engine, ExitReport, HookReport, Probe, ProbeAnswer, Proxy, ProxyError};

/// Log lines shown for a container that failed.
const LOG_LINES: usize = 20;
/// How often the engine is asked for a state that it has no event for.
const STATUS_INTERVAL: Duration = Duration::from_millis(100);
/// How long one call of the proxy waits for a change of the counts.
const COUNT_WAIT: Duration = Duration::from_secs(2);
/// How long counts may be unknown, as while the proxy restarts, before a drain gives up.
const COUNT_PATIENCE: Duration = Duration::from_secs(20);

impl<E: Engine, P: Proxy> Run<E, P> {
    /// Waits until the gate is passed. A container that exits ends the wait at once.
    pub(super) async fn await_healthy(
        &self,
        name: &str,
        gate: &Gate,
        cancel: &CancellationToken,
    ) -> Result<(), StepFailure> {
        let mut probed = Probed::default();
        let passed = async {
            match gate {
                Gate::Probe { address, port, host, policy, monitor } => {
                    let deadline = Instant::now() + policy.timeout;
                    let probe = Probe {
                        address: *address,
                        port: *port,
                        path: policy.path.clone(),
                        host: host.clone(),
                        timeout: policy.probe_timeout,
                    };
                    let probing = self.probe_until(&probe, policy.successes, policy.interval, &mut probed);
                    let not_healthy =
                        || StepFailure::failed(format!("`{name}` did not become healthy within {:?}", policy.timeout));
                    timeout_at(deadline, probing).await.map_err(|_| not_healthy())??;
                    timeout_at(deadline, self.engine_health(name, false)).await.map_err(|_| not_healthy())??;
                    sleep(*monitor).await;
                    Ok(())
                }
                Gate::Engine { condition, timeout, monitor } => {
                    let deadline = Instant::now() + *timeout;
                    let strict = *condition == Condition::Healthy;
                    let late = |_| StepFailure::failed(format!("`{name}` did not become healthy within {timeout:?}"));
                    timeout_at(deadline, self.engine_health(name, strict)).await.map_err(late)??;
                    sleep(*monitor).await;
                    Ok(())
                }
            }
        };
        if matches!(gate, Gate::Engine { condition: Condition::CompletedSuccessfully, .. }) {
            let Gate::Engine { timeout, .. } = gate else { return Ok(()) };
            return self.await_success(name, *timeout, cancel).await;
        }
        let result = tokio::select! {
            // An exit is looked at first: it explains a failed probe better than the probe does.
            biased;
            () = cancel.cancelled() => Err(StepFailure::cancelled()),
            exit = self.engine.await_exit(name) => Err(match exit {
                Ok(exit) => StepFailure::failed(describe_exit(name, exit)),
                Err(error) => error.into(),
            }),
            result = passed => result,
        };
        match result {
            Ok(()) => Ok(()),
            Err(failure) if failure.kind == FailureKind::Cancelled => Err(failure),
            Err(failure) => {
                let probe = matches!(gate, Gate::Probe { .. }).then(|| probed.lines());
                Err(self.with_evidence(failure, name, probe.unwrap_or_default()).await)
            }
        }
    }

    /// Whether what has passed its gate is well still, and the same: the engine starts again what has died, and for a while
    /// that may answer as the first one did.
    pub(super) async fn last_look(&self, look: &Look, cancel: &CancellationToken) -> Result<(), StepFailure> {
        let (well, status) =
            tokio::join!(self.await_healthy(&look.name, &look.gate, cancel), self.engine.container_status(&look.name));
        well?;
        let name = &look.name;
        match status? {
            Some(ContainerStatus { restarts: 1.., .. }) => {
                let why = format!("`{name}` has exited since it was started, and the engine has started it again");
                Err(self.with_evidence(StepFailure::failed(why), name, Vec::new()).await)
            }
            _ => Ok(()),
        }
    }

    /// Probes until there were `successes` in a row.
    async fn probe_until(
        &self,
        probe: &Probe,
        successes: u32,
        interval: Duration,
        probed: &mut Probed,
    ) -> Result<(), StepFailure> {
        let mut in_a_row = 0;
        loop {
            probed.sent();
            let answer = match self.proxy.probe(probe).await {
                Ok(answer) => answer,
                // A proxy that restarts is back before the deadline; until then nobody is seen healthy.
                Err(error @ (ProxyError::Unreachable { .. } | ProxyError::Malformed { .. })) => {
                    ProbeAnswer { healthy: false, status: None, error: Some(error.to_string()), body: None }
                }
                Err(error) => return Err(error.into()),
            };
            in_a_row = if answer.healthy { in_a_row + 1 } else { 0 };
            probed.answered(answer);
            if in_a_row >= successes {
                return Ok(());
            }
            sleep(interval).await;
        }
    }

    /// Waits for the container's own HEALTHCHECK; without one, `strict` decides whether that is an error.
    async fn engine_health(&self, name: &str, strict: bool) -> Result<(), StepFailure> {
        loop {
            match self.engine.container_status(name).await? {
                Some(ContainerStatus {
                    state: ContainerState::Running, health: Some(DockerHealth::Healthy), ..
                }) => {
                    return Ok(());
                }
                Some(ContainerStatus { state: ContainerState::Running, health: None, .. }) if strict => {
                    return Err(StepFailure::failed(format!(
                        "`{name}` has no HEALTHCHECK, so it cannot become healthy"
                    ))
                    .hint("give the service a `healthcheck`, or use `condition: service_started`"));
                }
                Some(ContainerStatus { state: ContainerState::Running, health: None, .. }) => return Ok(()),
                Some(ContainerStatus { health: Some(DockerHealth::Unhealthy), .. }) => {
                    return Err(StepFailure::failed(format!("the HEALTHCHECK of `{name}` fails")));
                }
                Some(_) => sleep(STATUS_INTERVAL).await,
                None => return Err(StepFailure::failed(format!("container `{name}` is gone"))),
            }
        }
    }

    /// Runs a hook of a container that has just been started.
    pub(super) async fn post_start(
        &self,
        name: &str,
        hook: &Hook,
        cancel: &CancellationToken,
    ) -> Result<(), StepFailure> {
        match self.run_hook(name, hook, cancel).await {
            Ok(true) => Ok(()),
            Ok(false) => {
                let failure = StepFailure::failed(format!("`{name}` ended before its post_start command"));
                Err(self.with_evidence(failure, name, Vec::new()).await)
            }
            Err(failure) => Err(failure),
        }
    }

    /// Runs a command in a container to its end, or to its limit. Returns whether the container ran.
    pub(super) async fn run_hook(
        &self,
        name: &str,
        hook: &Hook,
        cancel: &CancellationToken,
    ) -> Result<bool, StepFailure> {
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
            None => Ok(false),
            Some(HookReport { code: 0, .. }) => Ok(true),
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
    async fn with_evidence(&self, failure: StepFailure, name: &str, probe: Vec<String>) -> StepFailure {
        let log = self.engine.log_tail(name, LOG_LINES).await.unwrap_or_default();
        failure.detail("last probe", probe).detail(format!("last log lines of `{name}`"), log)
    }
}

fn describe_exit(name: &str, exit: ExitReport) -> String {
    let why = if exit.oom_killed { " (out of memory)" } else { "" };
    format!("`{name}` exited with code {}{why}", exit.code)
}
