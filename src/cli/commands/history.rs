//! `deploy-apps history [APP…]`

use std::collections::BTreeSet;

use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::cli::common::Format;
use crate::cli::context::{Context, stdout_width};
use crate::cli::exit::{Exit, Failure};
use crate::cli::names::known_apps;
use crate::cli::output;
use crate::model::{AppKey, AppName, PastRun, Project, ProxyOverview, past_runs};
use crate::ports::InspectProxy;
use crate::proxy::ControlClient;
use crate::report::history::{History, brought_in};

#[derive(Debug, Clone, Args)]
pub struct HistoryArgs {
    /// The apps to show; default all of the project, also those that were removed
    #[arg(value_name = "APP")]
    pub apps: Vec<String>,
    /// How many runs of each app
    #[arg(long, short = 'n', value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=400))]
    pub limit: u16,
}

/// Shows the runs of the apps.
pub async fn run(context: &Context, args: &HistoryArgs) -> Result<Exit, Failure> {
    let proxy = context.proxy();
    let history = tokio::select! {
        biased;
        () = context.signals.cancel.cancelled() => return Ok(context.signals.exit()),
        history = gather(&context.project, &proxy, args) => history?,
    };
    let text = match context.format {
        Format::Json => history.document().to_string(),
        _ => history.lines(&TimeZone::system(), stdout_width()).join("\n"),
    };
    output::result(format!("{text}\n").as_bytes())?;
    Ok(Exit::Done)
}

/// Collects the history.
pub(super) async fn gather(project: &Project, proxy: &ControlClient, args: &HistoryArgs) -> Result<History, Failure> {
    let overview = proxy.overview(&project.name).await?;
    let on_host: Vec<&AppName> = ours(project, &overview).map(|key| &key.app).collect();
    // Accessories have a history too: when they were created, replaced or restarted.
    let others = project.accessories.keys();
    known_apps(project, &args.apps, on_host.iter().copied().chain(others.clone()))?;
    let all: BTreeSet<&AppName> = project.apps.keys().chain(on_host).chain(others).collect();
    let named = |name: &AppName| args.apps.is_empty() || args.apps.iter().any(|named| named == name.as_str());
    let keys: Vec<AppKey> = all.into_iter().filter(|name| named(name)).map(|name| project.key(name)).collect();
    let limit = usize::from(args.limit);
    // A run with a new release has two records, and the first one of the oldest run may be missing.
    let records = proxy.histories(&keys, 2 * limit + 1).await?;
    let is_busy = |app: &AppKey| overview.leases.iter().any(|lease| lease.app == *app);
    let runs = past_runs(&records, limit, is_busy);
    let mut told: BTreeSet<AppKey> = BTreeSet::new();
    let runs = runs.into_iter().map(|run| {
        let serves = serves(&overview, &run) && brought_in(&run) && told.insert(run.app.clone());
        (run, serves)
    });
    Ok(History { project: project.name.clone(), now: Timestamp::now(), runs: runs.collect(), apps: keys.len() })
}

/// The project's apps that have a record in the proxy.
fn ours<'a>(project: &'a Project, overview: &'a ProxyOverview) -> impl Iterator<Item = &'a AppKey> {
    overview.state.apps.keys().filter(|key| key.project == project.name)
}

fn serves(overview: &ProxyOverview, run: &PastRun) -> bool {
    let record = overview.state.apps.get(&run.app).and_then(|known| known.record.as_ref());
    record.is_some_and(|record| record.release == run.release && !record.peers.is_empty())
}
