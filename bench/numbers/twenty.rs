//! Twenty apps in one command, and in one observation.

use std::time::Duration;

use deploy_apps::model::{AppKey, AppName};
use deploy_apps::plan::{Expect, FlipChange, Limits};
use deploy_apps::ports::{Engine, LeaseRequest, Proxy};
use futures_util::future::try_join_all;

use crate::engine;
use crate::host::{Host, app, services};
use crate::samples::Samples;
use crate::table::{Row, Unit};
use crate::{Bench, Result};

const APPS: usize = 20;

pub async fn measure(bench: &Bench) -> Result {
    let twenty = (1..=APPS).map(|number| (format!("app-{number:02}"), app(bench, 1)));
    let host = Host::start(bench, "twenty", services(twenty)).await?;
    let apps = host.apps()?;
    let (mut ours, mut engines) = (Samples::default(), Samples::default());
    for _ in 0..bench.rounds(5, 2) {
        retire(&host, &apps).await?;
        let containers = engine::planned(&host, &apps).await?;
        engines.push_time(engine::create_and_start(&host, &containers).await?);
        try_join_all(containers.iter().map(|container| host.engine.remove_container(&container.name))).await?;
        ours.push_time(host.deploy(&["--all"]).await?);
    }
    let (mut status, mut history) = (Samples::default(), Samples::default());
    for _ in 0..bench.rounds(20, 5) {
        status.push_time(host.deploy(&["status"]).await?);
        history.push_time(host.deploy(&["history"]).await?);
    }
    let ratio = ours.zip(&engines, |ours, engines| ours / engines);
    Row::median(
        format!("{APPS} apps in one command ÷ create + start of {APPS} containers by the engine alone"),
        Unit::Times,
        &ratio,
    )
    .at_most(1.3)
    .print();
    Row::median("the command: created, started, healthy, flipped", Unit::Milliseconds, &ours).print();
    Row::median("the engine alone, all beside each other", Unit::Milliseconds, &engines).print();
    Row::median(format!("`status` of {APPS} apps, drift included"), Unit::Milliseconds, &status).at_most(50.0).print();
    Row::median(format!("`history` of {APPS} apps"), Unit::Milliseconds, &history).at_most(100.0).print();
    Ok(())
}

/// Removes the apps from the proxy and their containers, so that the next deploy is a first one again.
async fn retire(host: &Host, apps: &[AppName]) -> Result {
    let state = host.proxy.state().await?;
    let project = host.project()?;
    let keys: Vec<_> = apps.iter().map(|app| project.key(app)).collect();
    let (owner, place, purpose) = ("bench".to_owned(), "bench".to_owned(), "bench".to_owned());
    let lease = host.proxy.acquire(&LeaseRequest { apps: keys.clone(), owner, host: place, purpose }).await?;
    let limits = Limits { requests: Duration::ZERO, websockets: Duration::ZERO };
    let known: Vec<_> = keys.iter().filter_map(|key| Some((key, state.apps.get(key)?))).collect();
    let changes: Vec<_> = known
        .iter()
        .map(|(key, _)| FlipChange {
            app: AppKey::clone(key),
            expect: Expect::OwnLast,
            record: None,
            before: None,
            limits,
        })
        .collect();
    let expected: Vec<_> = known.iter().map(|(_, known)| known.generation).collect();
    host.proxy.flip(&lease, &changes, &expected).await?;
    let peers = known.iter().filter_map(|(_, known)| known.record.as_ref()).flat_map(|record| &record.peers);
    try_join_all(peers.map(|peer| host.engine.remove_container(&peer.id))).await?;
    Ok(())
}
