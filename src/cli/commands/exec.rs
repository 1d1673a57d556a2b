//! `deploy-apps exec APP -- COMMAND…`: runs a command in a serving replica.

use std::io::IsTerminal;
use std::time::Duration;

use clap::Args;
use tokio::time::sleep;

use super::logs::release;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::names::known_names;
use crate::cli::streams::{RawTerminal, pass, size};
use crate::model::{ContainerState, ObservedContainer, ObservedEngine, ReleaseNumber, Role};
use crate::ports::{Engine, InspectEngine, Proxy, ShellRequest};

/// Exit codes of the docker command when the command cannot be run or does not exist.
const CANNOT_RUN: [i64; 2] = [126, 127];
/// The engine knows the exit code some milliseconds after the end of the output.
const EXIT_INTERVAL: Duration = Duration::from_millis(20);
const EXIT_ATTEMPTS: u32 = 250;

#[derive(Debug, Clone, Args)]
pub struct ExecArgs {
    /// An app or an accessory
    #[arg(value_name = "APP")]
    pub app: String,
    /// In a replica of this release, such as `r7`; else of the newest that serves
    #[arg(long, value_name = "RELEASE", value_parser = release)]
    pub release: Option<ReleaseNumber>,
    /// In the replica with this number; else in the first
    #[arg(long, value_name = "N")]
    pub replica: Option<u32>,
    /// Allocate no terminal
    #[arg(short = 'T', long)]
    pub no_tty: bool,
    /// The command with its arguments
    #[arg(value_name = "COMMAND", required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub command: Vec<String>,
}

/// Runs the command and exits with its exit code.
pub async fn run(context: &Context, args: &ExecArgs) -> Result<Exit, Failure> {
    let proxy = context.proxy();
    // If the proxy does not answer, the newest running replica is used.
    let (observed, state) = tokio::join!(context.engine.observe(&context.project.proxy.name), proxy.state());
    let observed = observed?;
    let record = state.ok().and_then(|state| {
        let key = format!("{}/{}", context.project.name, args.app).parse().ok()?;
        state.apps.get(&key)?.record.clone()
    });
    let container = choose(context, args, &observed, |name| record.as_ref().is_some_and(|record| record.serves(name)))?;

    let has_terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let terminal = (has_terminal && !args.no_tty).then(size);
    let request = ShellRequest { container: container.name.clone(), command: args.command.clone(), terminal };
    let shell = context.engine.shell(&request).await?;
    let id = shell.id.clone();
    // Resizing fails for a command that has just ended.
    let resize = async |columns, rows| drop(context.engine.resize_shell(&id, columns, rows).await);
    let raw = terminal.map(|_| RawTerminal::begin());
    let refusal = tokio::select! {
        biased;
        // As with docker: the command in the container loses its stdin and stdout, but is not stopped.
        () = context.signals.cancel.cancelled() => return Ok(context.signals.exit()),
        refusal = pass(shell, terminal.is_some(), resize) => refusal?,
    };
    let code = exit_code(context, &id).await?;
    drop(raw);
    if let Some(refusal) = refusal.filter(|_| CANNOT_RUN.contains(&code)) {
        let what = format!("`{}` cannot be run in `{}`", args.command[0], container.name);
        errln!("error: {what}: {}\n\nhint: name a command that is in the image", reason(&refusal));
    }
    // Every number may be the command's exit code, so `Exit` does not fit. A thread may still be reading stdin.
    std::process::exit(i32::try_from(code).unwrap_or(1));
}

fn choose<'a>(
    context: &Context,
    args: &ExecArgs,
    observed: &'a ObservedEngine,
    serves: impl Fn(&str) -> bool,
) -> Result<&'a ObservedContainer, Failure> {
    let project = &context.project;
    let accessories = project.accessories.keys().map(|name| name.as_str());
    let ours = observed.containers.iter().filter(|container| container.labels.project.as_ref() == Some(&project.name));
    let on_host = ours.clone().filter_map(|container| container.labels.service.as_ref()).map(|name| name.as_str());
    known_names(project, std::slice::from_ref(&args.app), accessories.chain(on_host))?;
    let named = |container: &&ObservedContainer| {
        !matches!(container.labels.role, Role::ReleaseCommand | Role::OneOff)
            && container.labels.service.as_ref().is_some_and(|service| service.as_str() == args.app)
    };
    let mut running: Vec<&ObservedContainer> =
        ours.filter(named).filter(|container| container.state == ContainerState::Running).collect();
    // Serving replicas first, then the newest release, then the lowest number.
    running.sort_by_key(|container| {
        let labels = &container.labels;
        (!serves(&container.name), std::cmp::Reverse(labels.release), labels.replica)
    });
    let wanted = running.iter().find(|container| {
        let labels = &container.labels;
        (args.release.is_none() || labels.release == args.release)
            && (args.replica.is_none() || labels.replica == args.replica)
    });
    wanted.copied().ok_or_else(|| {
        let release = args.release.map(|release| format!(" {release}")).unwrap_or_default();
        let replica = args.replica.map(|replica| format!(" number {replica}")).unwrap_or_default();
        let names: Vec<String> = running.iter().map(|container| format!("`{}`", container.name)).collect();
        let hint = match names.is_empty() {
            true => format!("`deploy-apps status {}` shows its state", args.app),
            false => format!("these run: {}", names.join(", ")),
        };
        Failure::new(Exit::Refused, format!("no replica{release}{replica} of `{}` runs", args.app)).hint(hint)
    })
}

async fn exit_code(context: &Context, id: &str) -> Result<i64, Failure> {
    let mut attempt = 1;
    loop {
        match context.engine.shell_exit(id).await {
            Err(_) if attempt < EXIT_ATTEMPTS => sleep(EXIT_INTERVAL).await,
            result => return Ok(result?),
        }
        attempt += 1;
    }
}

/// The last part of the runtime's error chain, which names the command.
pub(super) fn reason(refusal: &[u8]) -> String {
    let text = String::from_utf8_lossy(refusal);
    let text = text.trim().trim_end_matches(": unknown");
    text.rsplit(": exec: ").next().unwrap_or(text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_cause_of_the_runtime_is_shown() {
        let text = b"OCI runtime exec failed: exec failed: unable to start container process: exec: \"nope\": executable file not found in $PATH: unknown\r\n";
        assert_eq!(reason(text), "\"nope\": executable file not found in $PATH");
    }
}
