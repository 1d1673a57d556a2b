//! The client against a proxy in memory.

mod calls;
mod channels;
mod errors;
mod leases;

use std::net::Ipv4Addr;
use std::time::Duration;

use serde_json::json;
use tokio::sync::mpsc;

use super::lease::Lease;
use super::testing::{ProxyInMemory, Reply, Seen, error};
use crate::model::{AppKey, AppRecord, Generation, Peer, ReleaseNumber, Route};
use crate::plan::{Expect, FlipChange, Limits};
use crate::ports::{LeaseRequest, Proxy, ProxyError};

fn key(text: &str) -> AppKey {
    text.parse().expect("valid key")
}

fn record() -> AppRecord {
    AppRecord {
        routes: vec![
            Route { host: Some("go-app.localhost".to_owned()), path: "/".to_owned(), strip: false, tls: None },
            Route { host: None, path: "/go-app".to_owned(), strip: true, tls: None },
        ],
        peers: vec![Peer {
            id: "sample-go-app-r8-1".to_owned(),
            address: Ipv4Addr::new(10, 201, 4, 7),
            port: Some(8080),
            release: ReleaseNumber(8),
            replica: 1,
            version: "1.4.0+8".to_owned(),
        }],
        ..AppRecord::new(key("sample/go-app"), ReleaseNumber(8), "1.4.0+8".to_owned())
    }
}

fn change() -> FlipChange {
    let limits = Limits { requests: Duration::from_secs(60), websockets: Duration::from_secs(300) };
    let expect = Expect::Observed(Generation(41));
    FlipChange { app: key("sample/go-app"), expect, record: Some(record()), before: None, limits }
}

fn lease_request() -> LeaseRequest {
    LeaseRequest {
        apps: vec![key("sample/go-app")],
        owner: "ann".to_owned(),
        host: "laptop".to_owned(),
        purpose: "deploy".to_owned(),
    }
}

/// The proxy's end of a lease: dropping it ends the answer; it closes when the client is gone.
type LeaseEnd = mpsc::Sender<bytes::Bytes>;

fn granted() -> (Reply, LeaseEnd) {
    let (end, rest) = mpsc::channel(1);
    (Reply::Hold(json!({"token": "t1", "heartbeat_ms": 5000, "expires_ms": 15000}), rest), end)
}

/// A proxy that grants every lease and answers everything else as told.
fn granting(mut answers: impl FnMut(&Seen) -> Reply + Send + 'static) -> ProxyInMemory {
    let mut ends = Vec::new();
    ProxyInMemory::new(move |seen| {
        if seen.call != "POST /v1/lease" {
            return answers(seen);
        }
        let (reply, end) = granted();
        ends.push(end);
        reply
    })
}

async fn flip(proxy: &ProxyInMemory) -> Result<Generation, ProxyError> {
    let client = proxy.client();
    let lease: Lease = client.acquire(&lease_request()).await?;
    client.flip(&lease, &[change()], &[Generation(41)]).await
}
