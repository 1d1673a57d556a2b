//! Arguments, wiring, exit codes; each command has a file in [`commands`], with its arguments.

mod args;
mod commands;
mod confirm;
mod context;
mod crash;
mod exit;
mod failed;
mod listeners;
mod names;
mod origin;
mod signals;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use clap::CommandFactory;

pub use exit::Exit;

use args::{Cli, Command, Format};
use commands::{config, deploy, down, drain_test, history, proxy, remove, rollback, scale, status};
use context::Context;
use exit::Failure;
use listeners::Listeners;

/// The command line's grammar, for whoever makes something of it: completions, man pages, tests.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let started = Instant::now();
    let cli = match Cli::read() {
        Ok(cli) => cli,
        Err(error) => return failed::usage(&error),
    };
    let format = cli.common.format;
    // Several parts speak TLS, and each would ask for a provider of its own. An error says that there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: the runtime cannot start: {error}");
            return Exit::Failed.into();
        }
    };
    let listeners = Arc::new(Listeners::default());
    let result = runtime.block_on(dispatch(cli, &listeners));
    if let Err(failure) = &result {
        failed::tell(failure, format, started.elapsed());
    }
    runtime.block_on(listeners.close(&result));
    // A cancelled pull or a closed lease may still have a task; none of them holds anything that matters.
    runtime.shutdown_background();
    result.unwrap_or_else(|failure| failure.exit).into()
}

async fn dispatch(mut cli: Cli, listeners: &Arc<Listeners>) -> Result<Exit, Failure> {
    cli.common.named = cli.named().to_vec();
    if let Some(Command::Config(args)) = &cli.command {
        // It only reads files, so it works without an engine.
        return config::run(&cli.common, args);
    }
    if cli.common.format == Format::Yaml {
        return Err(Failure::new(Exit::Usage, "`--format yaml` is for `config` only").hint("use `text` or `json`"));
    }
    let context = Context::open(&cli.common).await?.heard_by(listeners, cli.operation());
    match cli.command {
        None => deploy::run(&context, &cli.deploy).await,
        Some(Command::Deploy(args)) => deploy::run(&context, &args).await,
        Some(Command::DrainTest(args)) => drain_test::run(&context, &args).await,
        Some(Command::Config(args)) => config::run(&cli.common, &args),
        Some(Command::Remove(args)) => remove::run(&context, &args).await,
        Some(Command::Down(args)) => down::run(&context, &args).await,
        Some(Command::Status(args)) => status::run(&context, &args).await,
        Some(Command::History(args)) => history::run(&context, &args).await,
        Some(Command::Rollback(args)) => rollback::run(&context, &args).await,
        Some(Command::Scale(args)) => scale::run(&context, &args).await,
        Some(Command::Proxy(command)) => proxy::run(&context, command).await,
    }
}
