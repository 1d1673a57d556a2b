//! Names of apps that the host may know although the compose file does not any more.

use super::exit::{Exit, Failure};
use crate::model::{AppName, Project};

/// Refuses what neither the file nor the host knows.
///
/// # Errors
/// With the names that are meant, perhaps.
pub fn known_apps<'a>(
    project: &'a Project,
    names: &[String],
    on_host: impl Iterator<Item = &'a AppName>,
) -> Result<(), Failure> {
    let mut known: Vec<&str> = project.apps.keys().map(AppName::as_str).collect();
    known.extend(on_host.map(AppName::as_str));
    known.sort_unstable();
    known.dedup();
    let Some(unknown) = names.iter().find(|name| !known.contains(&name.as_str())) else { return Ok(()) };
    let message = format!("unknown app `{unknown}`");
    let near = known.iter().map(|other| (strsim::jaro_winkler(other, unknown), other));
    let near = near.filter(|(likeness, _)| *likeness > 0.8).max_by(|(a, _), (b, _)| a.total_cmp(b));
    let hint = match near {
        Some((_, near)) => format!("did you mean `{near}`?"),
        None if known.is_empty() => format!("project `{}` has no apps", project.name),
        None => format!("the apps are: {}", known.join(" ")),
    };
    Err(Failure::new(Exit::Usage, message).hint(hint))
}
