//! Asks for confirmation before something is removed.

use std::io::{self, BufRead, IsTerminal};

use super::context::Context;
use super::exit::{Exit, Failure};

/// Shows what will be removed and waits for a yes. `false`: the user declined.
///
/// # Errors
/// When there is no terminal to ask on.
pub async fn confirm(context: &Context, goes: &[String], yes: bool) -> Result<bool, Failure> {
    if yes {
        return Ok(true);
    }
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        return Err(Failure::new(Exit::Usage, "it is not confirmed, and there is no terminal to ask on")
            .hint("`--yes` skips the question, `--dry-run` shows what would be removed"));
    }
    errln!("will be removed:");
    for line in goes {
        errln!("  {line}");
    }
    err!("Go on? [y/N] ");
    let answer = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line).map(|_| line)
    });
    let answer = tokio::select! {
        biased;
        () = context.signals.cancel.cancelled() => return Ok(false),
        answer = answer => answer,
    };
    let answer = answer.ok().and_then(Result::ok).unwrap_or_default();
    Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}
