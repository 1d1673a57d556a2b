//! `deploy-apps run APP COMMAND…`: runs a command in a new container.

use std::io::IsTerminal;

use clap::Args;

use super::exec::reason;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::names::known_apps;
use crate::cli::streams::{RawTerminal, pass, size};
use crate::event::{Event, Fact};
use crate::model::AppName;
use crate::plan::OneOff;
use crate::ports::{Engine as _, InspectEngine as _};
use crate::rollout::{DeployError, make_one_off, remove_one_off};

/// Run a command in a container of its own, made as the replicas that serve are made
///
/// It has the image, the environment, the networks, the secrets and the mounts of the release that serves, and none of
/// its traffic: the proxy never hears of it. Its streams, its terminal and its exit code are the command's own. It is
/// removed at the end; what a killed run leaves is removed by the next one, `prune` or `doctor --fix`, unless its command runs.
#[derive(Debug, Clone, Args)]
pub struct RunArgs {
    /// The app whose release it runs in
    #[arg(value_name = "APP")]
    pub app: String,
    /// Allocate no terminal
    #[arg(short = 'T', long)]
    pub no_tty: bool,
    /// The command with its arguments, in place of the service's `command`
    #[arg(value_name = "COMMAND", required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub command: Vec<String>,
}

/// Runs the command and exits with its exit code.
pub async fn run(context: &Context, args: &RunArgs) -> Result<Exit, Failure> {
    known_apps(&context.project, std::slice::from_ref(&args.app), std::iter::empty())?;
    let app: AppName =
        args.app.parse().map_err(|error: crate::model::InvalidName| Failure::new(Exit::Usage, error.to_string()))?;
    let terminal = !args.no_tty && std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let desired = OneOff { app: &app, command: &args.command, terminal, stdin: true };
    // Only the command's output is shown.
    let run = context.run_into(std::sync::Arc::new(|event: Event| {
        if let Fact::Warned { message } = event.fact {
            errln!("warning: {message}");
        }
    }));
    let made = make_one_off(&run, &context.project, &desired, &context.operator);
    let (name, lease) = made.await.map_err(|error| match error {
        DeployError::Setup(failure) => Failure { hint: failure.hint, ..Failure::new(Exit::Failed, failure.message) },
        error => error.into(),
    })?;
    let ended = attached(context, &name, terminal).await;
    if let Err(error) = remove_one_off(&run, &name).await {
        errln!("warning: container `{name}` is left: {error}");
    }
    drop(lease);
    match ended? {
        Ended::With(code) => std::process::exit(i32::try_from(code).unwrap_or(1)),
        Ended::Cancelled => Ok(context.signals.exit()),
        Ended::NotRun(message) => {
            let what = format!("`{}` cannot be run in `{}`", args.command[0], args.app);
            errln!("error: {what}: {}\n\nhint: name a command that is in the image", reason(message.as_bytes()));
            // The exit codes of a shell: 126 not executable, 127 not found.
            std::process::exit(if message.contains("permission denied") { 126 } else { 127 });
        }
    }
}

enum Ended {
    With(i64),
    Cancelled,
    /// The engine could not start it, for this reason.
    NotRun(String),
}

/// Starts the command with our streams attached, and waits for it to exit.
async fn attached(context: &Context, name: &str, terminal: bool) -> Result<Ended, Failure> {
    let engine = &context.engine;
    let shell = engine.attach(name).await?;
    if let Err(error) = engine.start_container(name).await {
        let is_command = [": exec: ", "executable file not found", "no such file or directory", "permission denied"];
        return match is_command.iter().any(|text| error.message.contains(text)) {
            true => Ok(Ended::NotRun(error.message)),
            false => Err(error.into()),
        };
    }
    let resize = async |columns, rows| drop(engine.resize_container(name, columns, rows).await);
    if terminal {
        let (columns, rows) = size();
        resize(columns, rows).await;
    }
    let raw = terminal.then(RawTerminal::begin);
    let working = async {
        // Wait for the exit from the start: a removed container has no exit code.
        let (passed, exit) = tokio::join!(pass(shell, terminal, resize), engine.await_exit(name));
        passed?;
        Ok(Ended::With(exit?.code))
    };
    let ended = tokio::select! {
        biased;
        () = context.signals.cancel.cancelled() => {
            // The command gets its stop signal and grace period, as with any stop.
            drop(engine.stop_container(name, None, None).await);
            Ok(Ended::Cancelled)
        }
        ended = working => ended,
    };
    drop(raw);
    ended
}
