//! Apps are named right away, so a mistyped command looks like an app.

use clap::CommandFactory;

use super::args::Cli;
use super::exit::{Exit, Failure};
use crate::compose::nearest;
use crate::model::Project;

/// The command that was meant by a word, if it is near to one.
fn meant(word: &str) -> Option<String> {
    let root = Cli::command();
    let names = root.get_subcommands().filter(|command| !command.is_hide_set()).map(clap::Command::get_name);
    nearest(word, names).map(str::to_owned)
}

/// Refuses a word that is no app, but nearly a command.
///
/// # Errors
/// With the command that was meant.
pub fn command(project: &Project, words: &[String]) -> Result<(), Failure> {
    let services = || project.apps.keys().chain(project.accessories.keys()).map(crate::model::AppName::as_str);
    for word in words.iter().filter(|word| services().all(|service| service != word.as_str())) {
        // An app that is as near is meant rather: apps are what is named here.
        if nearest(word, services()).is_none()
            && let Some(command) = meant(word)
        {
            let failure = Failure::new(Exit::Usage, format!("unknown app `{}`", word.escape_debug()));
            return Err(failure.hint(format!("did you mean the command `{command}`?")));
        }
    }
    Ok(())
}

/// Without a compose file there is no app either, so the command is what was likely meant.
pub fn without_file(failure: Failure, word: Option<&str>) -> Failure {
    let word = word.filter(|_| failure.exit == Exit::InvalidFile);
    let no_file = failure.findings.iter().all(|finding| finding.place.is_none());
    match word.filter(|_| no_file).and_then(|word| Some((word, meant(word)?))) {
        Some((word, command)) => {
            let message = format!(
                "unknown command `{}`, and no compose file that could have an app of this name",
                word.escape_debug()
            );
            Failure::new(Exit::Usage, message).hint(format!("did you mean `deploy-apps {command}`?"))
        }
        None => failure,
    }
}
