//! `deploy-apps prune [APP…]`

use std::collections::BTreeSet;

use clap::Args;
use serde_json::{Value, json};

use super::deploy::{KEEP, MOST_KEPT};
use crate::cli::common::Format;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::names::known_apps;
use crate::model::{AppName, Bytes, ReleaseNumber};
use crate::plan::deployed_apps;
use crate::ports::{Engine, Proxy};
use crate::rollout::{PruneRequest, Pruned, PrunedApp, prune};

#[derive(Debug, Clone, Args)]
pub struct PruneArgs {
    /// The apps to prune; without any, all of the project
    #[arg(value_name = "APP")]
    pub apps: Vec<String>,
    /// How many releases besides the serving one stay for a rollback
    #[arg(long, value_name = "N", default_value_t = KEEP, value_parser = clap::value_parser!(u32).range(..=MOST_KEPT))]
    pub keep: u32,
    /// Print what would be removed, without changing anything
    #[arg(long)]
    pub dry_run: bool,
}

/// Removes unused containers, images and releases, and reports the disk space freed.
pub async fn run(context: &Context, args: &PruneArgs) -> Result<Exit, Failure> {
    let run = context.run();
    let (engine, proxy) = (run.engine().observe(&context.project.proxy.name).await?, run.proxy().state().await?);
    let deployed = deployed_apps(&context.project.name, &engine, &proxy);
    let of_project = proxy.apps.keys().filter(|key| key.project == context.project.name).map(|key| &key.app);
    let on_host: BTreeSet<&AppName> = deployed.iter().chain(of_project).collect();
    known_apps(&context.project, &args.apps, on_host.iter().copied())?;
    let all = context.project.apps.keys().chain(on_host);
    let named = |app: &&AppName| args.apps.is_empty() || args.apps.iter().any(|name| name == app.as_str());
    let apps: BTreeSet<AppName> = all.filter(named).cloned().collect();
    let request = PruneRequest {
        project: &context.project,
        apps: &apps.into_iter().collect::<Vec<_>>(),
        keep: args.keep,
        dry_run: args.dry_run,
        operator: &context.operator,
        lock_wait: context.lock_wait,
    };
    let pruned = prune(&run, &request).await?;
    let text = match context.format {
        Format::Json => document(&pruned, args.dry_run).to_string(),
        _ => lines(&pruned, args.dry_run).join("\n"),
    };
    outln!("{text}");
    let left = pruned.apps.iter().any(|app| !app.left.is_empty());
    Ok(if left { Exit::Leftovers } else { Exit::Done })
}

fn document(pruned: &Pruned, dry_run: bool) -> Value {
    let app = |app: &PrunedApp| {
        json!({
            "app": app.app, "serving": app.serving, "kept": app.kept,
            "images": app.images, "containers": app.containers, "left": app.left,
        })
    };
    json!({
        "v": 1,
        "dry_run": dry_run,
        "apps": pruned.apps.iter().map(app).collect::<Vec<_>>(),
        "untagged_images": pruned.dangling,
        "one_offs": pruned.one_offs,
        "freed_bytes": pruned.freed,
    })
}

fn lines(pruned: &Pruned, dry_run: bool) -> Vec<String> {
    let goes = |app: &&PrunedApp| !(app.images.is_empty() && app.containers.is_empty());
    let going: Vec<&PrunedApp> = pruned.apps.iter().filter(goes).collect();
    if going.is_empty() && pruned.one_offs.is_empty() && !pruned.dangling {
        return vec!["nothing to prune".to_owned()];
    }
    let mut rows = vec![["app".to_owned(), "serves".to_owned(), "kept".to_owned(), "gone".to_owned()]];
    if dry_run {
        rows[0][3] = "would go".to_owned();
    }
    rows.extend(going.iter().map(|app| {
        let images = app.images.iter().map(|tag| tag.rsplit(':').next().unwrap_or(tag).to_owned());
        let gone: Vec<String> = images.chain(app.containers.iter().map(|name| format!("container {name}"))).collect();
        [app.app.app.to_string(), listed(&app.serving), listed(&app.kept), gone.join(" ")]
    }));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths = [width(0), width(1), width(2)];
    let mut lines: Vec<String> = Vec::new();
    if !going.is_empty() {
        let line = |[app, serves, kept, gone]: &[String; 4]| {
            format!("{app:0$}  {serves:1$}  {kept:2$}  {gone}", widths[0], widths[1], widths[2])
        };
        lines.extend(rows.iter().map(line));
    }
    if !pruned.one_offs.is_empty() {
        let names: Vec<String> = pruned.one_offs.iter().map(|name| format!("`{name}`")).collect();
        let verb = if dry_run { "would go" } else { "are gone" };
        lines.push(format!("containers that a killed `run` has left {verb}: {}", names.join(", ")));
    }
    if pruned.dangling {
        lines.push(if dry_run { "untagged images would go" } else { "untagged images are gone" }.to_owned());
    }
    if let Some(freed) = pruned.freed {
        lines.push(format!("{} freed", Bytes(freed)));
    }
    lines
}

fn listed(releases: &[ReleaseNumber]) -> String {
    match releases {
        [] => "-".to_owned(),
        releases => releases.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
    }
}
