//! `deploy-apps certificates`

use jiff::Timestamp;

use crate::cli::common::Format;
use crate::cli::context::{Context, stdout_width};
use crate::cli::exit::{Exit, Failure};
use crate::cli::output;
use crate::ports::Proxy as _;
use crate::report::certificates::Certificates;

/// Lists what the proxy has for the project's hosts; that there is nothing is no failure.
pub async fn run(context: &Context) -> Result<Exit, Failure> {
    let proxy = context.proxy();
    let state = tokio::select! {
        biased;
        () = context.signals.cancel.cancelled() => return Ok(context.signals.exit()),
        state = proxy.state() => state?,
    };
    let project = &context.project;
    let list = Certificates {
        project: project.name.clone(),
        at: Timestamp::now(),
        all: state.certificates_of(&project.name).cloned().collect(),
    };
    let text = match context.format {
        Format::Json => list.document().to_string(),
        _ => list.lines(stdout_width()).join("\n"),
    };
    output::result(format!("{text}\n").as_bytes())?;
    Ok(Exit::Done)
}
