//! Lists with keyed items: of two items with the same key the later one stays, at the position of the earlier one.

use std::collections::HashMap;

use crate::compose::text::node::{Map, Node, Span, Value};
use crate::compose::text::short_forms;

/// Removes duplicates from every keyed list of a merged tree.
pub(in crate::compose) fn enforce(root: &mut Node) {
    walk(root, &mut Vec::new());
}

fn walk(node: &mut Node, path: &mut Vec<String>) {
    match &mut node.value {
        Value::Map(map) => {
            for entry in &mut map.entries {
                path.push(entry.key.clone());
                walk(&mut entry.value, path);
                path.pop();
            }
        }
        Value::List(items) => {
            let parts: Vec<&str> = path.iter().map(String::as_str).collect();
            if parts.len() == 3 && parts[0] == "services" && parts[2] == "ports" {
                ports(items);
            } else if let Some(key) = key(&parts) {
                keep_last(items, key);
            }
        }
        Value::Null | Value::Scalar(_) => {}
    }
}

type Key = fn(&Node) -> Option<String>;

fn key(path: &[&str]) -> Option<Key> {
    let ["services", _, rest @ ..] = path else { return None };
    Some(match rest {
        ["cap_add" | "cap_drop" | "dns" | "dns_opt" | "dns_search" | "expose" | "links" | "profiles" | "tmpfs"]
        | ["build", "tags"]
        | ["networks", _, "aliases" | "link_local_ips"] => text,
        ["devices" | "volumes"] => target,
        ["env_file"] => |node| text(node).or_else(|| field(node, "path")),
        ["configs"] => |node| mounted(node, ""),
        ["secrets"] => |node| mounted(node, "/run/secrets"),
        ["x-deploy-apps", "routes"] => route,
        _ => return None,
    })
}

fn text(node: &Node) -> Option<String> {
    node.as_text().map(str::to_owned)
}

fn field(node: &Node, key: &str) -> Option<String> {
    node.as_map()?.value(key)?.as_text().map(str::to_owned)
}

/// The path of a volume or device in the container.
fn target(node: &Node) -> Option<String> {
    let Some(spec) = node.as_text() else { return field(node, "target") };
    let parts = short_forms::mount_parts(spec);
    let target = parts.get(1).or_else(|| parts.first())?;
    Some(target.strip_suffix('/').filter(|rest| !rest.is_empty()).unwrap_or(target).to_owned())
}

fn mounted(node: &Node, folder: &str) -> Option<String> {
    let named = |source: String| format!("{folder}/{source}");
    text(node).map(named).or_else(|| field(node, "target")).or_else(|| field(node, "source").map(named))
}

fn route(node: &Node) -> Option<String> {
    node.as_map()?;
    Some(format!("{} {}", field(node, "host").unwrap_or_default(), field(node, "path").unwrap_or_default()))
}

fn keep_last(items: &mut Vec<Node>, key: Key) {
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut kept: Vec<Node> = Vec::with_capacity(items.len());
    for item in items.drain(..) {
        let at = key(&item).and_then(|key| match places.get(&key) {
            Some(at) => Some(*at),
            None => {
                places.insert(key, kept.len());
                None
            }
        });
        match at {
            Some(at) => kept[at] = item,
            None => kept.push(item),
        }
    }
    *items = kept;
}

/// Removes duplicates after expanding ranges; without an overlap the list stays as written.
fn ports(items: &mut Vec<Node>) {
    let Some(expanded) =
        items.iter().map(|item| Some((item.span, short_forms::port_mappings(item)?))).collect::<Option<Vec<_>>>()
    else {
        return;
    };
    let all: Vec<(Span, Map)> =
        expanded.into_iter().flat_map(|(span, maps)| maps.into_iter().map(move |map| (span, map))).collect();
    let mut nodes: Vec<Node> = all.into_iter().map(|(span, map)| Node::new(span, Value::Map(map))).collect();
    let before = nodes.len();
    keep_last(&mut nodes, |node| {
        let or = |key: &str, default: &str| field(node, key).unwrap_or_else(|| default.to_owned());
        let address = or("host_ip", "0.0.0.0");
        Some(format!("{address}:{}:{}/{}", or("published", ""), or("target", ""), or("protocol", "tcp")))
    });
    if nodes.len() < before {
        *items = nodes;
    }
}
