//! `networks` of a service, and the default network for services without the key.

use std::cmp::Reverse;

use super::resources::Resources;
use crate::compose::context::Context;
use crate::compose::error::{Problem, Read};
use crate::compose::refuse;
use crate::compose::text::collections;
use crate::compose::text::node::{Entry, Value};
use crate::compose::text::scalar::number;
use crate::model::{ContainerSpec, NetworkAttachment};

/// Determines whether a service without `networks` gets the default network.
#[derive(Debug, Clone, Copy)]
pub(super) struct Role<'a> {
    pub service: &'a str,
    pub is_app: bool,
    /// Whether any service of the project is an accessory.
    pub has_accessories: bool,
}

pub(super) fn read(
    cx: &mut Context<'_>,
    entry: Option<&Entry>,
    role: Role<'_>,
    declared: &mut Resources,
) -> Vec<NetworkAttachment> {
    // An app without accessories only needs the proxy's network, which the plan adds; the default network is for
    // accessories. A service that names only the default network is treated like one without `networks`: `config`
    // writes it for both.
    let alone = role.is_app && !role.has_accessories && !declared.changes_default(cx.project.as_str());
    if alone && entry.is_none_or(names_only_default) {
        return Vec::new();
    }
    // An empty list does not mean isolation: compose adds the default network too.
    let names_some = |entry: &&Entry| match &entry.value.value {
        Value::Null => false,
        Value::List(items) => !items.is_empty(),
        Value::Map(map) => !map.entries.is_empty(),
        Value::Scalar(_) => true,
    };
    let named = entry.filter(names_some);
    let Some(entry) = named else {
        let network = declared.default_network(cx.project.as_str());
        return vec![attachment(network, Vec::new(), role)];
    };
    let (mut attachments, mut priorities) = (Vec::new(), Vec::new());
    match &entry.value.value {
        Value::List(items) => {
            for item in items {
                let read = crate::compose::text::scalar::text("networks", item)
                    .and_then(|key| resolve(cx, declared, &key, item.span));
                attachments.extend(cx.keep(read).map(|network| attachment(network, Vec::new(), role)));
            }
        }
        Value::Map(map) => {
            for item in &map.entries {
                let (priority, asked) = endpoint(cx, item, role);
                let read = resolve(cx, declared, &item.key, item.key_span);
                if let Some(network) = cx.keep(read) {
                    let own = attachment(network, asked.aliases, role);
                    attachments.push(NetworkAttachment { address: asked.address, options: asked.options, ..own });
                    priorities.push(priority);
                }
            }
        }
        _ => cx.refuse(entry.expected("a list or a map of networks")),
    }
    if priorities.iter().any(|priority| *priority != 0) {
        // The highest priority is connected first; equal priorities keep the order of the file.
        let mut ordered: Vec<_> = priorities.into_iter().zip(attachments).collect();
        ordered.sort_by_key(|(priority, _)| Reverse(*priority));
        attachments = ordered.into_iter().map(|(_, attachment)| attachment).collect();
    }
    attachments
}

/// Whether only `default` is named, without aliases or an address.
fn names_only_default(entry: &Entry) -> bool {
    match &entry.value.value {
        Value::Null => true,
        Value::List(items) => items.iter().all(|item| matches!(&item.value, Value::Scalar(text) if text == "default")),
        Value::Map(map) => map.entries.iter().all(|item| item.key == "default" && item.value.is_null()),
        Value::Scalar(_) => false,
    }
}

/// `mac_address` of the service, which applies to its first network.
pub(super) fn mac_address(cx: &mut Context<'_>, entry: Option<&Entry>, role: Role<'_>, spec: &mut ContainerSpec) {
    let Some(field) = entry.filter(|entry| !entry.value.is_null()) else { return };
    if role.is_app {
        cx.refuse(own_place(field, role));
        return;
    }
    let address = cx.keep(mac(field));
    match spec.networks.first_mut() {
        Some(first) => first.options.mac_address = first.options.mac_address.take().or(address),
        None => {
            let problem = Problem::at(field.key_span, "`mac_address` and `network_mode` exclude each other");
            cx.refuse(problem.hint("keep one of them"));
        }
    }
}

fn own_place(field: &Entry, role: Role<'_>) -> Problem {
    let message = format!("`{}` is not supported for app `{}`", field.key, role.service);
    Problem::at(field.key_span, message)
        .hint("remove it: its replicas, old and new, run beside each other and cannot share one address")
        .unsupported()
}

fn mac(field: &Entry) -> Read<String> {
    let text = field.text()?;
    let parts: Vec<&str> = text.split([':', '-']).collect();
    let valid = |part: &&str| part.len() == 2 && part.chars().all(|c| c.is_ascii_hexdigit());
    if parts.len() == 6 && parts.iter().all(valid) {
        Ok(parts.join(":").to_lowercase())
    } else {
        Err(field.expected("a MAC address such as `02:42:ac:11:65:43`"))
    }
}

/// `default` may be declared, to be renamed or external, but need not be.
fn resolve(
    cx: &Context<'_>,
    declared: &mut Resources,
    key: &str,
    span: crate::compose::text::node::Span,
) -> Read<String> {
    if key == "default" { Ok(declared.default_network(cx.project.as_str())) } else { declared.resolve(key, span) }
}

fn attachment(network: String, mut aliases: Vec<String>, role: Role<'_>) -> NetworkAttachment {
    // An app's name must resolve to the proxy, never directly to a replica that may be drained.
    if !role.is_app {
        aliases.retain(|alias| alias != role.service);
        aliases.insert(0, role.service.to_owned());
    }
    NetworkAttachment { network, aliases, ..NetworkAttachment::default() }
}

/// The endpoint settings of one network, and its connect priority.
fn endpoint(cx: &mut Context<'_>, item: &Entry, role: Role<'_>) -> (i64, NetworkAttachment) {
    let (mut priority, mut asked) = (0, NetworkAttachment::default());
    let Some(map) = cx.keep(collections::map(item)) else { return (priority, asked) };
    for field in map.entries.iter().filter(|field| !field.value.is_null()) {
        let options = &mut asked.options;
        match field.key.as_str() {
            "aliases" => {
                cx.set(&mut asked.aliases, collections::texts(field));
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
            }
            "ipv4_address" | "ipv6_address" | "link_local_ips" | "mac_address" if role.is_app => {
                cx.refuse(own_place(field, role));
            }
            "ipv4_address" => cx.set_some(&mut asked.address, address(field)),
            "ipv6_address" => {
                let read = address::<std::net::Ipv6Addr>(field).map(|address| address.to_string());
                cx.set_some(&mut options.ipv6_address, read);
            }
            "link_local_ips" => cx.set(&mut options.link_local_ips, collections::texts(field)),
            "mac_address" => cx.set_some(&mut options.mac_address, mac(field)),
            "driver_opts" => {
                let read = collections::string_map(field).map(|map| map.into_iter().collect());
                cx.set(&mut options.driver_opts, read);
            }
            "gw_priority" => cx.set_some(&mut options.gw_priority, number("gw_priority", &field.value, -1000..=1000)),
            "interface_name" => cx.set_some(&mut options.interface_name, field.text()),
            "priority" => cx.set(&mut priority, number("priority", &field.value, -1_000_000..=1_000_000)),
            _ => refuse::ATTACHMENT.judge(cx, field),
        }
    }
    (priority, asked)
}

fn address<T: std::str::FromStr>(field: &Entry) -> Read<T> {
    let example = if field.key.starts_with("ipv4") { "`172.28.0.5`" } else { "`fd00:1::5`" };
    field.text()?.parse().map_err(|_| field.expected(&format!("an address such as {example}")))
}
