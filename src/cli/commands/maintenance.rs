//! `deploy-apps maintenance on|off APP…`

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};

use super::interrupted::carry_out;
use crate::cli::common::duration;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::local;
use crate::model::{Interruption, Page, TrustedProxy};

/// The most networks that the proxy takes.
const MOST_RANGES: usize = 256;
/// For clients that come again by themselves.
const LONGEST_RETRY: Duration = Duration::from_secs(86_400);

#[derive(Debug, Clone, Subcommand)]
pub enum MaintenanceCommand {
    /// Let the proxy answer the apps' requests with 503, until this is switched off
    ///
    /// Requests that are open finish. It stays on through deploys, rollbacks, restarts and the proxy's own; deploys
    /// check their new version as ever. On again with other options changes them.
    On(MaintenanceOnArgs),
    /// Let the apps answer again
    Off(MaintenanceOffArgs),
}

#[derive(Debug, Clone, Args)]
pub struct MaintenanceOnArgs {
    #[arg(value_name = "APP", required = true)]
    pub apps: Vec<String>,
    /// Clients that still get through: addresses, networks such as `203.0.113.0/24`, or `private`
    #[arg(long, value_name = "CIDR", value_delimiter = ',', value_parser = range)]
    pub allow: Vec<Allowed>,
    /// The page to answer with: an .html, .json or .txt file of at most 64 KiB; else a short one of the proxy's own
    #[arg(long, value_name = "FILE")]
    pub page: Option<PathBuf>,
    /// When clients are asked to come again (`Retry-After`)
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = retry)]
    pub retry_after: Duration,
}

#[derive(Debug, Clone, Args)]
pub struct MaintenanceOffArgs {
    #[arg(value_name = "APP", required = true)]
    pub apps: Vec<String>,
}

impl MaintenanceCommand {
    /// The apps named on the command line.
    pub fn apps(&self) -> &[String] {
        match self {
            Self::On(args) => &args.apps,
            Self::Off(args) => &args.apps,
        }
    }
}

/// One word of `--allow`, as networks.
#[derive(Debug, Clone)]
pub struct Allowed(Vec<String>);

/// Switches the maintenance of all the named apps, or of none.
pub async fn run(context: &Context, command: &MaintenanceCommand) -> Result<Exit, Failure> {
    let what = match command {
        MaintenanceCommand::On(args) => {
            let allow: Vec<String> = args.allow.iter().flat_map(|allowed| allowed.0.clone()).collect();
            if allow.len() > MOST_RANGES {
                let message = format!("`--allow` has {} networks, and at most {MOST_RANGES} are taken", allow.len());
                return Err(Failure::new(Exit::Usage, message).hint("join neighbouring networks into larger ones"));
            }
            let page = args.page.as_deref().map(page).transpose()?;
            Interruption::MaintenanceOn { retry_after: args.retry_after, allow, page }
        }
        MaintenanceCommand::Off(_) => Interruption::MaintenanceOff,
    };
    carry_out(context, command.apps(), &what).await
}

fn page(file: &Path) -> Result<Page, Failure> {
    let shown = file.display();
    let body = local::text(file, Page::LARGEST)
        .map_err(|error| Failure::new(Exit::Usage, format!("the page `{shown}` {error}")))?;
    Page::of(&file.to_string_lossy(), body).ok_or_else(|| {
        Failure::new(Exit::Usage, format!("the page `{shown}` is neither .html, .json nor .txt"))
            .hint("its ending says as what it is sent")
    })
}

fn range(text: &str) -> Result<Allowed, String> {
    if text == "private" {
        return Ok(Allowed(TrustedProxy::PRIVATE.map(str::to_owned).to_vec()));
    }
    match text.parse() {
        Ok(range @ TrustedProxy::Range { .. }) => Ok(Allowed(vec![range.to_string()])),
        _ => Err("an address, a network in CIDR form such as `203.0.113.0/24`, or `private`".to_owned()),
    }
}

fn retry(text: &str) -> Result<Duration, String> {
    let time = duration(text)?;
    let is_taken = (Duration::from_secs(1)..=LONGEST_RETRY).contains(&time);
    is_taken.then_some(time).ok_or_else(|| "from `1s` to `24h`".to_owned())
}
