//! Backends that say exactly the bytes that a test wants said, right or wrong.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What the backend does once a request's head is there.
#[derive(Clone)]
pub enum Say {
    /// These pieces, each in a packet of its own, and then waits for the other side.
    Pieces(Vec<Vec<u8>>),
    /// The same bytes again and again, for as long as the connection lasts.
    Endless { first: Vec<u8>, again: Vec<u8>, pause: Duration },
    /// One answer at once, without a look at the body, and then closes.
    Hasty(Vec<u8>),
}

pub struct Raw {
    pub port: u16,
    /// Connections that are open now.
    open: Arc<AtomicUsize>,
    _serving: JoinSet<()>,
}

impl Raw {
    pub async fn start(address: Ipv4Addr, say: Say) -> Self {
        let listener = TcpListener::bind((IpAddr::V4(address), 0)).await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let open = Arc::new(AtomicUsize::new(0));
        let mut serving = JoinSet::new();
        let counted = Arc::clone(&open);
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                let (say, counted) = (say.clone(), Arc::clone(&counted));
                connections.spawn(async move {
                    counted.fetch_add(1, Ordering::SeqCst);
                    // The proxy may hang up at any time.
                    let _ = serve(stream, &say).await;
                    counted.fetch_sub(1, Ordering::SeqCst);
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Self { port, open, _serving: serving }
    }

    /// A backend that answers each request with these bytes.
    pub async fn saying(address: Ipv4Addr, answer: impl AsRef<[u8]>) -> Self {
        Self::start(address, Say::Pieces(vec![answer.as_ref().to_vec()])).await
    }

    pub fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }
}

async fn serve(mut stream: TcpStream, say: &Say) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    loop {
        let mut seen = Vec::new();
        while !seen.windows(4).any(|window| window == b"\r\n\r\n") {
            if stream.read_buf(&mut seen).await? == 0 {
                return Ok(());
            }
        }
        match say {
            Say::Pieces(pieces) => {
                for piece in pieces {
                    stream.write_all(piece).await?;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
            Say::Endless { first, again, pause } => {
                stream.write_all(first).await?;
                loop {
                    stream.write_all(again).await?;
                    tokio::time::sleep(*pause).await;
                }
            }
            Say::Hasty(answer) => return stream.write_all(answer).await,
        }
    }
}
