//! `ports` of an accessory, in their short and long forms.

use super::collect;
use super::context::Context;
use super::error::{Problem, Read};
use super::node::{Entry, Map, Node, Value, clip};
use super::refuse;
use super::scalar::{choice, number, text};
use crate::model::PortBinding;

/// Each published port is a process or a firewall rule of the engine.
const MOST_PORTS: usize = 1000;

pub(super) fn read(cx: &mut Context<'_>, entry: &Entry) -> Vec<PortBinding> {
    let mut bindings: Vec<PortBinding> = Vec::new();
    for item in cx.keep(collect::list(entry)).unwrap_or_default() {
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

/// `[[address:]published:]target[/protocol]`; published and target may be ranges of one length.
fn short(item: &Node) -> Read<Vec<PortBinding>> {
    let spec = text("ports", item)?;
    let invalid = || {
        Problem::at(item.span, format!("`{}` is not a port mapping", clip(&spec)))
            .hint("write such as `8080:80`, `127.0.0.1:8080:80` or `53:53/udp`")
    };
    let (mapping, protocol) = spec.split_once('/').unwrap_or((&spec, "tcp"));
    if !matches!(protocol, "tcp" | "udp") {
        return Err(invalid());
    }
    // From the right: an IPv6 address before the ports has colons of its own.
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
        Some(text) => Some(range(text).filter(|found| found.len() == targets.len()).ok_or_else(invalid)?),
    };
    let binding = |(index, container_port): (usize, u16)| PortBinding {
        host_ip: address.clone(),
        host_port: published.as_ref().map(|ports| ports[index]),
        container_port,
        protocol: protocol.to_owned(),
    };
    Ok(targets.into_iter().enumerate().map(binding).collect())
}

/// Port 0 would be a new one at each start, which is what leaving it out says.
fn range(text: &str) -> Option<Vec<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0);
    let ports: Vec<u16> = (port(first)?..=port(last)?).collect();
    (!ports.is_empty()).then_some(ports)
}

fn long(cx: &mut Context<'_>, map: &Map, item: &Node) -> Read<PortBinding> {
    let mut binding = PortBinding { host_ip: None, host_port: None, container_port: 0, protocol: "tcp".to_owned() };
    for field in map.entries.iter().filter(|field| !field.value.is_null()) {
        match field.key.as_str() {
            "target" => binding.container_port = number("target", &field.value, 1..=65535)?,
            "published" => binding.host_port = Some(number("published", &field.value, 1..=65535)?),
            "host_ip" => binding.host_ip = Some(field.text()?),
            "protocol" => {
                binding.protocol = choice("protocol", &field.value, &[("tcp", "tcp"), ("udp", "udp")])?.to_owned();
            }
            // On a single host both modes publish alike; the other two are descriptions.
            "mode" | "name" | "app_protocol" => {}
            _ => refuse::PORT.judge(cx, field),
        }
    }
    if binding.container_port == 0 {
        return Err(Problem::at(item.span, "a port needs its `target`").hint("add `target: 80`"));
    }
    Ok(binding)
}
