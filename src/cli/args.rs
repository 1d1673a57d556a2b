//! The command line. Its help is the first documentation that a user reads, so it teaches by example.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::compose::parse_duration;

const ABOUT: &str = "Replaces running versions of HTTP apps on a Docker host without dropping one request";

const EXAMPLES: &str = "\
Examples:
  deploy-apps go-app node-app             deploy what has changed; both apps beside each other
  deploy-apps go-app --force              redeploy although nothing has changed
  deploy-apps go-app node-app --atomic    flip both in one call, or neither
  deploy-apps drain-test go-app --deploys 3 --clients 64 --sleep-path '/sleep?for=25s'
                                          prove that redeploys lose no request

Each app of compose.yaml with an `x-deploy-apps` block can be named. A deploy builds or pulls the new
version, starts it beside the old one, waits until the proxy sees it healthy, flips the proxy to it in
one acknowledged call, lets the old version finish its open requests, and only then stops it. Until the
flip any failure leaves the old version as it was.

Exit codes:
  0  done, or nothing to do          6  the wish cannot be planned
  1  failed and undone; the old      7  engine not reachable, not permitted or too old
     version serves as before        8  proxy not reachable, or of another version
  2  wrong use of the command line   9  another deploy holds the lease
  3  done, something old is left    10  drain-test saw a failed request
  4  stuck: a human must look      130  ended by SIGINT, 143 by SIGTERM
  5  compose file not valid";

#[derive(Debug, Parser)]
#[command(
    name = "deploy-apps",
    version,
    about = ABOUT,
    after_help = EXAMPLES,
    args_conflicts_with_subcommands = true,
    override_usage = "deploy-apps [OPTIONS] APP...\n       deploy-apps drain-test [OPTIONS] APP...\n       deploy-apps proxy upgrade"
)]
pub struct Cli {
    #[command(flatten)]
    pub common: CommonArgs,
    #[command(flatten)]
    pub deploy: DeployArgs,
    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Deploy apps: the same as naming them right away
    Deploy(DeployArgs),
    /// Prove zero downtime: send load while the apps are redeployed, and count every failure
    DrainTest(Box<DrainTestArgs>),
    /// Look after the host's proxy
    #[command(subcommand)]
    Proxy(ProxyCommand),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
pub enum ProxyCommand {
    /// Replace the proxy by the one of this deploy-apps; routes and history stay
    Upgrade,
}

/// Options that every command takes.
#[derive(Debug, Clone, Args)]
pub struct CommonArgs {
    // The loader reads the variables itself: it knows what they may hold.
    /// The compose file; else $COMPOSE_FILE, else compose.yaml here or in a folder above
    #[arg(short, long, value_name = "FILE", global = true)]
    pub file: Option<PathBuf>,
    /// The project's name; else $COMPOSE_PROJECT_NAME, else `name:` of the compose file, else its folder's name
    #[arg(short, long, value_name = "NAME", global = true)]
    pub project_name: Option<String>,
    /// How to report
    #[arg(long, value_enum, default_value_t = Format::Text, global = true)]
    pub format: Format,
    /// How long to wait for another deploy of the same app, such as `30s` or `5m`
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = duration, global = true)]
    pub lock_wait: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people: live lines on a terminal, plain lines elsewhere
    Text,
    /// For programs: one JSON object a line
    Json,
}

#[derive(Debug, Clone, Args)]
pub struct DeployArgs {
    /// The apps to deploy
    #[arg(value_name = "APP")]
    pub apps: Vec<String>,
    /// Deploy every app of the compose file
    #[arg(long, conflicts_with = "apps")]
    pub all: bool,
    /// Redeploy also what has not changed
    #[arg(long)]
    pub force: bool,
    /// Flip all named apps in one call, or none of them
    #[arg(long)]
    pub atomic: bool,
}

#[derive(Debug, Clone, Args)]
pub struct DrainTestArgs {
    /// The apps to redeploy under load
    #[arg(value_name = "APP", required = true)]
    pub apps: Vec<String>,
    /// How many redeploys, one after the other
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub deploys: u32,
    /// Raw keep-alive clients per app, half GET and half POST; they never retry
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub clients: u32,
    /// Time between two requests of a client
    #[arg(long, value_name = "TIME", default_value = "10ms", value_parser = duration)]
    pub gap: Duration,
    /// Asked with GET; any 2xx counts
    #[arg(long, value_name = "PATH", default_value = "/")]
    pub get_path: String,
    /// Asked with POST and a small body; any 2xx counts. Without it the clients send only GET
    #[arg(long, value_name = "PATH")]
    pub post_path: Option<String>,
    /// Asked by clients that wait long for their answer, such as `/sleep?for=25s`
    #[arg(long, value_name = "PATH")]
    pub sleep_path: Option<String>,
    /// A WebSocket that echoes
    #[arg(long, value_name = "PATH")]
    pub websocket_path: Option<String>,
    /// A stream of server-sent events
    #[arg(long, value_name = "PATH")]
    pub events_path: Option<String>,
    /// Takes a large body that trickles in
    #[arg(long, value_name = "PATH")]
    pub upload_path: Option<String>,
    /// Clients of each long kind (sleep, WebSocket, events, upload) per app
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub long_clients: u32,
    /// How long a WebSocket or an event stream is kept before its client leaves and comes again
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub stream_for: Duration,
    /// Load without a deploy, before the first and after the last one
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    pub steady: Duration,
    /// Go on after the last deploy until this many requests were sent
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub min_requests: u64,
    /// The longest time for all of it
    #[arg(long, value_name = "TIME", default_value = "2h", value_parser = duration)]
    pub limit: Duration,
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| "a duration with its unit, such as `10s`, `1m30s` or `250ms`".to_owned())
}
