//! A server with a handler per connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

pub(super) struct Server {
    pub(super) address: SocketAddr,
    connections: Arc<AtomicU64>,
    _tasks: JoinSet<()>,
}

impl Server {
    /// Passes every connection to `serve`, with its number from 0.
    pub(super) async fn start<F, S>(serve: S) -> Self
    where
        S: Fn(Peer, u64) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let connections = Arc::new(AtomicU64::new(0));
        let accepted = Arc::clone(&connections);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut serving = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                let number = accepted.fetch_add(1, Ordering::Relaxed);
                serving.spawn(serve(Peer { stream, inbox: Vec::new() }, number));
            }
        });
        Self { address, connections, _tasks: tasks }
    }

    pub(super) fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }
}

/// The server's side of a connection.
pub(super) struct Peer {
    pub(super) stream: TcpStream,
    inbox: Vec<u8>,
}

impl Peer {
    /// The body of the next request; `None` when the client has disconnected.
    pub(super) async fn request(&mut self) -> Option<Vec<u8>> {
        self.until(|inbox| {
            let head_end = find(inbox, b"\r\n\r\n")? + 4;
            let head = String::from_utf8_lossy(&inbox[..head_end]).to_ascii_lowercase();
            if head.contains("transfer-encoding: chunked") {
                let end = find(inbox, b"0\r\n\r\n")? + 5;
                let pieces = inbox[head_end..end].iter().filter(|byte| **byte == b'u');
                return Some((pieces.copied().collect(), end));
            }
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let end = head_end + length.map_or(0, |length| length.parse().expect("a length"));
            Some((inbox.get(head_end..end)?.to_vec(), end))
        })
        .await
    }

    /// The head of the next request.
    pub(super) async fn head(&mut self) -> Option<Vec<u8>> {
        self.until(|inbox| find(inbox, b"\r\n\r\n").map(|at| (inbox[..at].to_vec(), at + 4))).await
    }

    async fn until(&mut self, whole: impl Fn(&[u8]) -> Option<(Vec<u8>, usize)>) -> Option<Vec<u8>> {
        loop {
            if let Some((found, end)) = whole(&self.inbox) {
                self.inbox.drain(..end);
                return Some(found);
            }
            if self.stream.read_buf(&mut self.inbox).await.ok()? == 0 {
                return None;
            }
        }
    }

    pub(super) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        // A client may have disconnected already.
        let _ = self.stream.write_all(bytes.as_ref()).await;
    }

    pub(super) async fn answer(&mut self, status: &str, headers: &str, body: &[u8]) {
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
        self.send([head.as_bytes(), body].concat()).await;
    }

    /// Answers every request with its own body.
    pub(super) async fn echo(mut self) {
        while let Some(body) = self.request().await {
            self.answer("200 OK", "X-Release: 8\r\n", &body).await;
        }
    }

    /// Ends the connection with RST.
    pub(super) fn reset(self) {
        self.stream.set_zero_linger().expect("an open socket");
    }

    /// Waits until the client ends the connection.
    pub(super) async fn outwait(mut self) {
        while self.stream.read_buf(&mut self.inbox).await.is_ok_and(|read| read > 0) {}
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}
