//! Runs a command in a running container and waits for its end.

use std::collections::VecDeque;

use bollard::container::LogOutput;
use bollard::exec::{StartExecOptions, StartExecResults};
use bollard::models::{ContainerState as EngineState, ExecConfig};
use futures_util::StreamExt;

use super::text::Lines;
use super::{CALL_LIMIT, DockerEngine, bounded, containers, errors};
use crate::model::{ContainerState, Hook};
use crate::ports::{EngineError, EngineErrorKind, HookReport};

/// Enough lines to show why a command failed.
const TAIL: usize = 20;

pub(super) async fn run_hook(
    engine: &DockerEngine,
    name: &str,
    hook: &Hook,
) -> Result<Option<HookReport>, EngineError> {
    let doing = format!("run `{}` in container `{name}`", hook.shown());
    let config = ExecConfig {
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        cmd: Some(hook.command.clone()),
        env: Some(hook.environment.iter().map(|(key, value)| format!("{key}={value}")).collect()),
        user: hook.user.clone(),
        working_dir: hook.working_dir.clone(),
        privileged: hook.privileged.then_some(true),
        ..ExecConfig::default()
    };
    let exec = match engine.call(&doing, engine.client.create_exec(name, config)).await {
        Ok(exec) => exec,
        // The engine's message for a container that is not running differs between versions.
        Err(error) if runs(engine, name).await? => return Err(error),
        Err(_) => return Ok(None),
    };
    let options = StartExecOptions::default();
    let started = bounded(&doing, CALL_LIMIT, async {
        engine.client.start_exec(&exec.id, Some(options)).await.map_err(|error| errors::explain(&doing, &error))
    });
    let (mut out, mut err, mut tail) = (Lines::default(), Lines::default(), VecDeque::new());
    if let StartExecResults::Attached { mut output, .. } = started.await? {
        while let Some(chunk) = output.next().await {
            let lines = match chunk {
                Ok(LogOutput::StdErr { message }) => err.push(&message),
                Ok(other) => out.push(&other.into_bytes()),
                Err(error) if errors::is_ragged_end(&error) => break,
                Err(error) => return Err(errors::explain(&doing, &error)),
            };
            tail.extend(lines);
            tail.drain(..tail.len().saturating_sub(TAIL));
        }
    }
    tail.extend(out.finish());
    tail.extend(err.finish());
    let inspected = engine.call(&doing, engine.client.inspect_exec(&exec.id)).await?;
    match inspected.exit_code {
        Some(code) => Ok(Some(HookReport { code, output: tail.into() })),
        None => {
            let message = format!("could not {doing}: the connection ended before the command did");
            Err(EngineError::new(EngineErrorKind::Other, message))
        }
    }
}

async fn runs(engine: &DockerEngine, name: &str) -> Result<bool, EngineError> {
    let state: Option<EngineState> = containers::inspect(engine, name).await?.and_then(|container| container.state);
    Ok(state.is_some_and(|state| containers::phase(&state) == ContainerState::Running))
}
