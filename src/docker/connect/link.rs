//! Connections to an engine on another host: opened, reused, monitored, and reopened after a failure.
//!
//! While a link is down, new calls wait for it up to [`PATIENCE`], and calls in progress fail. A link without a sign of
//! life for that long is given up, so that the wait happens only once.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bollard::{BollardRequest, Docker};
use hyper::Uri;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustix::net::sockopt;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tokio_util::task::AbortOnDropHandle;
use tower_service::Service;

use super::address::TcpAddress;
use super::ssh::Ssh;
use super::tls::TlsPlan;
use crate::docker::api::NEWEST;
use crate::docker::{CALL_LIMIT, errors};
use crate::ports::{Duplex, EngineError, EngineErrorKind};

/// As long as an unconfirmed lease is valid: a run whose link recovers by then still holds its apps.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);
/// A link that is quiet for this long is pinged.
const PING_INTERVAL: Duration = Duration::from_secs(3);
/// Pause between two attempts to reconnect.
const RETRY_INTERVAL: Duration = Duration::from_millis(250);
/// Opening a connection takes one to three round trips, so an idle one is kept for the next call.
const KEPT_FOR: Duration = Duration::from_secs(10);
const KEPT: usize = 8;

/// How to open a connection.
pub(super) enum Way {
    Tcp(TcpAddress),
    Tls { address: TcpAddress, name: ServerName<'static>, connector: TlsConnector, plan: TlsPlan },
    Ssh(Ssh),
}

pub(in crate::docker) struct Link {
    pub(super) way: Way,
    /// The first connection is not retried: its errors are reported immediately.
    established: AtomicBool,
    given_up: CancellationToken,
    begun: Instant,
    /// Milliseconds from `begun` to the last received byte.
    alive: Arc<AtomicU64>,
}

impl Link {
    pub(super) fn new(way: Way) -> Arc<Self> {
        Arc::new(Self {
            way,
            established: AtomicBool::new(false),
            given_up: CancellationToken::new(),
            begun: Instant::now(),
            alive: Arc::default(),
        })
    }

    /// A client that uses this link's connections.
    pub(super) fn client(self: &Arc<Self>) -> Result<Docker, EngineError> {
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(KEPT_FOR)
            .pool_max_idle_per_host(KEPT)
            .build(Connector(Arc::clone(self)));
        let transport = move |request: BollardRequest| {
            let client = client.clone();
            async move { client.request(request).await.map_err(bollard::errors::Error::from) }
        };
        let limit = CALL_LIMIT.as_secs();
        Docker::connect_with_custom_transport(transport, Some("http://engine"), limit, &NEWEST.into())
            .map_err(|error| errors::explain("use the engine", &error))
    }

    /// From now on broken connections are reopened, and the link is monitored while `client` is in use.
    pub(super) fn establish(self: &Arc<Self>, client: Docker) -> AbortOnDropHandle<()> {
        self.sign_of_life();
        self.established.store(true, Ordering::Relaxed);
        AbortOnDropHandle::new(tokio::spawn(Arc::clone(self).watch(client)))
    }

    pub(in crate::docker) fn is_given_up(&self) -> bool {
        self.given_up.is_cancelled()
    }

    fn sign_of_life(&self) {
        mark(self.begun, &self.alive);
    }

    fn silence(&self) -> Duration {
        self.begun.elapsed().saturating_sub(Duration::from_millis(self.alive.load(Ordering::Relaxed)))
    }

    /// A cut cable or a frozen host does not end a connection, so a quiet link is pinged.
    async fn watch(self: Arc<Self>, client: Docker) {
        loop {
            sleep(PING_INTERVAL.saturating_sub(self.silence()).max(Duration::from_millis(100))).await;
            if self.silence() < PING_INTERVAL {
                continue;
            }
            // Any answer proves that the link works: errors of the engine itself are reported by the calls.
            drop(timeout(PATIENCE.saturating_sub(self.silence()), client.ping()).await);
            if self.silence() >= PATIENCE {
                self.given_up.cancel();
                return;
            }
        }
    }

    /// Opens a connection, waiting for a link that is down.
    async fn open(self: Arc<Self>) -> Result<TokioIo<Wire>, EngineError> {
        let begun = Instant::now();
        loop {
            if self.is_given_up() {
                return Err(given_up());
            }
            let failure = match self.dial().await {
                Ok(stream) => return Ok(TokioIo::new(self.wire(stream))),
                Err(failure) => failure,
            };
            if !self.established.load(Ordering::Relaxed) {
                return Err(failure);
            }
            let passes = matches!(failure.kind, EngineErrorKind::Unreachable | EngineErrorKind::TimedOut);
            if !passes || begun.elapsed() + RETRY_INTERVAL >= PATIENCE {
                self.given_up.cancel();
                return Err(failure);
            }
            tokio::select! {
                () = self.given_up.cancelled() => {}
                () = sleep(RETRY_INTERVAL) => {}
            }
        }
    }

    async fn dial(&self) -> Result<Box<dyn Duplex>, EngineError> {
        match &self.way {
            Way::Tcp(address) => Ok(Box::new(tcp(address).await?)),
            Way::Tls { address, name, connector, plan } => {
                let stream = tcp(address).await?;
                let handshake = connector.connect(name.clone(), stream);
                match timeout(super::CONNECT_LIMIT, handshake).await {
                    Ok(Ok(stream)) => Ok(Box::new(stream)),
                    Ok(Err(error)) => Err(match errors::cause::<rustls::Error>(&error) {
                        Some(cause) => plan.explain(&address.to_string(), cause),
                        None => super::no_way_to(&address.to_string(), &error),
                    }),
                    Err(_) => Err(super::no_way_to(&address.to_string(), &io::ErrorKind::TimedOut.into())),
                }
            }
            Way::Ssh(ssh) => ssh.dial().await,
        }
    }

    fn wire(&self, stream: Box<dyn Duplex>) -> Wire {
        let given_up = Box::pin(self.given_up.clone().cancelled_owned());
        Wire { stream, given_up, begun: self.begun, alive: Arc::clone(&self.alive) }
    }
}

async fn tcp(address: &TcpAddress) -> Result<TcpStream, EngineError> {
    let unreachable = |error: &io::Error| super::no_way_to(&address.to_string(), error);
    let attempt = TcpStream::connect((address.host.as_str(), address.port));
    let stream = match timeout(super::CONNECT_LIMIT, attempt).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(unreachable(&error)),
        Err(_) => return Err(unreachable(&io::ErrorKind::TimedOut.into())),
    };
    // Calls are small and sequential. A socket that refuses an option works without it.
    let _ = stream.set_nodelay(true);
    let _ = sockopt::set_socket_keepalive(&stream, true);
    let _ = sockopt::set_tcp_keepidle(&stream, PING_INTERVAL);
    let _ = sockopt::set_tcp_keepintvl(&stream, PING_INTERVAL);
    Ok(stream)
}

fn mark(begun: Instant, alive: &AtomicU64) {
    alive.store(u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
}

fn given_up() -> EngineError {
    EngineError::new(EngineErrorKind::Unreachable, format!("the engine has been silent for {PATIENCE:?}"))
}

/// One connection. It fails as soon as its link is given up.
pub(super) struct Wire {
    stream: Box<dyn Duplex>,
    given_up: Pin<Box<WaitForCancellationFutureOwned>>,
    begun: Instant,
    alive: Arc<AtomicU64>,
}

impl Wire {
    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        match self.given_up.as_mut().poll(context) {
            Poll::Ready(()) => Err(io::Error::new(io::ErrorKind::ConnectionAborted, given_up())),
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.check(context)?;
        let before = into.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(context, into);
        if into.filled().len() > before {
            mark(self.begun, &self.alive);
        }
        result
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.check(context)?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(context)?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl Connection for Wire {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

#[derive(Clone)]
struct Connector(Arc<Link>);

impl Service<Uri> for Connector {
    type Response = TokioIo<Wire>;
    type Error = EngineError;
    type Future = Pin<Box<dyn Future<Output = Result<TokioIo<Wire>, EngineError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), EngineError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        Box::pin(Arc::clone(&self.0).open())
    }
}
