//! The arguments of `init`.

use std::path::PathBuf;

use clap::Args;

use crate::model::AppName;

#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  deploy-apps init                          write compose.yaml for the Dockerfile here, or for those below
  deploy-apps init --print                  only show it
  deploy-apps init --dockerfile             write a Dockerfile as well (Go, Node.js, Python)
  deploy-apps init --host shop.example.com --port 3000
  deploy-apps init --write                  where there is a compose file: write compose.override.yaml

A compose file that is there is never changed. Then an override is printed: loaded together with the file, it makes apps
of the services that can be apps, and what it cannot take away is named. `--write` saves it.")]
pub struct InitArgs {
    /// The app's name; else the folder's
    #[arg(long, value_name = "NAME")]
    pub name: Option<AppName>,
    /// Where the app listens inside its container; else EXPOSE of the Dockerfile
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
    /// The host name that users will ask for; else <name>.localhost
    #[arg(long, value_name = "HOST")]
    pub host: Option<String>,
    /// Write a Dockerfile where there is none
    #[arg(long)]
    pub dockerfile: bool,
    /// Show what would be written, and write nothing
    #[arg(long, conflicts_with = "write")]
    pub print: bool,
    /// Save the override of the compose file that is there [default: compose.override.yaml]
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "compose.override.yaml")]
    pub write: Option<PathBuf>,
}
