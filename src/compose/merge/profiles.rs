//! `profiles`: which services are active.

use std::collections::BTreeSet;

use crate::compose::error::Problem;
use crate::compose::text::accessories::is_accessory;
use crate::compose::text::node::{Entry, Node, Value, clip};
use crate::model::AppName;

/// Removes inactive services from the tree.
///
/// A service named on the command line activates its profiles.
pub(in crate::compose) fn apply(root: &mut Node, active: &[String], named: &[String]) -> Result<(), Vec<Problem>> {
    let services = root.as_map_mut().and_then(|root| root.get_mut("services")?.value.as_map_mut());
    let Some(services) = services else { return Ok(()) };
    let mut active: BTreeSet<String> = active.iter().cloned().collect();
    for entry in services.entries.iter().filter(|entry| named.contains(&entry.key)) {
        active.extend(profiles(entry).into_iter().map(str::to_owned));
    }
    let takes_part = |entry: &Entry| {
        let profiles = profiles(entry);
        profiles.is_empty() || active.contains("*") || profiles.into_iter().any(|profile| active.contains(profile))
    };
    let (kept, disabled): (Vec<Entry>, Vec<Entry>) = services.entries.drain(..).partition(takes_part);
    services.entries = kept;
    let problems: Vec<Problem> =
        services.entries.iter().flat_map(|entry| disabled.iter().filter_map(|other| needs(entry, other))).collect();
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// All profiles of the tree, sorted.
pub(in crate::compose) fn all(root: &Node) -> BTreeSet<String> {
    let services = root.as_map().and_then(|root| root.value("services")?.as_map());
    services
        .map_or_else(BTreeSet::new, |services| services.entries.iter().flat_map(profiles).map(str::to_owned).collect())
}

/// Facts about all services, active or not. Containers depend on them, so they must not change with the active
/// profiles.
#[derive(Debug, Clone, Default)]
pub(in crate::compose) struct Whole {
    /// The names of all apps with a port. Problems in one are reported where it is read.
    pub hosts: BTreeSet<AppName>,
    pub has_accessories: bool,
    pub services: BTreeSet<AppName>,
}

impl Whole {
    pub fn of(root: &Node) -> Self {
        let services = root.as_map().and_then(|root| root.value("services")?.as_map());
        let entries = services.map_or(&[][..], |services| &services.entries);
        let has_port = |entry: &&Entry| {
            let block = entry.value.as_map().and_then(|service| service.value("x-deploy-apps")?.as_map());
            block.and_then(|block| block.value("port")).is_some_and(|port| !port.is_null())
        };
        Self {
            hosts: entries.iter().filter(has_port).filter_map(|entry| entry.key.parse().ok()).collect(),
            has_accessories: entries.iter().any(|entry| is_accessory(&entry.value)),
            services: entries.iter().filter_map(|entry| entry.key.parse().ok()).collect(),
        }
    }
}

/// As written; the specification only allows a list.
fn profiles(service: &Entry) -> Vec<&str> {
    match service.value.as_map().and_then(|map| map.value("profiles")).map(|node| &node.value) {
        Some(Value::List(items)) => items.iter().filter_map(Node::as_text).collect(),
        Some(Value::Scalar(one)) => vec![one],
        _ => Vec::new(),
    }
}

/// The problem of a service that depends on an inactive service.
fn needs(service: &Entry, disabled: &Entry) -> Option<Problem> {
    let depends = service.value.as_map()?.get("depends_on")?;
    let span = match &depends.value.value {
        Value::List(items) => items.iter().find(|item| item.as_text() == Some(&disabled.key))?.span,
        Value::Map(map) => {
            let entry = map.get(&disabled.key)?;
            let required = entry.value.as_map().and_then(|map| map.value("required")).and_then(Node::as_text);
            if required == Some("false") {
                return None;
            }
            entry.key_span
        }
        _ => return None,
    };
    let (name, wanted) = (clip(&disabled.key), profiles(disabled));
    let message = format!(
        "`{}` depends on `{name}`, whose profile `{}` is not active",
        clip(&service.key),
        wanted.join("` or `")
    );
    let first = wanted.first().copied().unwrap_or_default();
    Some(Problem::at(span, message).hint(format!("activate it with `--profile {first}`, or say `required: false`")))
}
