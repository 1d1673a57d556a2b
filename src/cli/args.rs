//! The command line. Its help is the first documentation that a user reads, so it teaches by example.

use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use super::commands::again::{RestartArgs, StartArgs, StopArgs};
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
use super::commands::man::ManArgs;
use super::commands::plan::PlanArgs;
use super::commands::proxy::ProxyCommand;
use super::commands::prune::PruneArgs;
use super::commands::remove::RemoveArgs;
use super::commands::rollback::RollbackArgs;
use super::commands::run::RunArgs;
use super::commands::scale::ScaleArgs;
use super::commands::schema::SchemaArgs;
use super::commands::status::StatusArgs;
use super::exit::Exit;
use super::help;
use crate::compose::{parse_bytes, parse_duration};
use crate::report::Verbosity;

const ABOUT: &str = "Replaces running versions of HTTP apps on a Docker host without dropping one request";

pub(super) const EXAMPLES: &str = "\
Examples:
  deploy-apps go-app node-app             deploy what has changed; both apps beside each other
  deploy-apps go-app --force              redeploy although nothing has changed
  deploy-apps go-app node-app --atomic    flip both in one call, or neither
  deploy-apps scale go-app=4 node-app=1   more or fewer replicas of what serves
  deploy-apps rollback go-app             back to the release that served before
  deploy-apps restart go-app              the same release in new containers, without a lost request
  deploy-apps plan                        show what a deploy of every app would do; exit code 11 for changes
  deploy-apps drain-test go-app --deploys 3 --clients 64 --sleep-path '/sleep?for=25s'
                                          prove that redeploys lose no request
  deploy-apps status --watch              how everything stands, again every second
  deploy-apps ls --routes                 every project on the engine, and who has which host; no file needed
  deploy-apps dashboard                   the same and more as a live page in the browser
  deploy-apps logs go-app -f              all replicas, and those that the next deploys bring
  deploy-apps exec go-app -- env          in a replica that serves
  deploy-apps run go-app ./migrate        in a container of its own, made as the replicas are

Each app of compose.yaml can be named: each service with an `x-deploy-apps` block. A deploy builds or pulls the new
version, starts it beside the old one, waits until the proxy sees it healthy, flips the proxy to it in
one acknowledged call, lets the old version finish its open requests, and only then stops it. Until the
flip any failure leaves the old version as it was. Other services are accessories, such as a database:
an app's deploy creates those that it needs, and one that is named itself is replaced if it has changed.

Exit codes:";

/// With `--help`, what else there is to know.
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
    EXAMPLES.to_owned() + &Exit::ALL.iter().map(line).collect::<String>()
}

#[derive(Debug, Parser)]
#[command(
    name = "deploy-apps",
    version,
    about = ABOUT,
    after_help = after_help(),
    after_long_help = after_long_help(),
    override_usage = "deploy-apps [OPTIONS] APP...\n       deploy-apps plan [OPTIONS] [APP...]\n       deploy-apps drain-test [OPTIONS] APP...\n       deploy-apps scale [OPTIONS] APP=N...\n       deploy-apps rollback [OPTIONS] APP [RELEASE]...\n       deploy-apps restart|stop|start [OPTIONS] SERVICE...\n       deploy-apps remove [OPTIONS] APP...\n       deploy-apps down [OPTIONS]\n       deploy-apps status|history|logs [OPTIONS] [APP]...\n       deploy-apps ls [OPTIONS]\n       deploy-apps dashboard [OPTIONS]\n       deploy-apps exec|run [OPTIONS] APP COMMAND...\n       deploy-apps prune [OPTIONS] [APP...]\n       deploy-apps doctor [OPTIONS]\n       deploy-apps proxy upgrade"
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
    /// What this process was asked. Options that all commands take may stand before the command's name.
    ///
    /// # Errors
    /// With clap's own words, also for `--help`.
    pub fn read() -> Result<Self, clap::Error> {
        let mut grammar = Self::command();
        let matches = grammar.try_get_matches_from_mut(std::env::args_os())?;
        // What only a deploy takes would be dropped in silence before the name of another command.
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

    /// The name under which traces and webhooks know this command; `None` when it changes no app.
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
                Command::Completions(_)
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
                | Command::Man(_)
                | Command::Proxy(_)
                | Command::Prune(_)
                | Command::Run(_)
                | Command::Schema(_)
                | Command::Status(_),
            ) => None,
        }
    }
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Deploy apps: the same as naming them right away
    Deploy(DeployArgs),
    /// Show what a deploy would do, and change nothing
    Plan(PlanArgs),
    /// Prove zero downtime: send load while the apps are redeployed, and count every failure
    DrainTest(Box<DrainTestArgs>),
    /// Print the compose files as they are understood: merged, interpolated, with long forms and absolute paths
    Config(ConfigArgs),
    /// Take apps away: out of the proxy, drained, stopped, removed
    Remove(RemoveArgs),
    /// Take the whole project away: its apps, then its accessories and networks
    Down(DownArgs),
    /// How the apps stand: releases, replicas, traffic, drift from the compose file, who deploys
    Status(StatusArgs),
    Ls(LsArgs),
    /// A page for the browser that shows all of it live, on this machine only
    Dashboard(DashboardArgs),
    /// What was deployed when, by whom and from where, and how it ended
    History(HistoryArgs),
    Rollback(RollbackArgs),
    Scale(ScaleArgs),
    Restart(RestartArgs),
    Stop(StopArgs),
    Start(StartArgs),
    /// What the containers write, over all replicas and releases, in the order of time
    Logs(LogsArgs),
    /// Run a command in a replica that serves
    Exec(ExecArgs),
    Run(RunArgs),
    /// Write a first compose.yaml for the app in this folder
    Init(InitArgs),
    /// Print the schema of what is read or written: for editors, and for programs
    Schema(SchemaArgs),
    /// Print the script that makes a shell complete commands, apps and releases
    Completions(CompletionsArgs),
    /// Print the manual, or write its pages
    Man(ManArgs),
    /// Remove stopped containers, failed attempts and releases older than those kept for a rollback
    Prune(PruneArgs),
    /// Look at everything that a deploy relies on, and say what mends what is wrong
    Doctor(DoctorArgs),
    /// Look after the host's proxy
    #[command(subcommand)]
    Proxy(ProxyCommand),
}

/// Options that every command takes.
#[derive(Debug, Clone, Args)]
pub struct CommonArgs {
    // The loader reads the variables itself: it knows what they may hold.
    /// A compose file, `-` for the standard input; several are merged. Else $COMPOSE_FILE, else compose.yaml and
    /// compose.override.yaml here or in a folder above
    #[arg(short, long = "file", value_name = "FILE", global = true)]
    pub files: Vec<PathBuf>,
    /// Where relative paths start; else the folder of the first compose file
    #[arg(long, value_name = "FOLDER", global = true)]
    pub project_directory: Option<PathBuf>,
    /// A file with variables, instead of `.env`; a later one wins
    #[arg(long = "env-file", value_name = "FILE", global = true)]
    pub env_files: Vec<PathBuf>,
    /// Let services of this profile take part, `*` for all; else $COMPOSE_PROFILES
    #[arg(long = "profile", value_name = "NAME", global = true)]
    pub profiles: Vec<String>,
    // Not an option: what the command names takes part whatever its profiles are.
    #[arg(skip)]
    pub named: Vec<String>,
    // Nor this: what only looks needs no values that may be on another machine.
    #[arg(skip)]
    pub deploys: bool,
    /// The project's name; else $COMPOSE_PROJECT_NAME, else `name:` of the compose file, else its folder's name
    /// For most commands it is enough where there is no file: they work with what the engine knows of the project
    #[arg(short, long, visible_alias = "project", value_name = "NAME", global = true)]
    pub project_name: Option<String>,
    /// The engine: `unix://…`, `tcp://host:port`, `https://…` or `ssh://user@host`; else $DOCKER_HOST, else the docker context
    #[arg(short = 'H', long, value_name = "URL", global = true, conflicts_with = "context")]
    pub host: Option<String>,
    /// The docker context whose engine is meant; else $DOCKER_CONTEXT, else the one of `docker context use`
    #[arg(long, value_name = "CONTEXT", global = true)]
    pub context: Option<String>,
    /// How to report; without it for people, and in the way of GitHub Actions or GitLab where one of them runs this
    #[arg(long, value_enum, global = true)]
    pub format: Option<Format>,
    /// How long to wait for another deploy of the same app, such as `30s` or `5m`
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = duration, global = true)]
    pub lock_wait: Duration,
    /// Give up after this long: undone before the flip, as with Ctrl-C; exit code 124
    #[arg(long, value_name = "TIME", value_parser = limit, global = true)]
    pub timeout: Option<Duration>,
    /// Say only warnings, errors and results
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Say each step with its reason, too
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    pub verbose: bool,
    /// Bytes that must be free on the engine's disk before a build or pull, such as `500m`; else 1g or 5 % of the disk
    #[arg(long, value_name = "SIZE", env = "DEPLOY_APPS_MIN_FREE", value_parser = size, global = true)]
    pub min_free: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people: live lines on a terminal, plain lines elsewhere
    Text,
    /// For programs: one JSON object, or one a line while something is changed
    Json,
    /// For `config` only, whose text this is
    Yaml,
    /// For the log of GitHub Actions: groups, annotations, job summary and outputs
    Github,
    /// For the log of GitLab: folded sections
    Gitlab,
    /// For a comment on a pull request; `plan` only
    Markdown,
}

impl Cli {
    /// The apps that the command names.
    pub fn named(&self) -> Vec<String> {
        match &self.command {
            None => self.deploy.named(),
            Some(Command::Deploy(args)) => args.named(),
            Some(Command::Plan(args)) => args.wish.apps.clone(),
            Some(Command::DrainTest(args)) => args.apps.clone(),
            Some(Command::History(args)) => args.apps.clone(),
            Some(Command::Remove(args)) => args.apps.clone(),
            Some(Command::Restart(args)) => args.apps.clone(),
            Some(Command::Stop(args)) => args.apps.clone(),
            Some(Command::Start(args)) => args.apps.clone(),
            Some(Command::Status(args)) => args.apps.clone(),
            Some(Command::Logs(args)) => args.apps.clone(),
            Some(Command::Exec(args)) => vec![args.app.clone()],
            Some(Command::Run(args)) => vec![args.app.clone()],
            Some(Command::Scale(args)) => before_equals(&args.counts),
            Some(Command::Rollback(args)) => before_equals(&args.words),
            Some(_) => Vec::new(),
        }
    }

    /// Whether the command makes something of the compose file, so that every value must be here.
    pub fn deploys(&self) -> bool {
        matches!(self.command, None | Some(Command::Deploy(_) | Command::Plan(_) | Command::DrainTest(_)))
    }
}

/// The apps of words such as `web=3`, `web=r7` or `web`. A release such as `r7` names no app, and so activates nothing.
fn before_equals(words: &[String]) -> Vec<String> {
    words.iter().map(|word| word.split('=').next().unwrap_or(word).to_owned()).collect()
}

impl CommonArgs {
    /// The format that was asked for, else that of the place this runs in.
    pub fn format(&self) -> Format {
        let is_true = |name| std::env::var(name).is_ok_and(|value| value == "true");
        match self.format {
            Some(format) => format,
            None if is_true("GITHUB_ACTIONS") => Format::Github,
            None if is_true("GITLAB_CI") => Format::Gitlab,
            None => Format::Text,
        }
    }

    pub fn verbosity(&self) -> Verbosity {
        match (self.quiet, self.verbose) {
            (true, _) => Verbosity::Quiet,
            (_, true) => Verbosity::Verbose,
            _ => Verbosity::Normal,
        }
    }
}

fn size(text: &str) -> Result<u64, String> {
    let bytes = parse_bytes(text).and_then(|bytes| u64::try_from(bytes).ok());
    bytes.ok_or_else(|| "a size in bytes or with its unit, such as `500m` or `2g`".to_owned())
}

/// A run that is over before it began would be told as one that was cancelled.
fn limit(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("longer than zero, such as `10m`".to_owned()),
        limit => Ok(limit),
    }
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| "a duration with its unit, such as `10s`, `1m30s` or `250ms`".to_owned())
}
