//! How long a flip takes to be acknowledged when the table is large: on disk, and seen by every worker.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use deploy_apps::model::{AppKey, AppRecord, Balance, Generation, Peer, ReleaseNumber, Route};
use deploy_apps::plan::{Expect, FlipChange, Limits};
use deploy_apps::ports::{LeaseRequest, Proxy};

use crate::host::{Host, app, services};
use crate::samples::Samples;
use crate::table::{Row, Unit};
use crate::{Bench, Result};

const APPS: u32 = 1_000;
const PEERS: u32 = 10;
/// Per round, so that its p99 is not its single slowest flip.
const FLIPS: u32 = 400;
/// Apps written in one call while the table is filled.
const AT_ONCE: usize = 100;

pub async fn measure(bench: &Bench) -> Result {
    let host = Host::start(bench, "flip", services([("web", app(bench, 1))])).await?;
    let keys = (0..APPS)
        .map(|app| format!("{}/app-{app:04}", host.name).parse())
        .collect::<std::result::Result<Vec<AppKey>, _>>()?;
    let (owner, place, purpose) = ("bench".to_owned(), "bench".to_owned(), "bench".to_owned());
    let lease = host.proxy.acquire(&LeaseRequest { apps: keys.clone(), owner, host: place, purpose }).await?;

    let mut generations = Vec::new();
    for some in keys.chunks(AT_ONCE) {
        let changes: Vec<_> = some.iter().map(|key| change(key, 1)).collect();
        let generation = host.proxy.flip(&lease, &changes, &vec![Generation(0); some.len()]).await?;
        generations.extend(some.iter().map(|_| generation));
    }

    let (mut median, mut slowest) = (Samples::default(), Samples::default());
    let mut release = 1;
    for _ in 0..bench.rounds(7, 3) {
        release += 1;
        let mut flips = Samples::default();
        for flip in 0..FLIPS {
            // A stride that meets every app before it comes back to the first.
            let app = (flip * 7 % APPS) as usize;
            let change = [change(&keys[app], release)];
            let begun = Instant::now();
            generations[app] = host.proxy.flip(&lease, &change, &[generations[app]]).await?;
            flips.push_time(begun.elapsed());
        }
        median.push(flips.quantile(0.5));
        slowest.push(flips.quantile(0.99));
    }
    Row::median(format!("flip acknowledged, {APPS} apps × {PEERS} peers, p99"), Unit::Milliseconds, &slowest)
        .at_most(5.0)
        .print();
    Row::median("p50", Unit::Milliseconds, &median).print();
    Ok(())
}

fn change(key: &AppKey, release: u32) -> FlipChange {
    let release = ReleaseNumber(release);
    let peer = |replica: u32| Peer {
        id: format!("{}-{}-{release}-{replica}", key.project, key.app),
        // Nobody asks for these apps, so the addresses only have to look like those of replicas.
        address: Ipv4Addr::new(10, 254, 8, u8::try_from(replica).unwrap_or(u8::MAX)),
        port: Some(8080),
        release,
        replica,
        version: format!("1.0.0+{}", release.0),
    };
    let record = AppRecord {
        project: key.project.clone(),
        app: key.app.clone(),
        release,
        version: format!("1.0.0+{}", release.0),
        routes: vec![Route { host: Some(format!("{}.localhost", key.app)), path: "/".to_owned(), strip: false }],
        balance: Balance::default(),
        hold_ms: 0,
        scale: None,
        metrics: None,
        peers: (1..=PEERS).map(peer).collect(),
    };
    let limits = Limits { requests: Duration::ZERO, websockets: Duration::ZERO };
    // What is expected stands in the call itself.
    FlipChange { app: key.clone(), expect: Expect::OwnLast, record: Some(record), before: None, limits }
}
