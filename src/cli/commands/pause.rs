//! `deploy-apps pause APP…` and `deploy-apps resume APP…`

use std::time::Duration;

use clap::Args;

use super::interrupted::carry_out;
use crate::cli::common::duration;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::model::{Interruption, Pause};

/// Let new requests of apps wait at the proxy; open ones finish
///
/// They go to the app when it is resumed, and at the latest when the time is over, which needs no command. An eighth of
/// the proxy's connections may wait for an app; beyond that requests get 503.
#[derive(Debug, Clone, Args)]
pub struct PauseArgs {
    #[arg(value_name = "APP", required = true)]
    pub apps: Vec<String>,
    /// For how long at most, up to 10m
    #[arg(long = "for", value_name = "TIME", default_value = "30s", value_parser = time)]
    pub time: Duration,
}

/// Let the requests of paused apps go on
#[derive(Debug, Clone, Args)]
pub struct ResumeArgs {
    #[arg(value_name = "APP", required = true)]
    pub apps: Vec<String>,
}

/// Pauses all the named apps, or none. A pause that lasts starts again.
pub async fn pause(context: &Context, args: &PauseArgs) -> Result<Exit, Failure> {
    carry_out(context, &args.apps, &Interruption::Pause(args.time)).await
}

/// Resumes all the named apps, or none.
pub async fn resume(context: &Context, args: &ResumeArgs) -> Result<Exit, Failure> {
    carry_out(context, &args.apps, &Interruption::Resume).await
}

fn time(text: &str) -> Result<Duration, String> {
    let time = duration(text)?;
    let is_taken = (Duration::from_millis(1)..=Duration::from_millis(Pause::LONGEST_MS)).contains(&time);
    is_taken.then_some(time).ok_or_else(|| "from `1ms` to `10m`".to_owned())
}
