//! Checks names of apps, which may exist on the host only.

use super::exit::{Exit, Failure};
use crate::model::{AppName, Project};

/// Refuses a name that is an app neither in the file nor on the host.
///
/// # Errors
/// With suggested names.
pub fn known_apps<'a>(
    project: &'a Project,
    names: &[String],
    on_host: impl Iterator<Item = &'a AppName>,
) -> Result<(), Failure> {
    known_names(project, names, on_host.map(AppName::as_str))
}

/// Like [`known_apps`], and also accepts the names in `others`.
///
/// # Errors
/// With suggested names.
pub fn known_names<'a>(
    project: &'a Project,
    names: &[String],
    others: impl Iterator<Item = &'a str>,
) -> Result<(), Failure> {
    let mut known: Vec<&str> = project.apps.keys().map(AppName::as_str).chain(others).collect();
    known.sort_unstable();
    known.dedup();
    let Some(unknown) = names.iter().find(|name| !known.contains(&name.as_str())) else { return Ok(()) };
    // Allow one typo per four letters, and one in a short name.
    let slips = known.iter().map(|other| (strsim::osa_distance(other, unknown), other));
    let near = slips.filter(|(slips, _)| *slips <= 1 + unknown.len() / 4).min_by_key(|(slips, _)| *slips);
    let hint = match near {
        Some((_, near)) => format!("did you mean `{near}`?"),
        None if known.is_empty() => format!("project `{}` has no apps", project.name),
        None => format!("these are known: {}", known.join(" ")),
    };
    Err(Failure::new(Exit::Usage, format!("unknown app `{unknown}`")).hint(hint))
}
