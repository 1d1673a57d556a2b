//! Fills the proxy's table with apps that get no requests, to measure the cost of a large host.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use deploy_apps::model::{AppKey, AppRecord, Generation, Peer, ReleaseNumber, Route};
use deploy_apps::plan::{Expect, FlipChange, Limits};
use deploy_apps::ports::{LeaseRequest, Proxy};
use deploy_apps::proxy::{ControlClient, Lease};

use super::Result;
use super::host::Host;

/// Apps per call while the table is filled.
const AT_ONCE: usize = 100;

pub struct Crowd<'a> {
    proxy: &'a ControlClient,
    lease: Lease,
    keys: Vec<AppKey>,
    generations: Vec<Generation>,
    peers: u32,
    release: u32,
    flips: usize,
}

impl<'a> Crowd<'a> {
    /// Fills the table of the host's proxy.
    pub async fn gather(host: &'a Host, apps: u32, peers: u32) -> Result<Self> {
        let keys = (0..apps)
            .map(|app| format!("{}/app-{app:04}", host.name).parse())
            .collect::<std::result::Result<Vec<AppKey>, _>>()?;
        let (owner, place, purpose) = ("bench".to_owned(), "bench".to_owned(), "bench".to_owned());
        let lease = host.proxy.acquire(&LeaseRequest { apps: keys.clone(), owner, host: place, purpose }).await?;
        let mut crowd = Self { proxy: &host.proxy, lease, keys, generations: Vec::new(), peers, release: 1, flips: 0 };
        for some in crowd.keys.chunks(AT_ONCE) {
            let changes: Vec<_> = some.iter().map(|key| crowd.change(key)).collect();
            let generation = host.proxy.flip(&crowd.lease, &changes, &vec![Generation(0); some.len()]).await?;
            crowd.generations.extend(some.iter().map(|_| generation));
        }
        Ok(crowd)
    }

    /// The time for one app's flip to the next release to be acknowledged; each call uses another app.
    pub async fn flip(&mut self) -> Result<Duration> {
        // A stride that visits every app before the first one again.
        let app = self.flips * 7 % self.keys.len();
        self.flips += 1;
        self.release += 1;
        let change = [self.change(&self.keys[app])];
        let begun = Instant::now();
        self.generations[app] = self.proxy.flip(&self.lease, &change, &[self.generations[app]]).await?;
        Ok(begun.elapsed())
    }

    fn change(&self, key: &AppKey) -> FlipChange {
        let release = ReleaseNumber(self.release);
        let peer = |replica: u32| Peer {
            id: format!("{}-{}-{release}-{replica}", key.project, key.app),
            // These apps get no requests, so the addresses only have to look like those of replicas.
            address: Ipv4Addr::new(10, 254, 8, u8::try_from(replica).unwrap_or(u8::MAX)),
            port: Some(8080),
            release,
            replica,
            version: format!("1.0.0+{}", release.0),
        };
        let record = AppRecord {
            routes: vec![Route {
                host: Some(format!("{}.localhost", key.app)),
                path: "/".to_owned(),
                strip: false,
                tls: None,
            }],
            peers: (1..=self.peers).map(peer).collect(),
            ..AppRecord::new(key.clone(), release, format!("1.0.0+{}", release.0))
        };
        let limits = Limits { requests: Duration::ZERO, websockets: Duration::ZERO };
        // The expected state is part of the call.
        FlipChange { app: key.clone(), expect: Expect::OwnLast, record: Some(record), before: None, limits }
    }
}
