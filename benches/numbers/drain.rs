//! From the end of the old replica's last request to its stop signal.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use deploy_apps::ports::Proxy;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::host::{Host, app, first_event, services};
use crate::samples::{Samples, between};
use crate::table::{Row, Unit};
use crate::{Bench, Result};

const LIMIT: Duration = Duration::from_secs(30);

pub async fn measure(bench: &Bench) -> Result {
    let host = Host::start(bench, "drain", services([("web", app(bench, 1))])).await?;
    let address = host.proxy_address().await?;
    let mut waited = Samples::default();
    for _ in 0..bench.rounds(11, 5) {
        let record = host.known("web").await?.record.ok_or("the app has no record")?;
        let old: Vec<String> = record.peers.iter().map(|peer| peer.id.clone()).collect();
        let since = SystemTime::now();
        let request = OpenRequest::begin(address).await?;
        timeout(LIMIT, async {
            while host.proxy.in_flight(&old, None, Duration::ZERO).await?.requests == 0 {
                sleep(Duration::from_millis(2)).await;
            }
            Ok::<_, deploy_apps::ports::ProxyError>(())
        })
        .await??;
        let mut run = host.spawn(&["web", "--force"])?;
        run.event("drain_progressed", |event| event["left"]["requests"] == 1).await?;
        let ended = request.end().await?;
        if run.finish().await? != 0 {
            return Err("the redeploy failed".into());
        }
        let stopped = first_event("kill", &old[0], since).await?;
        waited.push(between(ended, stopped));
    }
    Row::median("last request of the old replica ends → its stop signal", Unit::Milliseconds, &waited)
        .at_most(50.0)
        .print();
    Ok(())
}

/// An upload whose last byte is held back: a request that ends exactly when we want.
struct OpenRequest(TcpStream);

impl OpenRequest {
    async fn begin(address: SocketAddr) -> Result<Self> {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(b"POST /upload HTTP/1.1\r\nHost: web.localhost\r\nContent-Length: 4\r\n\r\nabc").await?;
        Ok(Self(stream))
    }

    /// Lets it end, and says when its answer had arrived.
    async fn end(mut self) -> Result<SystemTime> {
        self.0.write_all(b"d").await?;
        let mut answer = Vec::new();
        let read = async {
            while !answer.ends_with(b"}\n") {
                if self.0.read_buf(&mut answer).await? == 0 {
                    break;
                }
            }
            Ok::<_, std::io::Error>(())
        };
        timeout(LIMIT, read).await??;
        let ended = SystemTime::now();
        if answer.starts_with(b"HTTP/1.1 200 ") {
            Ok(ended)
        } else {
            Err("the old replica's last request failed".into())
        }
    }
}
