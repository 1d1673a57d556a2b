//! `deploy-apps plan [APP…]`

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use serde_json::json;

use super::deploy::SelectionArgs;
use crate::cli::common::Format;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output;
use crate::plan::{Preview, SavedPlan};
use crate::report::ci::{append_output, append_summary};
use crate::report::{plan_json, plan_markdown, plan_text};
use crate::rollout::preview;
use crate::rollout::{DeployRequest, Pulls};

#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Without APP all apps are planned. Nothing is changed, and no lease is taken. Values of environments are never
shown or saved; names are.

Exit codes: 0 nothing would change, 11 something would, and those of a deploy for what would refuse it.

  deploy-apps plan --out plan.json          save it; the file holds no secrets
  deploy-apps --plan-file plan.json         run exactly this plan, or nothing: exit code 12 if the state has changed
  deploy-apps plan --format markdown        for a comment on a pull request; its first line is a marker to find it by")]
pub struct PlanArgs {
    #[command(flatten)]
    pub desired: SelectionArgs,
    /// Pull images first as a deploy would, so that the plan knows them
    #[arg(long)]
    pub pull: bool,
    /// Save the plan, for `deploy-apps --plan-file FILE`
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// Shows what a deploy would do.
pub async fn run(context: &Context, args: &PlanArgs) -> Result<Exit, Failure> {
    let project = &context.project;
    let apps = args.desired.services(&context.project)?;
    let request = DeployRequest {
        project,
        apps: &apps,
        options: args.desired.options(),
        proxy_image: &context.proxy_image(),
        operator: &context.operator,
        lock_wait: context.lock_wait,
    };
    let pulls = if args.pull { Pulls::Done } else { Pulls::Foreseen };
    // A plan has no events; the progress of a pull is not shown.
    let run = context.run_into(Arc::new(|_| ()));
    let preview = tokio::select! {
        preview = preview(&run, &request, pulls) => preview?,
        () = context.signals.cancel.cancelled() => return Ok(context.signals.exit()),
    };
    if let Some(file) = &args.out {
        save(context, &request, &preview, file)?;
    }
    print(context, &preview)?;
    Ok(if preview.changes_nothing() { Exit::Done } else { Exit::PlanChanges })
}

fn print(context: &Context, preview: &Preview) -> Result<(), Failure> {
    let project = &context.project.name;
    let text = match context.format {
        Format::Json => plan_json(project, preview).to_string() + "\n",
        Format::Markdown => plan_markdown(project, preview),
        Format::Text | Format::Yaml | Format::Github | Format::Gitlab => plan_text(preview),
    };
    output::result(text.as_bytes())?;
    if context.format == Format::Github {
        let outputs = [("changed".to_owned(), (!preview.changes_nothing()).to_string())];
        let written = append_summary(&plan_markdown(project, preview)).and_then(|()| append_output(&outputs));
        if let Err(error) = written {
            errln!("::warning::the job's summary or outputs could not be written: {error}");
        }
    }
    Ok(())
}

/// Writes a temporary file and renames it, so that no partial file is visible.
fn save(context: &Context, request: &DeployRequest<'_>, preview: &Preview, file: &Path) -> Result<(), Failure> {
    if let Some(unknown) = preview.unknowns.first() {
        let message = format!("the plan cannot be saved, because it is not certain: {unknown}");
        return Err(Failure::new(Exit::Refused, message).hint(unknown.hint()));
    }
    let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let saved = SavedPlan::new(preview, &context.project, request.apps, &request.options, now);
    let mut text = format!("{:#}", json!(saved));
    text.push('\n');
    let write = || -> io::Result<()> {
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // Otherwise the error would name the temporary file.
        folder.metadata()?;
        let mut beside = tempfile::NamedTempFile::new_in(folder)?;
        beside.write_all(text.as_bytes())?;
        beside.as_file().sync_all()?;
        beside.persist(file)?;
        Ok(())
    };
    write().map_err(|error| {
        Failure::new(Exit::Usage, format!("the plan cannot be saved to `{}`: {error}", file.display()))
            .hint("name a file in a folder that exists and that you may write to")
    })?;
    errln!("saved to {}", file.display());
    Ok(())
}
