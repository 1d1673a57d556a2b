//! Selects apps and accessories by the names on the command line.

use super::error::{ComposeError, ComposeErrorKind, Finding};
use super::text::suggest::nearest;
use crate::model::{AppName, Project};

/// The apps in `names`, in order and without duplicates.
///
/// # Errors
///
/// When no name is given, and for each name that is not an app but mistyped or an accessory.
pub fn select(project: &Project, names: &[String]) -> Result<Vec<AppName>, ComposeError> {
    let apps: Vec<&str> = project.apps.keys().map(AppName::as_str).collect();
    if apps.is_empty() {
        let name = &project.name;
        if project.remembered {
            let message = format!("project `{name}` has no app on this engine");
            return Err(ComposeError::plain(
                ComposeErrorKind::UnknownApp,
                message,
                "`deploy-apps ls` shows what there is",
            ));
        }
        let message = format!("project `{name}` has no apps: no service that takes part has an `x-deploy-apps` block");
        let hint = "add `x-deploy-apps: { port: 8080 }` to the service that is to be rolled, or let one take part with `--profile`";
        return Err(ComposeError::plain(ComposeErrorKind::UnknownApp, message, hint));
    }
    if names.is_empty() {
        let hint = format!("name some of: {}", apps.join(" "));
        return Err(ComposeError::plain(ComposeErrorKind::UnknownApp, "no app is named", hint));
    }
    choose(names, project.apps.keys(), |name| unknown(project, name, &apps))
}

/// Like [`select`], for apps and accessories.
///
/// # Errors
///
/// When no name is given, and for each name that is not a service.
pub fn select_services(project: &Project, names: &[String]) -> Result<Vec<AppName>, ComposeError> {
    // Without apps every name is that of an accessory, which a deploy replaces with an outage.
    if names.is_empty() || project.apps.is_empty() {
        return select(project, names);
    }
    let services = || project.apps.keys().chain(project.accessories.keys());
    let known: Vec<&str> = services().map(AppName::as_str).collect();
    choose(names, services(), |name| unknown(project, name, &known))
}

fn choose<'a>(
    names: &[String],
    known: impl Iterator<Item = &'a AppName> + Clone,
    unknown: impl Fn(&str) -> Finding,
) -> Result<Vec<AppName>, ComposeError> {
    let mut chosen: Vec<AppName> = Vec::new();
    let mut findings = Vec::new();
    for name in names {
        match known.clone().find(|other| other.as_str() == name) {
            Some(other) if chosen.contains(other) => {}
            Some(other) => chosen.push(other.clone()),
            None => findings.push(unknown(name)),
        }
    }
    if findings.is_empty() {
        return Ok(chosen);
    }
    Err(ComposeError { kind: ComposeErrorKind::UnknownApp, findings, omitted: 0 })
}

fn unknown(project: &Project, name: &str, apps: &[&str]) -> Finding {
    let shown = super::text::node::clip(name);
    if project.accessories.keys().any(|accessory| accessory.as_str() == name) {
        let message = format!("service `{shown}` has no `x-deploy-apps` block, so it is not rolled");
        let hint = "add the block to roll it; as an accessory it is created when an app that depends on it is deployed, \
                    or by its name";
        return Finding { message, place: None, hint: Some(hint.to_owned()) };
    }
    let hint = match nearest(name, apps.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("the apps are: {}", apps.join(" ")),
    };
    Finding { message: format!("unknown app `{shown}`"), place: None, hint: Some(hint) }
}
