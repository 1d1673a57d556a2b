//! The gate before the traffic: a new replica is asked until it is well, and once more right before the flip.

use std::net::SocketAddrV4;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::failure::{FailureKind, StepFailure};
use super::probed::Probed;
use super::wait::{STATUS_INTERVAL, Waits, describe_exit, with_evidence};
use crate::model::{Condition, ContainerState, DockerHealth};
use crate::plan::{Gate, Look};
use crate::ports::{ContainerStatus, Engine, Probe, ProbeAnswer, Proxy, ProxyError};

/// For a look at what a gate waited for in vain, after its time is over.
const STATUS_PATIENCE: Duration = Duration::from_secs(5);
/// The same where a container has to be started for the look.
const LISTENING_PATIENCE: Duration = Duration::from_secs(10);

/// Asks new replicas.
pub(super) struct GateKeeper<'a, E, P> {
    engine: &'a E,
    proxy: &'a P,
}

impl<'a, E: Engine, P: Proxy> GateKeeper<'a, E, P> {
    pub(super) fn new(engine: &'a E, proxy: &'a P) -> Self {
        Self { engine, proxy }
    }

    /// Waits until the gate is passed. A container that exits ends the wait at once.
    pub(super) async fn await_healthy(
        &self,
        name: &str,
        gate: &Gate,
        cancel: &CancellationToken,
    ) -> Result<(), StepFailure> {
        self.pass_gate(name, gate, true, cancel).await
    }

    /// `starts`: it has just been started, so its HEALTHCHECK gets the time that it needs for a first answer.
    async fn pass_gate(
        &self,
        name: &str,
        gate: &Gate,
        starts: bool,
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
                    match timeout_at(deadline, probing).await {
                        Ok(result) => result?,
                        Err(_) => {
                            let unheard = starts && probed.is_unheard();
                            let socket = unheard.then(|| SocketAddrV4::new(*address, *port));
                            return Err(self.never_healthy(name, policy.timeout, socket).await);
                        }
                    }
                    self.engine_health(name, false, policy.timeout, deadline, starts).await?;
                    sleep(*monitor).await;
                    Ok(())
                }
                Gate::Engine { condition, timeout, monitor } => {
                    let deadline = Instant::now() + *timeout;
                    let strict = *condition == Condition::Healthy;
                    self.engine_health(name, strict, *timeout, deadline, starts).await?;
                    sleep(*monitor).await;
                    Ok(())
                }
            }
        };
        if matches!(gate, Gate::Engine { condition: Condition::CompletedSuccessfully, .. }) {
            let Gate::Engine { timeout, .. } = gate else { return Ok(()) };
            return Waits::new(self.engine, self.proxy).await_success(name, *timeout, cancel).await;
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
                Err(with_evidence(self.engine, failure, name, probe.unwrap_or_default()).await)
            }
        }
    }

    /// Whether what has passed its gate is well still, and the same: the engine starts again what has died, and for a while
    /// that may answer as the first one did.
    pub(super) async fn last_look(&self, look: &Look, cancel: &CancellationToken) -> Result<(), StepFailure> {
        let name = &look.name;
        let looked = self.pass_gate(name, &look.gate, false, cancel).await;
        if looked.as_ref().is_err_and(|failure| failure.kind == FailureKind::Cancelled) {
            return looked;
        }
        // Only now: asked before, the engine might not have noticed the end of the one that did not answer.
        let status = self.engine.container_status(name).await;
        let started_again = matches!(status, Ok(Some(ContainerStatus { restarts: 1.., .. })));
        match (looked, status) {
            (Err(failure), _) if started_again => {
                let message = format!("{failure}; the engine has started it again since");
                Err(StepFailure { message, ..failure })
            }
            (Err(failure), _) => Err(failure),
            (Ok(()), Err(error)) => Err(error.into()),
            (Ok(()), Ok(_)) if started_again => {
                let why = format!("`{name}` has exited since it was started, and the engine has started it again");
                Err(with_evidence(self.engine, StepFailure::failed(why), name, Vec::new()).await)
            }
            (Ok(()), Ok(_)) => Ok(()),
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

    /// Waits for the container's own HEALTHCHECK; without one, `strict` decides whether that is an error. `deadline` is
    /// the end of `timeout`; a check whose first answer comes later by its own times moves it.
    async fn engine_health(
        &self,
        name: &str,
        strict: bool,
        timeout: Duration,
        deadline: Instant,
        starts: bool,
    ) -> Result<(), StepFailure> {
        let mut limit = timeout;
        loop {
            let end = deadline + (limit - timeout);
            let status = timeout_at(end, self.engine.container_status(name)).await;
            let Ok(status) = status else { return Err(self.unanswered_check(name, limit).await) };
            match status? {
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
                    let failure = StepFailure::failed(format!("the HEALTHCHECK of `{name}` fails"));
                    return Err(failure.detail("last HEALTHCHECK", self.last_check(name).await));
                }
                Some(status) => {
                    if let Some(first) = status.first_check_within.filter(|_| starts) {
                        limit = limit.max(first);
                    }
                    if Instant::now() >= deadline + (limit - timeout) {
                        return Err(self.unanswered_check(name, limit).await);
                    }
                    sleep(STATUS_INTERVAL).await;
                }
                None => return Err(StepFailure::failed(format!("container `{name}` is gone"))),
            }
        }
    }

    /// Where it was not even heard as HTTP, at `socket`, it is looked at where it listens instead.
    async fn never_healthy(&self, name: &str, limit: Duration, socket: Option<SocketAddrV4>) -> StepFailure {
        let late = not_healthy(name, limit);
        let Some(socket) = socket else { return StepFailure::failed(late) };
        let listening = timeout(LISTENING_PATIENCE, self.engine.listening(name, socket)).await;
        let listening = listening.ok().and_then(Result::ok).flatten();
        match listening.and_then(|listening| listening.fault(socket.port())) {
            Some((why, hint)) => StepFailure::failed(format!("{late}: {why}")).hint(hint),
            None => StepFailure::failed(late),
        }
    }

    /// The proxy may have seen it healthy: then only the check explains what the deploy waits for.
    async fn unanswered_check(&self, name: &str, limit: Duration) -> StepFailure {
        let status = timeout(STATUS_PATIENCE, self.engine.container_status(name)).await;
        let is_checked = matches!(status, Ok(Ok(Some(ContainerStatus { health: Some(_), .. }))));
        if !is_checked {
            return StepFailure::failed(not_healthy(name, limit));
        }
        let said = self.last_check(name).await;
        let late = not_healthy(name, limit);
        if said.is_empty() {
            return StepFailure::failed(format!("{late}: its HEALTHCHECK has not answered yet"))
                .hint("give the `healthcheck` a shorter `interval`, or the app a longer `health: { timeout: … }`");
        }
        StepFailure::failed(format!("{late}: its HEALTHCHECK fails")).detail("last HEALTHCHECK", said)
    }

    async fn last_check(&self, name: &str) -> Vec<String> {
        let said = timeout(STATUS_PATIENCE, self.engine.last_check(name)).await;
        said.ok().and_then(Result::ok).unwrap_or_default()
    }
}

fn not_healthy(name: &str, limit: Duration) -> String {
    format!("`{name}` did not become healthy within {limit:?}")
}
