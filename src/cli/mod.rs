//! Arguments, wiring, exit codes; each command has a file in [`commands`], with its arguments.

// Its macros are for all that follows.
#[macro_use]
mod say;

mod args;
mod commands;
mod complete;
mod confirm;
mod context;
mod crash;
mod environment;
mod exit;
mod failed;
mod far;
mod help;
mod listeners;
mod mistyped;
mod names;
mod origin;
mod published;
mod signals;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::CommandFactory;

pub use exit::Exit;

use args::{Cli, Command, Format};
use commands::{
    completions, config, dashboard, deploy, doctor, down, drain_test, exec, history, init, logs, man, plan, proxy,
    prune, remove, rollback, scale, schema, status,
};
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
    if complete::is_asked() {
        complete::answer();
        return ExitCode::SUCCESS;
    }
    let started = Instant::now();
    let cli = match Cli::read() {
        Ok(cli) => cli,
        Err(error) => return failed::usage(&error),
    };
    let format = cli.common.format();
    let limit = cli.common.timeout;
    // Several parts speak TLS, and each would ask for a provider of its own. An error says that there is one already.
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
        failed::tell(failure, format, started.elapsed());
    }
    runtime.block_on(listeners.close(&result));
    // A cancelled pull or a closed lease may still have a task; none of them holds anything that matters.
    runtime.shutdown_background();
    result.unwrap_or_else(|failure| failure.exit).into()
}

/// The end by `--timeout` looks like one by a signal; it has words of its own.
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
    // What only reads files works without an engine.
    match &cli.command {
        Some(Command::Config(args)) => return config::run(&cli.common, args),
        Some(Command::Completions(args)) => return completions::run(args),
        Some(Command::Init(args)) => return init::run(&cli.common, args),
        Some(Command::Man(args)) => return man::run(args),
        Some(Command::Schema(args)) => return schema::run(args),
        _ => {}
    }
    if cli.common.format == Some(Format::Yaml) {
        return Err(Failure::new(Exit::Usage, "`--format yaml` is for `config` only").hint("use `text` or `json`"));
    }
    if cli.common.format == Some(Format::Markdown) && !matches!(cli.command, Some(Command::Plan(_))) {
        return Err(Failure::new(Exit::Usage, "only `plan` can be told in Markdown")
            .hint("use `--format text` or `--format json`"));
    }
    if let Some(Command::Doctor(args)) = &cli.command {
        // What is missing is what it looks for.
        return doctor::run(&cli.common, *args).await;
    }
    let context = Context::open(&cli.common).await;
    let context =
        context.map_err(|failure| mistyped::without_file(failure, &cli))?.heard_by(listeners, cli.operation());
    match cli.command {
        None => {
            mistyped::command(&context.project, &cli.deploy.wish.apps)?;
            deploy::run(&context, &cli.deploy).await
        }
        Some(Command::Deploy(args)) => deploy::run(&context, &args).await,
        Some(Command::Dashboard(args)) => dashboard::run(context, &cli.common, args).await,
        Some(Command::DrainTest(args)) => drain_test::run(&context, &args).await,
        Some(Command::Config(args)) => config::run(&cli.common, &args),
        Some(Command::Completions(args)) => completions::run(&args),
        Some(Command::Init(args)) => init::run(&cli.common, &args),
        Some(Command::Man(args)) => man::run(&args),
        Some(Command::Schema(args)) => schema::run(&args),
        Some(Command::Remove(args)) => remove::run(&context, &args).await,
        Some(Command::Prune(args)) => prune::run(&context, &args).await,
        Some(Command::Doctor(args)) => doctor::run(&cli.common, args).await,
        Some(Command::Down(args)) => down::run(&context, &args).await,
        Some(Command::Status(args)) => status::run(&context, &args).await,
        Some(Command::Logs(args)) => logs::run(&context, &args).await,
        Some(Command::Exec(args)) => exec::run(&context, &args).await,
        Some(Command::History(args)) => history::run(&context, &args).await,
        Some(Command::Rollback(args)) => rollback::run(&context, &args).await,
        Some(Command::Scale(args)) => scale::run(&context, &args).await,
        Some(Command::Plan(args)) => plan::run(&context, &args).await,
        Some(Command::Proxy(command)) => proxy::run(&context, command).await,
    }
}
