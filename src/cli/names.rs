//! Names of apps that the host may know although the compose file does not any more.

use super::exit::{Exit, Failure};
use crate::model::{AppName, Project};

/// Refuses what neither the file nor the host knows as an app.
///
/// # Errors
/// With the names that are meant, perhaps.
pub fn known_apps<'a>(
    project: &'a Project,
    names: &[String],
    on_host: impl Iterator<Item = &'a AppName>,
) -> Result<(), Failure> {
    known_names(project, names, on_host.map(AppName::as_str))
}

/// The same with `others`, which may be named as well as apps.
///
/// # Errors
/// With the names that are meant, perhaps.
pub fn known_names<'a>(
    project: &'a Project,
    names: &[String],
    others: impl Iterator<Item = &'a str>,
) -> Result<(), Failure> {
    let mut known: Vec<&str> = project.apps.keys().map(AppName::as_str).chain(others).collect();
    known.sort_unstable();
    known.dedup();
    let Some(unknown) = names.iter().find(|name| !known.contains(&name.as_str())) else { return Ok(()) };
    // One slip for every four letters, and one for a short name.
    let slips = known.iter().map(|other| (strsim::osa_distance(other, unknown), other));
    let near = slips.filter(|(slips, _)| *slips <= 1 + unknown.len() / 4).min_by_key(|(slips, _)| *slips);
    let hint = match near {
        Some((_, near)) => format!("did you mean `{near}`?"),
        None if known.is_empty() => format!("project `{}` has no apps", project.name),
        None => format!("these are known: {}", known.join(" ")),
    };
    Err(Failure::new(Exit::Usage, format!("unknown app `{unknown}`")).hint(hint))
}
