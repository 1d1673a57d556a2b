//! Arguments, wiring and exit codes. Each command has a file in [`commands`].

// First, as its macros are used in the modules below.
#[macro_use]
mod output;

mod ahead;
mod args;
mod commands;
mod common;
mod complete;
mod confirm;
mod context;
mod crash;
mod engine;
mod environment;
mod error_report;
mod exit;
mod help;
mod listeners;
mod memory;
mod names;
mod origin;
mod published;
mod remote;
mod signals;
mod streams;
mod suggest;

use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::CommandFactory;

pub use exit::Exit;

use args::{Cli, Command};
use commands::{
    again, canary, certificates, completions, config, dashboard, deploy, doctor, down, drain_test, exec, history, init,
    logs, ls, maintenance, man, pause, plan, proxy, prune, remove, rollback, run, scale, schema, status,
};
use common::Format;
use context::{Basis, Context};
use exit::Failure;
use listeners::Listeners;

use crate::model::CanaryOrder;
use crate::plan::Intent;

/// The grammar of the command line, for completions, man pages and tests.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    if complete::is_asked() {
        complete::answer();
        return ExitCode::SUCCESS;
    }
    let started = Instant::now();
    let cli = match Cli::read() {
        Ok(cli) => cli,
        Err(error) => return error_report::usage(&error),
    };
    let format = cli.common.format();
    let limit = cli.common.timeout;
    // Several crates use TLS and need a process-wide provider. An error means that one is already installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            errln!("error: the runtime cannot start: {error}");
            return Exit::Failed.into();
        }
    };
    let listeners = Arc::new(Listeners::default());
    let result = timed_out(runtime.block_on(dispatch(cli, &listeners)), limit);
    if let Err(failure) = &result {
        error_report::tell(failure, format, started.elapsed());
    }
    runtime.block_on(listeners.close(&result));
    // Tasks of a cancelled pull or a closed lease may remain; they hold nothing important.
    runtime.shutdown_background();
    result.unwrap_or_else(|failure| failure.exit).into()
}

/// `--timeout` ends a run like a signal, but has its own message.
fn timed_out(result: Result<Exit, Failure>, limit: Option<Duration>) -> Result<Exit, Failure> {
    match (&result, limit) {
        (Ok(Exit::TimedOut), Some(limit)) => {
            let message = format!("not done within {limit:?}, so it was cancelled");
            Err(Failure::new(Exit::TimedOut, message)
                .hint("see above what serves; give it more time with `--timeout`, and run it again"))
        }
        _ => result,
    }
}

async fn dispatch(mut cli: Cli, listeners: &Arc<Listeners>) -> Result<Exit, Failure> {
    cli.common.named = cli.named();
    cli.common.deploys = cli.deploys();
    environment::check(std::env::vars_os())?;
    check_format(&cli)?;
    let operation = cli.operation();
    // A word without a command may be a mistyped command.
    let word = cli.deploy.desired.apps.first().filter(|_| cli.command.is_none()).cloned();
    let common = &cli.common;
    let basis = basis(cli.command.as_ref());
    let open = boxed(|| async {
        let context = Context::open(common, basis).await;
        let context = context.map_err(|failure| suggest::without_file(failure, word.as_deref()))?;
        Ok::<_, Failure>(context.observed_by(listeners, operation))
    });
    match cli.command {
        None => {
            let context = open.await?;
            suggest::command(&context.project, &cli.deploy.desired.apps)?;
            boxed(|| deploy::run(&context, &cli.deploy)).await
        }
        // These commands do not use the engine.
        Some(Command::Config(args)) => config::run(common, &args),
        Some(Command::Completions(args)) => completions::run(&args),
        Some(Command::Init(args)) => init::run(common, &args),
        Some(Command::Man(args)) => man::run(&args, command()),
        Some(Command::Schema(args)) => schema::run(&args),
        // Doctor reports missing parts itself.
        Some(Command::Doctor(args)) => boxed(|| doctor::run(common, args)).await,
        Some(Command::Ls(args)) => boxed(|| ls::run(common, args)).await,
        Some(Command::Deploy(args)) => boxed(|| async { deploy::run(&open.await?, &args).await }).await,
        Some(Command::Plan(args)) => boxed(|| async { plan::run(&open.await?, &args).await }).await,
        Some(Command::DrainTest(args)) => boxed(|| async { drain_test::run(&open.await?, &args).await }).await,
        Some(Command::Proxy(command)) => boxed(|| async { proxy::run(&open.await?, command).await }).await,
        Some(Command::Dashboard(args)) => boxed(|| async { dashboard::run(open.await?, common, args).await }).await,
        Some(Command::Status(args)) => boxed(|| async { status::run(&open.await?, &args).await }).await,
        Some(Command::Logs(args)) => boxed(|| async { logs::run(&open.await?, &args).await }).await,
        Some(Command::Exec(args)) => boxed(|| async { exec::run(&open.await?, &args).await }).await,
        Some(Command::Run(args)) => boxed(|| async { run::run(&open.await?, &args).await }).await,
        Some(Command::History(args)) => boxed(|| async { history::run(&open.await?, &args).await }).await,
        Some(Command::Certificates(args)) => boxed(|| async { certificates::run(&open.await?, &args).await }).await,
        Some(Command::Rollback(args)) => boxed(|| async { rollback::run(&open.await?, &args).await }).await,
        Some(Command::Scale(args)) => boxed(|| async { scale::run(&open.await?, &args).await }).await,
        Some(Command::Maintenance(command)) => boxed(|| async { maintenance::run(&open.await?, &command).await }).await,
        Some(Command::Pause(args)) => boxed(|| async { pause::pause(&open.await?, &args).await }).await,
        Some(Command::Resume(args)) => boxed(|| async { pause::resume(&open.await?, &args).await }).await,
        Some(Command::Promote(args)) => {
            boxed(|| async { canary::run(&open.await?, &args.app, CanaryOrder::Promote).await }).await
        }
        Some(Command::Abort(args)) => {
            boxed(|| async { canary::run(&open.await?, &args.app, CanaryOrder::Abort).await }).await
        }
        Some(Command::Restart(args)) => {
            boxed(|| async { again::run(&open.await?, &args.apps, Intent::Restart).await }).await
        }
        Some(Command::Stop(args)) => boxed(|| async { again::run(&open.await?, &args.apps, Intent::Stop).await }).await,
        Some(Command::Start(args)) => {
            boxed(|| async { again::run(&open.await?, &args.apps, Intent::Start).await }).await
        }
        Some(Command::Remove(args)) => boxed(|| async { remove::run(&open.await?, &args).await }).await,
        Some(Command::Prune(args)) => boxed(|| async { prune::run(&open.await?, &args).await }).await,
        Some(Command::Down(args)) => boxed(|| async { down::run(&open.await?, &args).await }).await,
    }
}

/// What a command needs to know of its project.
fn basis(command: Option<&Command>) -> Basis {
    match command {
        None
        | Some(
            Command::Deploy(_) | Command::Plan(_) | Command::DrainTest(_) | Command::Proxy(_) | Command::Dashboard(_),
        ) => Basis::File,
        // The other commands only need what is on the engine.
        Some(_) => Basis::Memory,
    }
}

/// Boxes a command's future. In debug builds the caller's stack frame would otherwise have room for the futures of all
/// commands, several megabytes.
fn boxed<'a, F: Future + 'a>(make: impl FnOnce() -> F) -> Pin<Box<dyn Future<Output = F::Output> + 'a>> {
    Box::pin(make())
}

/// Two of the formats are for a single command each.
fn check_format(cli: &Cli) -> Result<(), Failure> {
    let reads_files = matches!(
        cli.command,
        Some(Command::Config(_) | Command::Completions(_) | Command::Init(_) | Command::Man(_) | Command::Schema(_))
    );
    match cli.common.format {
        Some(Format::Yaml) if !reads_files => {
            Err(Failure::new(Exit::Usage, "`--format yaml` is for `config` only").hint("use `text` or `json`"))
        }
        Some(Format::Markdown) if !reads_files && !matches!(cli.command, Some(Command::Plan(_))) => {
            Err(Failure::new(Exit::Usage, "`--format markdown` works with `plan` only")
                .hint("use `--format text` or `--format json`"))
        }
        _ => Ok(()),
    }
}
