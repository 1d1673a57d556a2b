//! Runs a command in a container with its streams, terminal and exit code.

use bollard::container::{AttachContainerResults, LogOutput};
use bollard::errors::Error;
use bollard::exec::{ResizeExecOptions, StartExecOptions, StartExecResults};
use bollard::models::ExecConfig;
use bollard::query_parameters::{AttachContainerOptionsBuilder, ResizeContainerTTYOptionsBuilder};
use futures_util::{Stream, StreamExt};

use super::{CALL_LIMIT, DockerEngine, bounded, errors};
use crate::ports::{EngineError, EngineErrorKind, OutputStream, Shell, ShellOutput, ShellRequest};

/// Maximum size of an engine's frame, so that a read never has to grow the buffer.
const FRAME: usize = 32 * 1024 + 8;

fn doing(request: &ShellRequest) -> String {
    format!("run `{}` in container `{}`", request.command.join(" "), request.container)
}

pub(super) async fn shell(engine: &DockerEngine, request: &ShellRequest) -> Result<Shell, EngineError> {
    let doing = doing(request);
    let tty = request.terminal.is_some();
    let config = ExecConfig {
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        tty: Some(tty),
        cmd: Some(request.command.clone()),
        ..ExecConfig::default()
    };
    let exec = engine.call(&doing, engine.client.create_exec(&request.container, config)).await?;
    let options = StartExecOptions { tty, output_capacity: Some(FRAME), ..StartExecOptions::default() };
    let started = bounded(&doing, CALL_LIMIT, async {
        engine.client.start_exec(&exec.id, Some(options)).await.map_err(|error| errors::explain(&doing, &error))
    });
    let StartExecResults::Attached { output, input } = started.await? else {
        return Err(EngineError::new(
            EngineErrorKind::Other,
            format!("could not {doing}: the engine detached from it"),
        ));
    };
    Ok(Shell { id: exec.id, input, output: streams(output, doing) })
}

/// Attaches to the main command of a container that has not started yet.
pub(super) async fn attach(engine: &DockerEngine, container: &str) -> Result<Shell, EngineError> {
    let doing = format!("attach to container `{container}`");
    let options = AttachContainerOptionsBuilder::new().stream(true).stdin(true).stdout(true).stderr(true).build();
    let attached = bounded(&doing, CALL_LIMIT, async {
        let attached = engine.client.attach_container(container, Some(options)).await;
        attached.map_err(|error| errors::explain(&doing, &error))
    });
    let AttachContainerResults { output, input } = attached.await?;
    Ok(Shell { id: container.to_owned(), input, output: streams(output, doing) })
}

fn streams(output: impl Stream<Item = Result<LogOutput, Error>> + Send + 'static, doing: String) -> ShellOutput {
    Box::pin(output.filter_map(move |chunk| {
        std::future::ready(match chunk {
            Ok(LogOutput::StdErr { message }) => Some(Ok((OutputStream::Stderr, message.to_vec()))),
            Ok(other) => Some(Ok((OutputStream::Stdout, other.into_bytes().to_vec()))),
            Err(error) if errors::is_ragged_end(&error) => None,
            Err(error) => Some(Err(errors::explain(&doing, &error))),
        })
    }))
}

pub(super) async fn resize_container(
    engine: &DockerEngine,
    name: &str,
    columns: u16,
    rows: u16,
) -> Result<(), EngineError> {
    let options = ResizeContainerTTYOptionsBuilder::new().h(rows.into()).w(columns.into()).build();
    engine.call("resize the command's terminal", engine.client.resize_container_tty(name, options)).await
}

pub(super) async fn resize(engine: &DockerEngine, id: &str, columns: u16, rows: u16) -> Result<(), EngineError> {
    let options = ResizeExecOptions { height: rows, width: columns };
    engine.call("resize the command's terminal", engine.client.resize_exec(id, options)).await
}

pub(super) async fn exit(engine: &DockerEngine, id: &str) -> Result<i64, EngineError> {
    let doing = "ask how the command ended";
    let inspected = engine.call(doing, engine.client.inspect_exec(id)).await?;
    inspected
        .exit_code
        .ok_or_else(|| EngineError::new(EngineErrorKind::Other, format!("could not {doing}: it still runs")))
}
