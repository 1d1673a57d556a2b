//! `deploy-apps ls`: lists all projects on the engine, without a compose file.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use clap::Args;
use futures_util::future::join_all;
use jiff::Timestamp;
use tokio::time::timeout;

use crate::cli::common::{CommonArgs, Format};
use crate::cli::context::stdout_width;
use crate::cli::engine::{connect, control_client};
use crate::cli::exit::{Exit, Failure};
use crate::cli::memory::Memory;
use crate::cli::output;
use crate::docker::DockerEngine;
use crate::model::{ObservedState, Project, ProjectName, ProxyName, ProxyOverview, Role};
use crate::plan::{Seen, accessory_statuses, app_statuses};
use crate::ports::{Engine as _, InspectProxy as _};
use crate::report::ls::{ListedProject, ListedProxy, Listing};

/// When a proxy takes longer, it is reported as not answering.
const PROXY_PATIENCE: Duration = Duration::from_secs(5);

/// List all projects on the engine with their apps, releases and routes
///
/// Asks the engine and its proxies alone, so no compose file is needed. What stands here can be looked at and worked on
/// with `-p PROJECT` from any folder: `status`, `logs`, `history`, `exec`, `rollback`, `restart`, `remove` and others.
#[derive(Debug, Clone, Copy, Args)]
pub struct LsArgs {
    /// One line for each route, in the order of hosts: who has a host?
    #[arg(long)]
    pub routes: bool,
}

/// Lists the projects. An empty engine is not an error.
pub async fn run(common: &CommonArgs, args: LsArgs) -> Result<Exit, Failure> {
    let limit = common.timeout.unwrap_or(Duration::MAX);
    let listed = async {
        let engine = connect(common).await?;
        list(&engine, common.project_name.as_deref()).await
    };
    let Ok(listing) = timeout(limit, listed).await else { return Ok(Exit::TimedOut) };
    let listing = listing?;
    let text = match (common.format(), args.routes) {
        (Format::Json, _) => listing.document().to_string(),
        (_, true) => listing.route_lines(stdout_width()).join("\n"),
        (_, false) => listing.lines(stdout_width()).join("\n"),
    };
    output::result(format!("{text}\n").as_bytes())?;
    Ok(if listing.proxies.iter().any(|proxy| proxy.error.is_some()) { Exit::NoProxy } else { Exit::Done })
}

async fn list(engine: &DockerEngine, only: Option<&str>) -> Result<Listing, Failure> {
    let memory = Memory::of(engine).await?;
    let projects = memory.projects();
    if let Some(name) = only.filter(|name| projects.keys().all(|project| project.as_str() != *name)) {
        let name =
            name.parse().map_err(|error: crate::model::InvalidName| Failure::new(Exit::Usage, error.to_string()))?;
        return Err(memory.unknown(&name));
    }
    let names: BTreeSet<&ProxyName> = memory.residents.iter().map(|resident| &resident.labels.proxy).collect();
    let of = |proxy: &ProxyName| -> Vec<&ProjectName> {
        let here = projects.iter().filter(|(_, homes)| homes.contains(proxy)).map(|(name, _)| name);
        here.filter(|name| only.is_none_or(|only| name.as_str() == only)).collect()
    };
    let listed = names.into_iter().map(|name| listed(engine, &memory, name, of(name)));
    let proxies: Result<Vec<ListedProxy>, Failure> = join_all(listed).await.into_iter().collect();
    let info = engine.info().await?;
    let proxies = proxies?.into_iter().filter(|proxy| only.is_none() || !proxy.projects.is_empty()).collect();
    Ok(Listing { at: Timestamp::now(), engine: (info.address, info.version), proxies })
}

async fn listed(
    engine: &DockerEngine,
    memory: &Memory,
    name: &ProxyName,
    projects: Vec<&ProjectName>,
) -> Result<ListedProxy, Failure> {
    let resident =
        memory.residents.iter().find(|other| other.labels.role == Role::Proxy && other.labels.proxy == *name);
    let (observed, told) = tokio::join!(engine.observe(name), overview(engine, name, resident.map(|it| it.running)));
    let (proxy, error) = match told {
        Ok(overview) => (Some(overview), None),
        Err(error) => (None, Some(error)),
    };
    let state = proxy.as_ref().map(|overview| overview.state.clone()).unwrap_or_default();
    let observed = ObservedState { engine: observed?, proxy: state, ..ObservedState::default() };
    let (lifetimes, compared) = (BTreeMap::new(), BTreeSet::new());
    let seen = Seen { observed: &observed, lifetimes: &lifetimes, proxy: proxy.as_ref(), compared: &compared };
    let ports = resident.map(|resident| resident.ports.clone()).unwrap_or_default();
    let listed = projects.into_iter().map(|project| {
        let remembered = Project::remembered(
            project,
            name,
            ports.first().copied(),
            &observed.engine,
            &observed.proxy,
            &BTreeMap::new(),
        );
        let apps = app_statuses(&remembered, &seen).into_iter().map(|app| {
            let record = observed.proxy.apps.get(&app.app).and_then(|known| known.record.as_ref());
            let routes = record.map(|record| record.routes.clone()).unwrap_or_default();
            (app, routes)
        });
        ListedProject {
            name: project.clone(),
            apps: apps.collect(),
            accessories: accessory_statuses(&remembered, &seen),
        }
    });
    Ok(ListedProxy { name: name.clone(), projects: listed.collect(), error, ports: ports.clone() })
}

async fn overview(engine: &DockerEngine, name: &ProxyName, running: Option<bool>) -> Result<ProxyOverview, String> {
    match running {
        None => return Err("there is none on this engine".to_owned()),
        Some(false) => return Err("it does not run".to_owned()),
        Some(true) => {}
    }
    // Traffic belongs to one project and is not shown here.
    let nobody: ProjectName = "0".parse().map_err(|error: crate::model::InvalidName| error.to_string())?;
    let client = control_client(engine, name);
    match timeout(PROXY_PATIENCE, client.overview(&nobody)).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {PROXY_PATIENCE:?}")),
    }
}
