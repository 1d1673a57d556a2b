//! Suggestions for mistyped commands, which are parsed as the name of an app.

use clap::CommandFactory;

use super::args::Cli;
use super::exit::{Exit, Failure};
use crate::compose::nearest;
use crate::model::Project;

/// The command most similar to `word`, if any is similar.
fn meant(word: &str) -> Option<String> {
    let root = Cli::command();
    let names = root.get_subcommands().filter(|command| !command.is_hide_set()).map(clap::Command::get_name);
    nearest(word, names).map(str::to_owned)
}

/// Refuses a word that is not an app, but similar to a command.
///
/// # Errors
/// With the suggested command.
pub fn command(project: &Project, words: &[String]) -> Result<(), Failure> {
    let services = || project.apps.keys().chain(project.accessories.keys()).map(crate::model::AppName::as_str);
    for word in words.iter().filter(|word| services().all(|service| service != word.as_str())) {
        // A similar app takes precedence, since apps are expected here.
        if nearest(word, services()).is_none()
            && let Some(command) = meant(word)
        {
            let failure = Failure::new(Exit::Usage, format!("unknown app `{}`", word.escape_debug()));
            return Err(failure.hint(format!("did you mean the command `{command}`?")));
        }
    }
    Ok(())
}

/// Adds the suggested command to an error about a missing compose file.
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
