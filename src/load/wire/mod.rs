//! The connection of one client to the target: at most one kept connection, one request at a time, no retries.

mod body;
mod connection;
mod head;

use std::net::SocketAddr;
use std::sync::Arc;

pub(super) use body::{BodyReader, byte_count_in};
pub(super) use connection::Connection;
pub(super) use head::Framing;

use super::failure::Failure;
use super::ledger::Ledger;

/// Buffers of the last answer, reused so that the hot path does not allocate.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    pub(super) body: Vec<u8>,
    pub(super) release: String,
}

/// A complete answer; its body is in the [`Scratch`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Answer {
    pub(super) status: u16,
}

#[derive(Debug)]
pub(super) struct Wire {
    target: SocketAddr,
    ledger: Arc<Ledger>,
    kept: Option<Connection>,
    pub(super) scratch: Scratch,
}

impl Wire {
    pub(super) fn new(target: SocketAddr, ledger: Arc<Ledger>) -> Self {
        Self { target, ledger, kept: None, scratch: Scratch::default() }
    }

    /// Takes the kept connection, or opens one.
    ///
    /// An idle connection that the server closed is replaced only if the close has already arrived. If it arrives after
    /// the request was sent, the request has failed: a client cannot know whether it was carried out.
    pub(super) async fn connection(&mut self) -> Result<Connection, Failure> {
        if let Some(kept) = self.kept.take() {
            if kept.is_open() {
                return Ok(kept);
            }
            self.ledger.closed_while_idle();
        }
        self.ledger.opened();
        Connection::open(self.target).await
    }

    /// Keeps a connection for the next request.
    pub(super) fn keep(&mut self, connection: Connection) {
        self.kept = Some(connection);
    }

    /// Drops a connection on which a request was aborted.
    pub(super) fn forget(&mut self) {
        self.kept = None;
    }

    /// Sends one request and reads its answer. Drops the connection if it failed or the server announced the close.
    pub(super) async fn exchange(&mut self, request: &[u8]) -> Result<Answer, Failure> {
        let mut connection = self.connection().await?;
        connection.send(request).await?;
        self.answer(connection).await
    }

    /// Reads the answer to the request sent on `connection`.
    pub(super) async fn answer(&mut self, mut connection: Connection) -> Result<Answer, Failure> {
        let head = connection.head(self.ledger.release_header(), &mut self.scratch.release).await?;
        connection.body(head.framing, &mut self.scratch.body).await?;
        connection.answered()?;
        if !head.close {
            self.keep(connection);
        }
        Ok(Answer { status: head.status })
    }
}
