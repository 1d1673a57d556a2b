//! The options that every command takes, and the values that several of them read.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::compose::{parse_bytes, parse_duration};
use crate::model::ReplicaCount;
use crate::report::Verbosity;

/// Options that every command takes.
#[derive(Debug, Clone, Args)]
pub struct CommonArgs {
    // The loader reads the variables itself, as it knows their formats.
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
    /// Activate this profile, `*` for all; default $COMPOSE_PROFILES
    #[arg(long = "profile", value_name = "NAME", global = true)]
    pub profiles: Vec<String>,
    // Not an option: named apps are active whatever their profiles are.
    #[arg(skip)]
    pub named: Vec<String>,
    // Not an option: a command that only reads needs no values, which may be missing on this machine.
    #[arg(skip)]
    pub deploys: bool,
    /// The project's name; else $COMPOSE_PROJECT_NAME, else `name:` of the compose file, else its folder's name
    /// For most commands it is enough where there is no file: they work with what the engine knows of the project
    #[arg(short, long, visible_alias = "project", value_name = "NAME", global = true)]
    pub project_name: Option<String>,
    /// The engine: `unix://…`, `tcp://host:port`, `https://…` or `ssh://user@host`; else $DOCKER_HOST, else the docker context
    #[arg(short = 'H', long, value_name = "URL", global = true, conflicts_with = "context")]
    pub host: Option<String>,
    /// The docker context to use; default $DOCKER_CONTEXT, else the one of `docker context use`
    #[arg(long, value_name = "CONTEXT", global = true)]
    pub context: Option<String>,
    /// Output format; by default text, or that of GitHub Actions or GitLab when run there
    #[arg(long, value_enum, global = true)]
    pub format: Option<Format>,
    /// How long to wait for another deploy of the same app, such as `30s` or `5m`
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = duration, global = true)]
    pub lock_wait: Duration,
    /// Give up after this long: undone before the flip, as with Ctrl-C; exit code 124
    #[arg(long, value_name = "TIME", value_parser = limit, global = true)]
    pub timeout: Option<Duration>,
    /// Print only warnings, errors and results
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Also print each step with its reason
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    pub verbose: bool,
    /// Bytes that must be free on the engine's disk before a build or pull, such as `500m`; else 1g or 5 % of the disk
    #[arg(long, value_name = "SIZE", env = "DEPLOY_APPS_MIN_FREE", value_parser = size, global = true)]
    pub min_free: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Live lines on a terminal, plain lines elsewhere
    Text,
    /// One JSON object, or one per line while something is changed
    Json,
    /// `config` only
    Yaml,
    /// GitHub Actions: groups, annotations, job summary and outputs
    Github,
    /// GitLab: folded sections
    Gitlab,
    /// A comment on a pull request; `plan` only
    Markdown,
}

impl CommonArgs {
    /// The requested format, or the default in this environment.
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

/// With a limit of 0 the run would be reported as cancelled.
fn limit(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("longer than zero, such as `10m`".to_owned()),
        limit => Ok(limit),
    }
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| "a duration with its unit, such as `10s`, `1m30s` or `250ms`".to_owned())
}

/// A number of replicas, or an error that says what is expected.
pub fn replicas(text: &str) -> Result<u32, String> {
    let count = text.parse().ok().filter(|count| *count <= ReplicaCount::MOST);
    count.ok_or_else(|| format!("give a whole number from 0 to {}", ReplicaCount::MOST))
}
