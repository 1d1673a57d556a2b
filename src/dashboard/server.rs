//! The listener, and one task per connection.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::sleep;

use super::Source;
use super::answer::answer;
use super::feed::Feed;

/// Connection limit, so that a program that only connects cannot use up all descriptors.
const CONNECTIONS: usize = 128;
/// Timeout for a request's head.
const PATIENCE: Duration = Duration::from_secs(10);

/// A dashboard that listens but does not serve yet.
pub struct Dashboard {
    listener: TcpListener,
    address: SocketAddr,
}

impl Dashboard {
    /// Listens on loopback only; port 0 picks a free port.
    ///
    /// # Errors
    /// When the port cannot be bound, such as when it is in use.
    pub async fn bind(port: u16) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    #[must_use]
    pub fn url(&self) -> String {
        format!("http://localhost:{}", self.address.port())
    }

    /// Serves until the future is dropped.
    pub async fn serve(self, source: impl Source) {
        let feed = Arc::new(Feed::new());
        let accepting = async {
            let places = Arc::new(Semaphore::new(CONNECTIONS));
            loop {
                let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
                match self.listener.accept().await {
                    Ok((stream, _)) => {
                        let feed = Arc::clone(&feed);
                        tokio::spawn(async move {
                            connection(stream, feed).await;
                            drop(place);
                        });
                    }
                    // For example no free descriptor. That is temporary, so wait before the next try.
                    Err(_) => sleep(Duration::from_millis(100)).await,
                }
            }
        };
        tokio::join!(feed.run(&source), accepting);
    }
}

async fn connection(stream: TcpStream, feed: Arc<Feed>) {
    let service = service_fn(|request| {
        let feed = Arc::clone(&feed);
        async move { Ok::<_, Infallible>(answer(&request, &feed).await) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
    // Most connections end with the browser closing them, so errors are ignored.
    drop(http.serve_connection(TokioIo::new(stream), service).await);
}
