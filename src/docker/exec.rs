//! A byte stream to a process in a container, used to reach the proxy's control socket without a port.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::exec::{StartExecOptions, StartExecResults};
use bollard::models::ExecConfig;
use bytes::{Buf, Bytes};
use futures_util::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::text::plain;
use super::{CALL_LIMIT, DockerEngine, bounded, errors};
use crate::ports::{Dial, Dialing, Duplex, EngineError, EngineErrorKind};

/// Maximum size of an engine's frame, so that a read never has to grow the buffer.
const FRAME: usize = 32 * 1024 + 8;
/// Enough for any error message; bounds the memory for a process with endless output.
const KEPT_STDERR: usize = 4 * 1024;

/// Runs a command in a container for each connection; its stdin and stdout are the stream.
#[derive(Clone)]
pub struct ExecDial {
    engine: DockerEngine,
    container: String,
    command: Vec<String>,
}

impl ExecDial {
    #[must_use]
    pub fn new(engine: DockerEngine, container: impl Into<String>, command: Vec<String>) -> Self {
        Self { engine, container: container.into(), command }
    }

    async fn open(&self) -> Result<Box<dyn Duplex>, EngineError> {
        let client = &self.engine.client;
        let doing = format!("run `{}` in container `{}`", self.command.join(" "), self.container);
        let config = ExecConfig {
            attach_stdin: Some(true),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            cmd: Some(self.command.clone()),
            ..ExecConfig::default()
        };
        let exec = self.engine.call(&doing, client.create_exec(&self.container, config)).await?;
        let options = StartExecOptions { output_capacity: Some(FRAME), ..StartExecOptions::default() };
        let started = bounded(&doing, CALL_LIMIT, async {
            client.start_exec(&exec.id, Some(options)).await.map_err(|error| errors::explain(&doing, &error))
        });
        match started.await? {
            StartExecResults::Attached { output, input } => Ok(Box::new(ExecStream {
                output,
                input,
                chunk: Bytes::new(),
                stderr: Vec::new(),
                answered: false,
                command: self.command.join(" "),
            })),
            StartExecResults::Detached => {
                Err(EngineError::new(EngineErrorKind::Other, format!("could not {doing}: the engine detached from it")))
            }
        }
    }
}

impl Dial for ExecDial {
    fn dial(&self) -> Dialing<'_> {
        Box::pin(self.open())
    }
}

type Output = Pin<Box<dyn Stream<Item = Result<LogOutput, Error>> + Send>>;

/// Dropping it closes the process's stdin, which makes the process exit.
struct ExecStream {
    output: Output,
    input: Pin<Box<dyn AsyncWrite + Send>>,
    /// Received and not yet read.
    chunk: Bytes,
    stderr: Vec<u8>,
    /// Whether the process has written to stdout.
    answered: bool,
    command: String,
}

impl ExecStream {
    /// An end before the first output is a failure explained by stderr; a later one was made by the peer.
    fn end(&self) -> io::Result<()> {
        if self.answered {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&self.stderr);
        let reason = said.lines().map(plain).rfind(|line| !line.is_empty());
        let reason = reason.unwrap_or_else(|| "it ended without a word".to_owned());
        Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("`{}` failed: {reason}", self.command)))
    }

    /// The engine writes its own error into the stream when the command cannot be started.
    fn refusal(&self, bytes: &Bytes) -> Option<io::Error> {
        let refused = !self.answered && bytes.starts_with(b"OCI runtime exec failed");
        refused.then(|| {
            let reason = plain(&String::from_utf8_lossy(bytes));
            io::Error::new(io::ErrorKind::NotFound, format!("`{}` could not be run: {reason}", self.command))
        })
    }
}

impl AsyncRead for ExecStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        while this.chunk.is_empty() {
            match ready!(this.output.as_mut().poll_next(context)) {
                Some(Ok(LogOutput::StdErr { message })) => {
                    let room = KEPT_STDERR.saturating_sub(this.stderr.len());
                    this.stderr.extend_from_slice(&message[..message.len().min(room)]);
                }
                Some(Ok(other)) => {
                    let bytes = other.into_bytes();
                    if let Some(error) = this.refusal(&bytes) {
                        return Poll::Ready(Err(error));
                    }
                    this.answered |= !bytes.is_empty();
                    this.chunk = bytes;
                }
                Some(Err(error)) if errors::is_ragged_end(&error) => return Poll::Ready(this.end()),
                Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
                None => return Poll::Ready(this.end()),
            }
        }
        let size = this.chunk.len().min(buffer.remaining());
        buffer.put_slice(&this.chunk[..size]);
        this.chunk.advance(size);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ExecStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.input.as_mut().poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.input.as_mut().poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.input.as_mut().poll_shutdown(context)
    }
}
