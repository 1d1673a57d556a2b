//! `ports` of an accessory, in short and long form.

use crate::compose::context::Context;
use crate::compose::error::{Problem, Read};
use crate::compose::refuse;
use crate::compose::text::collections;
use crate::compose::text::node::{Entry, Map, Node, Value, clip};
use crate::compose::text::scalar::{choice, number, text};
use crate::model::PortBinding;

/// Each published port is a process or a firewall rule of the engine.
const MOST_PORTS: usize = 1000;

pub(super) fn read(cx: &mut Context<'_>, entry: &Entry) -> Vec<PortBinding> {
    let mut bindings: Vec<PortBinding> = Vec::new();
    for item in cx.keep(collections::list(entry)).unwrap_or_default() {
        match &item.value {
            Value::Map(map) => {
                let read = long(cx, map, item);
                bindings.extend(cx.keep(read));
            }
            _ => bindings.extend(cx.keep(short(item)).unwrap_or_default()),
        }
        if bindings.len() > MOST_PORTS {
            let problem = Problem::at(item.span, format!("more than {MOST_PORTS} ports of one service"));
            cx.refuse(problem.hint("publish fewer ports"));
            return Vec::new();
        }
    }
    bindings
}

/// `[[address:]published:]target[/protocol]`; published and target may be ranges of the same length, and a single
/// target may have a range of host ports to choose from.
fn short(item: &Node) -> Read<Vec<PortBinding>> {
    let spec = text("ports", item)?;
    let invalid = || {
        Problem::at(item.span, format!("`{}` is not a port mapping", clip(&spec)))
            .hint("write such as `8080:80`, `127.0.0.1:8080:80` or `53:53/udp`")
    };
    let (mapping, protocol) = spec.split_once('/').unwrap_or((&spec, "tcp"));
    let protocol = protocol.to_lowercase();
    if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
        return Err(invalid());
    }
    // Split from the right: an IPv6 address before the ports contains colons.
    let (rest, target) = mapping.rsplit_once(':').map_or((None, mapping), |(rest, target)| (Some(rest), target));
    let (address, published) = match rest {
        None => (None, None),
        Some(rest) => rest.rsplit_once(':').map_or((None, Some(rest)), |(ip, port)| (Some(ip), Some(port))),
    };
    let address = address.map(|ip| ip.trim_start_matches('[').trim_end_matches(']').to_owned());
    if address.as_ref().is_some_and(|ip| ip.parse::<std::net::IpAddr>().is_err()) {
        return Err(invalid());
    }
    let targets = range(target).ok_or_else(invalid)?;
    let published = match published.filter(|text| !text.is_empty()) {
        None => None,
        Some(text) => Some(range(text).ok_or_else(invalid)?),
    };
    // One container port on the first free host port of a range.
    if let (Some(ports), [container_port]) = (&published, &targets[..])
        && ports.len() > 1
    {
        return Ok(vec![PortBinding {
            host_ip: address,
            host_port: ports.first().copied(),
            host_port_end: ports.last().copied(),
            container_port: *container_port,
            protocol,
        }]);
    }
    let published = match published {
        Some(ports) if ports.len() != targets.len() => return Err(invalid()),
        published => published,
    };
    let binding = |(index, container_port): (usize, u16)| PortBinding {
        host_ip: address.clone(),
        host_port: published.as_ref().map(|ports| ports[index]),
        container_port,
        protocol: protocol.clone(),
        ..PortBinding::default()
    };
    Ok(targets.into_iter().enumerate().map(binding).collect())
}

/// Port 0 would be a new port at each start, which is what no value means.
fn range(text: &str) -> Option<Vec<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0);
    let ports: Vec<u16> = (port(first)?..=port(last)?).collect();
    (!ports.is_empty()).then_some(ports)
}

fn long(cx: &mut Context<'_>, map: &Map, item: &Node) -> Read<PortBinding> {
    let mut binding = PortBinding { protocol: "tcp".to_owned(), ..PortBinding::default() };
    for field in map.entries.iter().filter(|field| !field.value.is_null()) {
        match field.key.as_str() {
            "target" => binding.container_port = number("target", &field.value, 1..=65535)?,
            "published" => {
                let ports = field.value.as_text().and_then(range);
                let ports =
                    ports.ok_or_else(|| field.expected("a port from 1 to 65535, or a range such as `8080-8090`"))?;
                binding.host_port = ports.first().copied();
                binding.host_port_end = ports.last().copied().filter(|_| ports.len() > 1);
            }
            "host_ip" => {
                let text = field.text()?;
                let bare = text.trim_start_matches('[').trim_end_matches(']');
                if bare.parse::<std::net::IpAddr>().is_err() {
                    return Err(field.expected("an address of the host, such as `127.0.0.1`"));
                }
                binding.host_ip = Some(bare.to_owned());
            }
            "protocol" => {
                let protocols = [("tcp", "tcp"), ("udp", "udp"), ("sctp", "sctp")];
                binding.protocol = choice("protocol", &field.value, &protocols)?.to_owned();
            }
            // On a single host both modes are equal; the other two keys are descriptions.
            "mode" | "name" | "app_protocol" => {}
            _ => refuse::PORT.judge(cx, field),
        }
    }
    if binding.container_port == 0 {
        return Err(Problem::at(item.span, "a port needs its `target`").hint("add `target: 80`"));
    }
    Ok(binding)
}
