//! A network connection between this machine and an engine that can be frozen or cut.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use deploy_apps::ports::Duplex;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cable {
    Flows,
    /// Connections stay open without data, as when a host loses power.
    Frozen,
    /// All connections are closed, including new ones.
    Cut,
}

/// The target of the connection.
#[derive(Debug, Clone)]
pub enum End {
    Address(SocketAddr),
    /// The engine of this machine, treated like a remote one.
    Socket(PathBuf),
}

pub struct Wire {
    pub port: u16,
    state: watch::Sender<Cable>,
    /// Remaining bytes until it is cut.
    left: Arc<AtomicU64>,
}

impl Wire {
    pub async fn to(end: End) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let (state, _) = watch::channel(Cable::Flows);
        let left = Arc::new(AtomicU64::new(u64::MAX));
        let shared = (state.clone(), Arc::clone(&left));
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(carry(near, end.clone(), shared.clone()));
            }
        });
        Self { port, state, left }
    }

    pub fn set(&self, state: Cable) {
        self.state.send_replace(state);
    }

    /// Cuts the connection after this many more bytes.
    pub fn cut_after(&self, bytes: u64) {
        self.left.store(bytes, Ordering::Relaxed);
    }

    /// `HOST:PORT` for an address.
    pub fn place(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

impl End {
    async fn connect(self) -> io::Result<Box<dyn Duplex>> {
        Ok(match self {
            Self::Address(address) => Box::new(TcpStream::connect(address).await?),
            Self::Socket(path) => Box::new(UnixStream::connect(path).await?),
        })
    }
}

type Shared = (watch::Sender<Cable>, Arc<AtomicU64>);

async fn carry(near: TcpStream, end: End, shared: Shared) {
    let (mut state, until_cut) = (shared.0.subscribe(), shared.0.subscribe());
    let both = async {
        state.wait_for(|state| *state == Cable::Flows).await.ok()?;
        let near: Box<dyn Duplex> = Box::new(near);
        let ((near_in, near_out), (far_in, far_out)) = (split(near), split(end.connect().await.ok()?));
        let there = copy(near_in, far_out, shared.clone());
        tokio::join!(there, copy(far_in, near_out, shared.clone()));
        Some(())
    };
    let mut until_cut = until_cut;
    tokio::select! {
        _ = both => {}
        _ = until_cut.wait_for(|state| *state == Cable::Cut) => {}
    }
}

async fn copy(mut from: ReadHalf<Box<dyn Duplex>>, mut to: WriteHalf<Box<dyn Duplex>>, (set, left): Shared) {
    let mut state = set.subscribe();
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let before =
            left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| Some(left.saturating_sub(length as u64)));
        if before.is_ok_and(|before| before <= length as u64) {
            set.send_replace(Cable::Cut);
            return;
        }
        if state.wait_for(|state| *state == Cable::Flows).await.is_err()
            || to.write_all(&buffer[..length]).await.is_err()
        {
            return;
        }
    }
    drop(to.shutdown().await);
}
