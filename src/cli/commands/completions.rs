//! `deploy-apps completions`: prints the script that makes a shell call this binary for completions.

use clap::{Args, ValueEnum};
use clap_complete::env::{Bash, Elvish, EnvCompleter, Fish, Powershell, Zsh};

use crate::cli::exit::{Exit, Failure};
use crate::cli::output;

/// The variable in which the shell's script passes the shell's name.
pub const VARIABLE: &str = "DEPLOY_APPS_COMPLETE";

#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Names of apps come from the compose file, releases from the proxy, at the moment of asking.

  bash   echo 'source <(deploy-apps completions bash)' >> ~/.bashrc
  zsh    echo 'source <(deploy-apps completions zsh)' >> ~/.zshrc       after `compinit`
  fish   deploy-apps completions fish > ~/.config/fish/completions/deploy-apps.fish")]
pub struct CompletionsArgs {
    /// For which shell
    #[arg(value_enum, value_name = "SHELL")]
    pub shell: Shell,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    Bash,
    Elvish,
    Fish,
    Powershell,
    Zsh,
}

/// Prints the script.
pub fn run(args: &CompletionsArgs) -> Result<Exit, Failure> {
    let shell: &dyn EnvCompleter = match args.shell {
        Shell::Bash => &Bash,
        Shell::Elvish => &Elvish,
        Shell::Fish => &Fish,
        Shell::Powershell => &Powershell,
        Shell::Zsh => &Zsh,
    };
    let mut script = Vec::new();
    shell
        .write_registration(VARIABLE, "deploy-apps", "deploy-apps", &called_as(), &mut script)
        .map_err(|error| Failure::new(Exit::Failed, format!("the script cannot be written: {error}")))?;
    output::result(&script)?;
    Ok(Exit::Done)
}

/// The name or path it was called by, so that a binary outside of PATH completes too.
fn called_as() -> String {
    let called = std::env::args_os().next().unwrap_or_default();
    let path = std::path::Path::new(&called);
    if path.components().count() < 2 {
        return "deploy-apps".to_owned();
    }
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).to_string_lossy().into_owned()
}
