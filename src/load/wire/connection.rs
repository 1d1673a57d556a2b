//! One TCP connection and its read buffer.

use std::io;
use std::net::SocketAddr;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::body::BodyReader;
use super::head::{self, Framing, Head};
use crate::load::failure::{Cause, Failure};

const READ_SIZE: usize = 16 << 10;
/// Larger than any valid response head. Bounds the read of invalid data.
const LARGEST_HEAD: usize = 64 << 10;

#[derive(Debug)]
pub(in super::super) struct Connection {
    stream: TcpStream,
    inbox: BytesMut,
    answers: u64,
}

impl Connection {
    pub(in super::super) async fn open(target: SocketAddr) -> Result<Self, Failure> {
        let stream = TcpStream::connect(target).await.map_err(|error| Failure::of_connect(&error))?;
        // With Nagle's algorithm, latencies would include its delay.
        stream.set_nodelay(true).map_err(|error| Failure::of_connect(&error))?;
        Ok(Self { stream, inbox: BytesMut::with_capacity(READ_SIZE), answers: 0 })
    }

    /// Whether the idle connection is still open, as far as the client can know.
    pub(in super::super) fn is_open(&self) -> bool {
        let mut probe = [0; 1];
        matches!(self.stream.try_read(&mut probe), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    pub(in super::super) async fn send(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.stream
            .write_all(bytes)
            .await
            .map_err(|error| self.place(Failure::of_stream(&error, "sending the request")))
    }

    /// Resolves when the server sends bytes or ends the connection before the request is complete. Readiness alone does
    /// not count: it may be left over from a previous answer.
    pub(in super::super) async fn spoken_to(&self) -> Result<(), Failure> {
        match self.stream.peek(&mut [0]).await {
            Ok(_) => Ok(()),
            // The kernel reports it once; the next read would see an ordinary end.
            Err(error) => Err(self.place(Failure::of_stream(&error, "sending the request"))),
        }
    }

    /// Reads the response head, skipping 1xx, and stores its release header in `release`.
    pub(in super::super) async fn head(&mut self, release_header: &str, release: &mut String) -> Result<Head, Failure> {
        loop {
            match head::parse(&self.inbox, release_header, release) {
                Err(problem) => return Err(self.place(Failure::new(Cause::BadAnswer, problem))),
                Ok(Some((head, length))) => {
                    self.inbox.advance(length);
                    if head.status == 101 || head.status >= 200 {
                        return Ok(head);
                    }
                }
                Ok(None) if self.inbox.len() > LARGEST_HEAD => {
                    return Err(self.place(Failure::new(Cause::BadAnswer, "head of more than 64 KiB")));
                }
                Ok(None) => self.fill("waiting for the answer").await?,
            }
        }
    }

    /// Reads a whole body into `content`.
    pub(in super::super) async fn body(&mut self, framing: Framing, content: &mut Vec<u8>) -> Result<(), Failure> {
        content.clear();
        let mut reader = BodyReader::new(framing);
        while !self.read(&mut reader, |piece| content.extend_from_slice(piece)).await? {}
        Ok(())
    }

    /// Passes on the received part of a body, waiting for data if there is none; true at its proper end.
    pub(in super::super) async fn read(
        &mut self,
        reader: &mut BodyReader,
        mut sink: impl FnMut(&[u8]),
    ) -> Result<bool, Failure> {
        if self.inbox.is_empty() && !reader.is_done() {
            match self.fill("reading the body").await {
                Err(end) if end.cause == Cause::Eof && reader.ends_with_connection() => return Ok(true),
                filled => filled?,
            }
        }
        let taken = reader.take(&self.inbox, &mut sink);
        let taken = taken.map_err(|problem| self.place(Failure::new(Cause::BadAnswer, problem)))?;
        self.inbox.advance(taken);
        Ok(reader.is_done())
    }

    /// Marks an answer as complete.
    ///
    /// # Errors
    /// When bytes follow it: the next request would read them as its answer.
    pub(in super::super) fn answered(&mut self) -> Result<(), Failure> {
        self.answers += 1;
        if self.inbox.is_empty() {
            return Ok(());
        }
        let detail = format!("{} bytes after the end of the answer", self.inbox.len());
        Err(self.place(Failure::new(Cause::BadAnswer, detail)))
    }

    async fn fill(&mut self, doing: &str) -> Result<(), Failure> {
        self.inbox.reserve(READ_SIZE);
        match self.stream.read_buf(&mut self.inbox).await {
            Ok(0) => {
                let arrived = if self.inbox.is_empty() { "" } else { " with a part of it arrived" };
                Err(self.place(Failure::new(Cause::Eof, format!("connection ended while {doing}{arrived}"))))
            }
            Ok(_) => Ok(()),
            Err(error) => Err(self.place(Failure::of_stream(&error, doing))),
        }
    }

    /// Adds which request of the connection failed: a failure of the first one is not about keep-alive.
    fn place(&self, failure: Failure) -> Failure {
        Failure { detail: format!("{} (request {} of its connection)", failure.detail, self.answers + 1), ..failure }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::net::TcpListener;
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn stale_readiness_is_not_an_early_answer() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let connection = Connection::open(server.local_addr().unwrap()).await.unwrap();
        let (mut other, _) = server.accept().await.unwrap();
        other.write_all(b"a").await.unwrap();
        connection.stream.readable().await.unwrap();
        // A read that fills its buffer leaves the stream marked as readable.
        assert_eq!(connection.stream.try_read(&mut [0]).unwrap(), 1);
        connection.stream.readable().await.unwrap();
        assert!(timeout(Duration::from_millis(100), connection.spoken_to()).await.is_err(), "nothing was said");
        other.write_all(b"b").await.unwrap();
        connection.spoken_to().await.unwrap();
        assert_eq!(connection.stream.try_read(&mut [0]).unwrap(), 1);
        drop(other);
        connection.spoken_to().await.unwrap();
    }
}
