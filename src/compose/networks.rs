//! `networks` of a service, and the default network of those that name none.

use super::collect;
use super::context::Context;
use super::error::{Problem, Read};
use super::node::{Entry, Value};
use super::refuse;
use super::resources::Resources;
use crate::model::NetworkAttachment;

/// What decides whether a service without `networks` gets the default one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Role<'a> {
    pub service: &'a str,
    pub is_app: bool,
    /// Some service of the project is an accessory.
    pub has_accessories: bool,
}

pub(super) fn read(
    cx: &mut Context<'_>,
    entry: Option<&Entry>,
    role: Role<'_>,
    declared: &mut Resources,
) -> Vec<NetworkAttachment> {
    // An empty list is no wish to be alone: compose then gives the default network too.
    let names_some = |entry: &&Entry| match &entry.value.value {
        Value::Null => false,
        Value::List(items) => !items.is_empty(),
        Value::Map(map) => !map.entries.is_empty(),
        Value::Scalar(_) => true,
    };
    let named = entry.filter(names_some);
    let Some(entry) = named else {
        // An app alone needs no network but the proxy's, which the plan attaches; the default is for its accessories.
        if role.is_app && !role.has_accessories && !declared.declares("default") {
            return Vec::new();
        }
        let network = declared.default_network(cx.project.as_str());
        return vec![attachment(network, Vec::new(), role)];
    };
    let mut attachments = Vec::new();
    match &entry.value.value {
        Value::List(items) => {
            for item in items {
                let read = super::scalar::text("networks", item).and_then(|key| resolve(cx, declared, &key, item.span));
                attachments.extend(cx.keep(read).map(|network| attachment(network, Vec::new(), role)));
            }
        }
        Value::Map(map) => {
            for item in &map.entries {
                let aliases = aliases(cx, item, role);
                let read = resolve(cx, declared, &item.key, item.key_span);
                attachments.extend(cx.keep(read).map(|network| attachment(network, aliases, role)));
            }
        }
        _ => cx.refuse(entry.expected("a list or a map of networks")),
    }
    attachments
}

/// `default` may be declared, to be renamed or external, but need not be.
fn resolve(cx: &Context<'_>, declared: &mut Resources, key: &str, span: super::node::Span) -> Read<String> {
    if key == "default" { Ok(declared.default_network(cx.project.as_str())) } else { declared.resolve(key, span) }
}

fn attachment(network: String, mut aliases: Vec<String>, role: Role<'_>) -> NetworkAttachment {
    // An app's name must lead to the proxy, never past it to a replica that is about to be drained.
    if !role.is_app {
        aliases.retain(|alias| alias != role.service);
        aliases.insert(0, role.service.to_owned());
    }
    NetworkAttachment { network, aliases, ..NetworkAttachment::default() }
}

fn aliases(cx: &mut Context<'_>, item: &Entry, role: Role<'_>) -> Vec<String> {
    let Some(map) = cx.keep(collect::map(item)) else { return Vec::new() };
    let mut aliases = Vec::new();
    for field in map.entries.iter().filter(|field| !field.value.is_null()) {
        if field.key == "aliases" {
            cx.set(&mut aliases, collect::texts(field));
            if role.is_app {
                let message = format!(
                    "requests to an alias of app `{}` pass the proxy by, so they are not drained",
                    role.service
                );
                cx.warn(
                    Problem::at(field.key_span, message)
                        .hint(format!("use `http://{}`, which is the proxy", role.service)),
                );
            }
        } else {
            refuse::ATTACHMENT.judge(cx, field);
        }
    }
    aliases
}
