//! `deploy-apps config`: the compose files as they are understood.

use clap::Args;

use crate::cli::args::CommonArgs;
use crate::cli::context::load_request;
use crate::cli::exit::{Exit, Failure};
use crate::compose;

#[derive(Debug, Clone, Args)]
pub struct ConfigArgs {
    /// Only say what is wrong
    #[arg(short, long)]
    pub quiet: bool,
}

/// Reads the files; no engine is asked.
pub fn run(common: &CommonArgs, _args: &ConfigArgs) -> Result<Exit, Failure> {
    let loaded = compose::load(&load_request(common)?)?;
    for warning in &loaded.warnings {
        eprintln!("{warning}");
    }
    Ok(Exit::Done)
}
