//! The command line. Its help is what users read first, so it contains examples.

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use super::commands::again::{RestartArgs, StartArgs, StopArgs};
use super::commands::canary::{AbortArgs, PromoteArgs};
use super::commands::certificates::CertificatesArgs;
use super::commands::completions::CompletionsArgs;
use super::commands::config::ConfigArgs;
use super::commands::dashboard::DashboardArgs;
use super::commands::deploy::DeployArgs;
use super::commands::doctor::DoctorArgs;
use super::commands::down::DownArgs;
use super::commands::drain_test::DrainTestArgs;
use super::commands::exec::ExecArgs;
use super::commands::history::HistoryArgs;
use super::commands::init::InitArgs;
use super::commands::logs::LogsArgs;
use super::commands::ls::LsArgs;
use super::commands::maintenance::MaintenanceCommand;
use super::commands::man::ManArgs;
use super::commands::pause::{PauseArgs, ResumeArgs};
use super::commands::plan::PlanArgs;
use super::commands::proxy::ProxyCommand;
use super::commands::prune::PruneArgs;
use super::commands::remove::RemoveArgs;
use super::commands::rollback::RollbackArgs;
use super::commands::run::RunArgs;
use super::commands::scale::ScaleArgs;
use super::commands::schema::SchemaArgs;
use super::commands::status::StatusArgs;
use super::common::CommonArgs;
use super::exit::Exit;
use super::help;

const ABOUT: &str = "Replaces running versions of HTTP apps on a Docker host without dropping one request";

/// Additional text for `--help`.
fn after_long_help() -> String {
    format!(
        "{}\n\n{}\n\n{}\n\nAn app that is named like a command is deployed by `deploy-apps deploy NAME`.",
        after_help(),
        help::list("Environment", help::ENVIRONMENT),
        help::list("Files", help::FILES),
    )
}

/// The examples, then the table of exit codes.
fn after_help() -> String {
    let line = |exit: &Exit| format!("\n{:>5}  {}", *exit as u8, exit.meaning().replace('`', ""));
    help::EXAMPLES.to_owned() + &Exit::ALL.iter().map(line).collect::<String>()
}

#[derive(Debug, Parser)]
#[command(
    name = "deploy-apps",
    version,
    about = ABOUT,
    after_help = after_help(),
    after_long_help = after_long_help(),
    override_usage = "deploy-apps [OPTIONS] APP...\n       deploy-apps plan [OPTIONS] [APP...]\n       deploy-apps drain-test [OPTIONS] APP...\n       deploy-apps scale [OPTIONS] APP=N...\n       deploy-apps rollback [OPTIONS] APP [RELEASE]...\n       deploy-apps restart|stop|start [OPTIONS] SERVICE...\n       deploy-apps promote|abort [OPTIONS] APP\n       deploy-apps maintenance on|off [OPTIONS] APP...\n       deploy-apps pause|resume [OPTIONS] APP...\n       deploy-apps remove [OPTIONS] APP...\n       deploy-apps down [OPTIONS]\n       deploy-apps status|history|logs [OPTIONS] [APP]...\n       deploy-apps ls [OPTIONS]\n       deploy-apps dashboard [OPTIONS]\n       deploy-apps exec|run [OPTIONS] APP COMMAND...\n       deploy-apps prune [OPTIONS] [APP...]\n       deploy-apps doctor [OPTIONS]\n       deploy-apps proxy upgrade"
)]
pub struct Cli {
    #[command(flatten)]
    pub common: CommonArgs,
    #[command(flatten)]
    pub deploy: DeployArgs,
    #[command(subcommand)]
    pub command: Option<Command>,
}

impl Cli {
    /// Parses the arguments of this process. Global options may be before the command's name.
    ///
    /// # Errors
    /// With clap's error, also for `--help`.
    pub fn read() -> Result<Self, clap::Error> {
        let mut grammar = Self::command();
        let matches = grammar.try_get_matches_from_mut(std::env::args_os())?;
        // Options that only a deploy takes would otherwise be ignored when another command follows.
        if let Some(command) = matches.subcommand_name() {
            let given =
                |arg: &&clap::Arg| matches.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine);
            let own: Vec<&clap::Arg> = grammar.get_arguments().filter(|arg| !arg.is_global_set()).collect();
            if let Some(stray) = own.into_iter().find(given) {
                let message = format!("`{stray}` must stand after `{command}`, if that takes it");
                return Err(grammar.error(ErrorKind::ArgumentConflict, message));
            }
        }
        Self::from_arg_matches(&matches)
    }

    /// The command's name in traces and webhooks; `None` when it changes no app.
    pub fn operation(&self) -> Option<&'static str> {
        match &self.command {
            None | Some(Command::Deploy(_)) => Some("deploy"),
            Some(Command::Rollback(_)) => Some("rollback"),
            Some(Command::Scale(_)) => Some("scale"),
            Some(Command::Restart(_)) => Some("restart"),
            Some(Command::Stop(_)) => Some("stop"),
            Some(Command::Start(_)) => Some("start"),
            Some(Command::Down(_)) => Some("down"),
            Some(Command::Remove(_)) => Some("remove"),
            Some(
                Command::Abort(_)
                | Command::Certificates(_)
                | Command::Completions(_)
                | Command::Config(_)
                | Command::Dashboard(_)
                | Command::Doctor(_)
                | Command::DrainTest(_)
                | Command::Exec(_)
                | Command::History(_)
                | Command::Plan(_)
                | Command::Logs(_)
                | Command::Ls(_)
                | Command::Init(_)
                | Command::Maintenance(_)
                | Command::Man(_)
                | Command::Pause(_)
                | Command::Promote(_)
                | Command::Proxy(_)
                | Command::Prune(_)
                | Command::Resume(_)
                | Command::Run(_)
                | Command::Schema(_)
                | Command::Status(_),
            ) => None,
        }
    }
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Deploy apps; the same as naming them without a command
    Deploy(DeployArgs),
    /// Show what a deploy would do, without changing anything
    Plan(PlanArgs),
    /// Prove zero downtime: send load while the apps are redeployed, and count every failure
    DrainTest(Box<DrainTestArgs>),
    /// Print the effective configuration: files merged, variables interpolated, long forms, absolute paths
    Config(ConfigArgs),
    /// Remove apps: unroute, drain, stop and remove them
    Remove(RemoveArgs),
    /// Remove the whole project: its apps, then its accessories and networks
    Down(DownArgs),
    /// Show the state of the apps: releases, replicas, traffic, drift from the compose file, deploys in progress
    Status(StatusArgs),
    Ls(LsArgs),
    /// Serve a live status page for the browser, on this machine only
    Dashboard(DashboardArgs),
    /// Show what was deployed when, by whom and from where, and how it ended
    History(HistoryArgs),
    /// List the certificates that the proxy serves the project's hosts with, and how long they last; or `renew` them
    Certificates(CertificatesArgs),
    Rollback(RollbackArgs),
    Scale(ScaleArgs),
    Promote(PromoteArgs),
    Abort(AbortArgs),
    Restart(RestartArgs),
    Stop(StopArgs),
    Start(StartArgs),
    /// Let the proxy answer for apps with 503 while somebody works on them
    #[command(subcommand)]
    Maintenance(MaintenanceCommand),
    Pause(PauseArgs),
    Resume(ResumeArgs),
    /// Show the logs of the containers, of all replicas and releases, in order of time
    Logs(LogsArgs),
    /// Run a command in a replica that serves
    Exec(ExecArgs),
    Run(RunArgs),
    /// Write a first compose.yaml for the app in this folder
    Init(InitArgs),
    /// Print a JSON schema of an input or output format
    Schema(SchemaArgs),
    /// Print a shell completion script
    Completions(CompletionsArgs),
    /// Print the manual, or write its pages
    Man(ManArgs),
    /// Remove stopped containers, failed attempts and releases older than those kept for a rollback
    Prune(PruneArgs),
    /// Check everything a deploy relies on, and suggest fixes
    Doctor(DoctorArgs),
    /// Manage the host's proxy
    #[command(subcommand)]
    Proxy(ProxyCommand),
}

impl Cli {
    /// The apps named on the command line.
    pub fn named(&self) -> Vec<String> {
        match &self.command {
            None => self.deploy.named(),
            Some(Command::Deploy(args)) => args.named(),
            Some(Command::Plan(args)) => args.desired.apps.clone(),
            Some(Command::DrainTest(args)) => args.apps.clone(),
            Some(Command::History(args)) => args.apps.clone(),
            Some(Command::Remove(args)) => args.apps.clone(),
            Some(Command::Restart(args)) => args.apps.clone(),
            Some(Command::Stop(args)) => args.apps.clone(),
            Some(Command::Start(args)) => args.apps.clone(),
            Some(Command::Status(args)) => args.apps.clone(),
            Some(Command::Maintenance(command)) => command.apps().to_vec(),
            Some(Command::Pause(args)) => args.apps.clone(),
            Some(Command::Resume(args)) => args.apps.clone(),
            Some(Command::Logs(args)) => args.apps.clone(),
            Some(Command::Exec(args)) => vec![args.app.clone()],
            Some(Command::Run(args)) => vec![args.app.clone()],
            Some(Command::Promote(args)) => vec![args.app.clone()],
            Some(Command::Abort(args)) => vec![args.app.clone()],
            Some(Command::Scale(args)) => before_equals(&args.counts),
            Some(Command::Rollback(args)) => before_equals(&args.words),
            Some(_) => Vec::new(),
        }
    }

    /// Whether the command uses the values of the compose file, so that none may be missing.
    pub fn deploys(&self) -> bool {
        matches!(self.command, None | Some(Command::Deploy(_) | Command::Plan(_) | Command::DrainTest(_)))
    }
}

/// The apps in words such as `web=3`, `web=r7` or `web`. A release such as `r7` is not an app, so it activates no
/// profile.
fn before_equals(words: &[String]) -> Vec<String> {
    words.iter().map(|word| word.split('=').next().unwrap_or(word).to_owned()).collect()
}
