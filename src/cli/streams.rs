//! Attaches a command in a container to this process's streams and terminal.

use std::io::{Read, Write};

use futures_util::StreamExt;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::io::AsyncWriteExt;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::exit::Failure;
use crate::ports::{OutputStream, Shell};

/// The engine sends this in place of the command's output.
const NOT_RUN: &[u8] = b"OCI runtime exec failed";

/// Copies data in both directions until the command exits. An error that the engine sends in place of the command's
/// output is returned, not printed.
pub(super) async fn pass(
    mut shell: Shell,
    has_terminal: bool,
    resize: impl AsyncFn(u16, u16),
) -> Result<Option<Vec<u8>>, Failure> {
    let mut typed = Some(stdin());
    let mut resized = signal(SignalKind::window_change()).ok().filter(|_| has_terminal);
    let mut refusal: Option<Vec<u8>> = None;
    loop {
        tokio::select! {
            bytes = next(&mut typed) => match bytes {
                Some(bytes) => {
                    // The command may have closed its stdin; its output is still copied.
                    if shell.input.write_all(&bytes).await.is_err() || shell.input.flush().await.is_err() {
                        typed = None;
                    }
                }
                None => {
                    drop(shell.input.shutdown().await);
                    typed = None;
                }
            },
            chunk = shell.output.next() => match chunk {
                Some(Ok((OutputStream::Stdout, bytes))) if refusal.is_some() || bytes.starts_with(NOT_RUN) => {
                    refusal.get_or_insert_default().extend(bytes);
                }
                Some(Ok((stream, bytes))) => if !write(stream, &bytes) { return Ok(None) },
                Some(Err(error)) => return Err(error.into()),
                None => return Ok(refusal),
            },
            () = window_change(&mut resized) => {
                let (columns, rows) = size();
                resize(columns, rows).await;
            }
        }
    }
}

async fn next(typed: &mut Option<mpsc::Receiver<Vec<u8>>>) -> Option<Vec<u8>> {
    match typed {
        Some(typed) => typed.recv().await,
        None => std::future::pending().await,
    }
}

async fn window_change(resized: &mut Option<tokio::signal::unix::Signal>) {
    match resized {
        Some(resized) => drop(resized.recv().await),
        None => std::future::pending().await,
    }
}

/// Reads stdin in a thread: a read from a terminal cannot be cancelled and must not delay the exit.
fn stdin() -> mpsc::Receiver<Vec<u8>> {
    let (sender, typed) = mpsc::channel(16);
    std::thread::spawn(move || {
        let mut buffer = [0; 16 * 1024];
        while let Ok(read @ 1..) = std::io::stdin().lock().read(&mut buffer) {
            if sender.blocking_send(buffer[..read].to_vec()).is_err() {
                return;
            }
        }
    });
    typed
}

/// Writes to stdout or stderr; false when the reader has gone.
fn write(stream: OutputStream, bytes: &[u8]) -> bool {
    let write = |mut out: Box<dyn Write>| out.write_all(bytes).and_then(|()| out.flush());
    match stream {
        OutputStream::Stdout => write(Box::new(std::io::stdout())),
        OutputStream::Stderr => write(Box::new(std::io::stderr())),
    }
    .is_ok()
}

/// Columns and rows of the terminal.
pub(super) fn size() -> (u16, u16) {
    match tcgetwinsize(std::io::stdout()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (size.ws_col, size.ws_row),
        _ => (80, 24),
    }
}

/// Puts the terminal in raw mode until it is dropped, so that every key reaches the command.
pub(super) struct RawTerminal {
    before: Option<Termios>,
}

impl RawTerminal {
    pub fn begin() -> Self {
        let before = tcgetattr(std::io::stdin()).ok();
        if let Some(mut raw) = before.clone() {
            raw.make_raw();
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Flush, &raw);
        }
        Self { before }
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Flush, before);
        }
    }
}
