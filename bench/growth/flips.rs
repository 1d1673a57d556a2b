//! An app's flip to its current state: the complete path to the disk and all workers, without container changes.

use std::time::{Duration, Instant};

use deploy_apps::plan::{Expect, FlipChange, Limits};
use deploy_apps::ports::{LeaseRequest, Proxy};

use crate::common::Result;
use crate::common::host::Host;
use crate::common::samples::Samples;

pub async fn again(host: &Host, app: &str, count: usize) -> Result<Samples> {
    let key = format!("{}/{app}", host.name).parse::<deploy_apps::model::AppKey>()?;
    let (owner, place, purpose) = ("bench".to_owned(), "bench".to_owned(), "bench".to_owned());
    let request = LeaseRequest { apps: vec![key.clone()], owner, host: place, purpose };
    let lease = host.proxy.acquire(&request).await?;
    let known = host.known(app).await?;
    let limits = Limits { requests: Duration::from_secs(60), websockets: Duration::from_secs(300) };
    let change = [FlipChange { app: key, expect: Expect::OwnLast, record: known.record, before: None, limits }];
    let (mut generation, mut flips) = (known.generation, Samples::default());
    for _ in 0..count {
        let begun = Instant::now();
        generation = host.proxy.flip(&lease, &change, &[generation]).await?;
        flips.push_time(begun.elapsed());
    }
    Ok(flips)
}
