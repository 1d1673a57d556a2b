//! Starts, stops, and removes containers, and waits for their end.

use std::time::{Duration, Instant};

use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::models::{
    ContainerInspectResponse, ContainerState as EngineState, ContainerStateStatusEnum, HealthStatusEnum,
};
use bollard::query_parameters::{
    KillContainerOptionsBuilder, LogsOptionsBuilder, RemoveContainerOptionsBuilder, StopContainerOptionsBuilder,
    WaitContainerOptionsBuilder,
};
use futures_util::{StreamExt, TryStreamExt};

use super::api::ApiVersion;
use super::create::whole_seconds;
use super::text::Lines;
use super::{CALL_LIMIT, DockerEngine, bounded, errors, healthcheck, present, processes, reattach};
use crate::model::{ContainerState, DockerHealth};
use crate::ports::{ContainerStatus, EngineError, EngineErrorKind, ExitReport, StopReport};

/// The engine's default, when neither the call nor the container sets a grace period.
const DEFAULT_GRACE: Duration = Duration::from_secs(10);
/// When to list a container's processes after its stop signal: most have exited by then.
const LOOK_AFTER: Duration = Duration::from_secs(2);
/// Exit code of a process killed by SIGKILL: 128 + 9.
const KILLED: i64 = 137;

pub(super) async fn start(engine: &DockerEngine, name: &str) -> Result<(), EngineError> {
    let doing = format!("start container `{name}`");
    let begin = || engine.call(&doing, engine.client.start_container(name, None));
    match begin().await {
        Err(error) if reattach::is_due(&error) => {
            reattach::reattach(engine, name).await?;
            begin().await
        }
        result => result,
    }
}

pub(super) async fn inspect(
    engine: &DockerEngine,
    name: &str,
) -> Result<Option<ContainerInspectResponse>, EngineError> {
    let doing = format!("inspect container `{name}`");
    present(engine.call(&doing, engine.client.inspect_container(name, None)).await)
}

pub(super) async fn status(engine: &DockerEngine, name: &str) -> Result<Option<ContainerStatus>, EngineError> {
    let Some(container) = inspect(engine, name).await? else { return Ok(None) };
    let restarts = container.restart_count.and_then(|count| count.try_into().ok()).unwrap_or_default();
    let check = container.config.and_then(|config| config.healthcheck);
    let first_check_within = check.as_ref().map(healthcheck::first_within);
    let status = |state: EngineState| {
        let (state, health) = (phase(&state), health(&state));
        ContainerStatus { state, health, restarts, first_check_within }
    };
    Ok(container.state.map(status))
}

pub(super) fn phase(state: &EngineState) -> ContainerState {
    match state.status {
        Some(ContainerStateStatusEnum::RUNNING | ContainerStateStatusEnum::STOPPING) => ContainerState::Running,
        Some(ContainerStateStatusEnum::PAUSED) => ContainerState::Paused,
        Some(ContainerStateStatusEnum::RESTARTING) => ContainerState::Restarting,
        Some(ContainerStateStatusEnum::EXITED) => ContainerState::Exited {
            code: state.exit_code.unwrap_or_default(),
            oom_killed: state.oom_killed.unwrap_or_default(),
        },
        Some(ContainerStateStatusEnum::DEAD | ContainerStateStatusEnum::REMOVING) => ContainerState::Dead,
        Some(ContainerStateStatusEnum::CREATED | ContainerStateStatusEnum::EMPTY) | None => ContainerState::Created,
    }
}

fn health(state: &EngineState) -> Option<DockerHealth> {
    match state.health.as_ref()?.status? {
        HealthStatusEnum::STARTING => Some(DockerHealth::Starting),
        HealthStatusEnum::HEALTHY => Some(DockerHealth::Healthy),
        HealthStatusEnum::UNHEALTHY => Some(DockerHealth::Unhealthy),
        HealthStatusEnum::EMPTY | HealthStatusEnum::NONE => None,
    }
}

/// Without a limit of its own; the caller sets one.
pub(super) async fn await_exit(engine: &DockerEngine, name: &str) -> Result<ExitReport, EngineError> {
    let doing = format!("await the exit of container `{name}`");
    // The engine keeps waiting while a crashed container waits for its next restart.
    if let Some(report) = exited(engine, name, &doing).await? {
        return Ok(report);
    }
    let options = WaitContainerOptionsBuilder::default().condition("not-running").build();
    let mut waiting = std::pin::pin!(engine.client.wait_container(name, Some(options)));
    let code = match waiting.next().await {
        Some(Ok(answer)) => Some(answer.status_code),
        // Bollard's error for an exit code other than 0.
        Some(Err(Error::DockerContainerWaitError { code, .. })) => Some(code),
        Some(Err(error)) if errors::is_ragged_end(&error) => None,
        Some(Err(error)) => return Err(errors::explain(&doing, &error)),
        None => None,
    };
    let state = inspect(engine, name).await?.and_then(|container| container.state);
    let oom_killed = state.as_ref().and_then(|state| state.oom_killed).unwrap_or_default();
    match code.or_else(|| state.and_then(|state| state.exit_code)) {
        Some(code) => Ok(ExitReport { code, oom_killed }),
        None => Err(gone(&doing)),
    }
}

async fn exited(engine: &DockerEngine, name: &str, doing: &str) -> Result<Option<ExitReport>, EngineError> {
    let container = inspect(engine, name).await?.ok_or_else(|| gone(doing))?;
    let Some(state) = container.state else { return Ok(None) };
    Ok(match phase(&state) {
        ContainerState::Exited { .. } | ContainerState::Restarting | ContainerState::Dead => Some(ExitReport {
            code: state.exit_code.unwrap_or_default(),
            oom_killed: state.oom_killed.unwrap_or_default(),
        }),
        ContainerState::Created | ContainerState::Running | ContainerState::Paused => None,
    })
}

fn gone(doing: &str) -> EngineError {
    EngineError::new(EngineErrorKind::NotFound, format!("could not {doing}: it no longer exists"))
}

pub(super) async fn stop(
    engine: &DockerEngine,
    name: &str,
    signal: Option<&str>,
    grace: Option<Duration>,
) -> Result<StopReport, EngineError> {
    let doing = format!("stop container `{name}`");
    let Some(before) = inspect(engine, name).await? else { return Ok(StopReport::default()) };
    if !before.state.as_ref().and_then(|state| state.running).unwrap_or_default() {
        return Ok(StopReport::default());
    }
    let config = before.config.unwrap_or_default();
    let own_grace = config.stop_timeout.and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs);
    let grace = grace.or(own_grace).unwrap_or(DEFAULT_GRACE);
    let signal = signal.filter(|signal| config.stop_signal.as_deref() != Some(signal));

    let begun = Instant::now();
    // The engine continues a stop whose caller has disconnected, so the timeout must be longer than the stop.
    let limit = grace + CALL_LIMIT;
    let mut cause = None;
    {
        let mut stopping = std::pin::pin!(bounded(&doing, limit, send_stop(engine, name, signal, grace, &doing)));
        let main = before.state.as_ref().and_then(|state| state.pid).unwrap_or_default();
        let sent = signal.or(config.stop_signal.as_deref());
        let look = async {
            tokio::time::sleep(LOOK_AFTER.min(grace / 2)).await;
            processes::cause(engine, name, main, sent).await
        };
        tokio::select! {
            biased;
            stopped = &mut stopping => stopped?,
            found = look => {
                cause = found;
                stopping.await?;
            }
        }
    }
    let took = begun.elapsed();

    let after = inspect(engine, name).await?.and_then(|container| container.state);
    let killed = after
        .is_some_and(|state| state.exit_code == Some(KILLED) && !state.oom_killed.unwrap_or_default() && took >= grace);
    Ok(StopReport { killed, cause: cause.filter(|_| killed) })
}

async fn send_stop(
    engine: &DockerEngine,
    name: &str,
    signal: Option<&str>,
    grace: Duration,
    doing: &str,
) -> Result<(), EngineError> {
    let mut seconds = whole_seconds(grace);
    let mut options = StopContainerOptionsBuilder::default();
    match signal {
        Some(signal) if engine.api >= ApiVersion::STOP_SIGNAL => options = options.signal(signal),
        Some(signal) => {
            // Older engines only send the container's own signal: send ours first, then the stop finds it exited.
            let kill = KillContainerOptionsBuilder::default().signal(signal).build();
            engine.call(doing, engine.client.kill_container(name, Some(kill))).await?;
            let _ = tokio::time::timeout(grace, await_exit(engine, name)).await;
            seconds = 0;
        }
        None => {}
    }
    let patient = engine.client.clone().with_timeout(grace + CALL_LIMIT);
    let result = patient.stop_container(name, Some(options.t(seconds).build())).await;
    present(result.map_err(|error| errors::explain(doing, &error))).map(drop)
}

pub(super) async fn remove(engine: &DockerEngine, name: &str) -> Result<(), EngineError> {
    let doing = format!("remove container `{name}`");
    let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
    match engine.client.remove_container(name, Some(options)).await {
        Ok(()) => Ok(()),
        Err(Error::DockerResponseServerError { status_code: 409, message }) if message.contains("in progress") => {
            bounded(&doing, CALL_LIMIT, await_removed(engine, name, &doing)).await
        }
        Err(error) => present::<()>(Err(errors::explain(&doing, &error))).map(drop),
    }
}

/// Another client is removing it; its name is free only after that.
async fn await_removed(engine: &DockerEngine, name: &str, doing: &str) -> Result<(), EngineError> {
    let options = WaitContainerOptionsBuilder::default().condition("removed").build();
    match engine.client.wait_container(name, Some(options)).try_next().await {
        Ok(_) | Err(Error::DockerContainerWaitError { .. }) => Ok(()),
        Err(error) if errors::is_ragged_end(&error) => Ok(()),
        Err(error) => present::<()>(Err(errors::explain(doing, &error))).map(drop),
    }
}

pub(super) async fn log_tail(engine: &DockerEngine, name: &str, lines: usize) -> Result<Vec<String>, EngineError> {
    let doing = format!("read the log of container `{name}`");
    let options = LogsOptionsBuilder::default().stdout(true).stderr(true).tail(&lines.to_string()).build();
    bounded(&doing, CALL_LIMIT, async {
        let mut stream = std::pin::pin!(engine.client.logs(name, Some(options)));
        let (mut out, mut err, mut tail) = (Lines::default(), Lines::default(), Vec::new());
        while let Some(chunk) = stream.next().await {
            match chunk {
                Ok(LogOutput::StdErr { message }) => tail.extend(err.push(&message)),
                Ok(other) => tail.extend(out.push(&other.into_bytes())),
                Err(error) if errors::is_ragged_end(&error) => break,
                Err(error) => return Err(errors::explain(&doing, &error)),
            }
        }
        tail.extend(out.finish());
        tail.extend(err.finish());
        tail.drain(..tail.len().saturating_sub(lines));
        Ok(tail)
    })
    .await
}
