//! What `maintenance`, `pause` and `resume` share: which apps, the flip, and what to say of it.

use crate::cli::common::Format;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::names::known_apps;
use crate::cli::output;
use crate::model::{AppName, Interruption, ObservedProxy};
use crate::ports::Proxy as _;
use crate::report::interrupted::Interruptions;
use crate::rollout::{InterruptRequest, interrupt};

/// Switches all of the named apps, or none, and says how each is afterwards.
pub async fn carry_out(context: &Context, names: &[String], what: &Interruption) -> Result<Exit, Failure> {
    let run = context.run();
    let state = tokio::select! {
        biased;
        () = context.signals.cancel.cancelled() => return Ok(context.signals.exit()),
        state = run.proxy().state() => state?,
    };
    let apps = named(context, names, &state)?;
    let request = InterruptRequest {
        project: &context.project,
        apps: &apps,
        what,
        operator: &context.operator,
        lock_wait: context.lock_wait,
    };
    let result = interrupt(&run, &request).await;
    context.reporter.finish();
    let found = match result {
        Ok(found) => found,
        Err(_) if context.signals.cancel.is_cancelled() => return Ok(context.signals.exit()),
        Err(error) => return Err(error.into()),
    };
    let interruptions = Interruptions { project: context.project.name.clone(), what: what.clone(), apps: found };
    let text = match context.format {
        Format::Json => interruptions.document().to_string(),
        _ => interruptions.lines().join("\n"),
    };
    output::result(format!("{text}\n").as_bytes())?;
    Ok(Exit::Done)
}

/// In order of name, without duplicates; also apps that the file has no more.
fn named(context: &Context, names: &[String], state: &ObservedProxy) -> Result<Vec<AppName>, Failure> {
    let project = &context.project;
    let recorded = state.apps.iter().filter(|(key, known)| key.project == project.name && known.record.is_some());
    let recorded: Vec<&AppName> = recorded.map(|(key, _)| &key.app).collect();
    known_apps(project, names, recorded.iter().copied())?;
    let mut apps: Vec<AppName> = project.apps.keys().chain(recorded).cloned().collect();
    apps.retain(|app| names.iter().any(|name| name == app.as_str()));
    apps.sort();
    apps.dedup();
    Ok(apps)
}
