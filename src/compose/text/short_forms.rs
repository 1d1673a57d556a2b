//! Parses the short forms of port mappings and mounts.

use super::node::{Entry, Map, Node, Value};

/// Each published port is a process or a firewall rule of the engine.
const MOST_PORTS: u16 = 1000;

/// One map for each port; `None` if the item is not a mapping, which its reader reports.
pub(in crate::compose) fn port_mappings(item: &Node) -> Option<Vec<Map>> {
    let spec = match &item.value {
        Value::Map(map) => return Some(vec![map.clone()]),
        Value::Scalar(spec) => spec,
        _ => return None,
    };
    let (mapping, protocol) = spec.split_once('/').unwrap_or((spec, "tcp"));
    // Split from the right: an IPv6 address before the ports contains colons.
    let (rest, target) = mapping.rsplit_once(':').map_or((None, mapping), |(rest, target)| (Some(rest), target));
    let (address, published) = match rest {
        None => (None, None),
        Some(rest) => rest.rsplit_once(':').map_or((None, Some(rest)), |(ip, port)| (Some(ip), Some(port))),
    };
    let (first, last) = range(target)?;
    let published = match published.filter(|text| !text.is_empty()) {
        None => None,
        Some(text) => Some(range(text)?),
    };
    let address = address.map(|ip| ip.trim_start_matches('[').trim_end_matches(']')).filter(|ip| !ip.is_empty());
    let field = |key: &str, text: String, plain: bool| Entry {
        key: key.to_owned(),
        key_span: item.span,
        value: Node { plain, ..Node::text_at(item.span, text) },
    };
    let map = |target: u16, published: Option<String>| {
        let mut entries = vec![field("mode", "ingress".to_owned(), false)];
        entries.extend(address.map(|ip| field("host_ip", ip.to_owned(), false)));
        entries.push(field("target", target.to_string(), true));
        entries.extend(published.map(|port| field("published", port, false)));
        entries.push(field("protocol", protocol.to_lowercase(), false));
        Map { entries }
    };
    match published {
        // One container port on the first free host port of a range; the engine selects it.
        Some((low, high)) if first == last && low != high => Some(vec![map(first, Some(format!("{low}-{high}")))]),
        Some((low, high)) if high - low != last - first => None,
        _ if last - first > MOST_PORTS => None,
        _ => {
            Some((0..=last - first).map(|n| map(first + n, published.map(|(low, _)| (low + n).to_string()))).collect())
        }
    }
}

fn range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first > 0 && first <= last).then_some((first, last))
}

/// The parts of a short mount. A `:` inside of `${NAME:-default}`, which stays without interpolation, is not a
/// separator.
pub(in crate::compose) fn mount_parts(spec: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth) = (Vec::new(), 0, 0_usize);
    let mut before = ' ';
    for (at, c) in spec.char_indices() {
        match c {
            '{' if before == '$' || depth > 0 => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ':' if depth == 0 => {
                parts.push(&spec[start..at]);
                start = at + 1;
            }
            _ => {}
        }
        before = c;
    }
    parts.push(&spec[start..]);
    parts
}
