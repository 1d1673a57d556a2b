//! The cable between this machine and the second host: it flows, it is frozen, or it is cut.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cable {
    Flows,
    /// Connections stay, and nothing comes through: what a host that lost its power looks like.
    Frozen,
    /// Every connection ends, and so does every new one.
    Cut,
}

pub struct Wire {
    pub port: u16,
    state: watch::Sender<Cable>,
}

impl Wire {
    pub async fn to(address: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let (state, seen) = watch::channel(Cable::Flows);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(carry(near, address, seen.clone()));
            }
        });
        Self { port, state }
    }

    pub fn set(&self, state: Cable) {
        self.state.send_replace(state);
    }

    /// The place to put into an address.
    pub fn place(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

async fn carry(near: TcpStream, address: SocketAddr, mut state: watch::Receiver<Cable>) {
    let until_cut = state.clone();
    let both = async {
        state.wait_for(|state| *state == Cable::Flows).await.ok()?;
        let far = TcpStream::connect(address).await.ok()?;
        let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
        let there = copy(near_in, far_out, state.clone());
        tokio::join!(there, copy(far_in, near_out, state.clone()));
        Some(())
    };
    let mut until_cut = until_cut;
    tokio::select! {
        _ = both => {}
        _ = until_cut.wait_for(|state| *state == Cable::Cut) => {}
    }
}

async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut state: watch::Receiver<Cable>) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        if state.wait_for(|state| *state == Cable::Flows).await.is_err()
            || to.write_all(&buffer[..length]).await.is_err()
        {
            return;
        }
    }
    drop(to.shutdown().await);
}
