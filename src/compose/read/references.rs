//! References of a service to another one: namespaces, volumes and links.

use std::collections::BTreeMap;

use crate::compose::context::Context;
use crate::compose::error::{Problem, Read};
use crate::compose::text::accessories::is_accessory;
use crate::compose::text::collections;
use crate::compose::text::node::{Entry, Map, Span, Value, clip};
use crate::compose::text::suggest::nearest;
use crate::model::{Accessory, Condition, ContainerSpec, Dependency, ProjectName};

/// The facts about another service that are needed before it is read.
#[derive(Debug, Clone)]
pub(super) struct Other {
    is_app: bool,
    /// Its container's name on the engine, for an accessory.
    container: String,
}

/// All services of the file by name.
pub(super) fn of(services: &Map, project: &ProjectName) -> BTreeMap<String, Other> {
    let other = |entry: &Entry| {
        let map = entry.value.as_map();
        let named = map.and_then(|map| map.value("container_name")?.as_text().map(str::to_owned));
        Other {
            is_app: !is_accessory(&entry.value),
            container: named.unwrap_or_else(|| Accessory::default_name(project, &entry.key)),
        }
    };
    services.entries.iter().map(|entry| (entry.key.clone(), other(entry))).collect()
}

/// The other services, as seen by one service. A reference is a dependency too: the other service must run first.
pub(super) struct Others<'a> {
    pub known: &'a BTreeMap<String, Other>,
    pub needed: Vec<(Dependency, Span)>,
}

impl Others<'_> {
    /// The container of an accessory; an app has no permanent container.
    fn container(&mut self, name: &str, field: &Entry) -> Read<String> {
        let Some(other) = self.known.get(name) else {
            let message = format!("`{}` names `{}`, which is not a service", field.key, clip(name));
            let problem = Problem::at(field.value.span, message);
            return Err(match nearest(name, self.known.keys().map(String::as_str)) {
                Some(near) => problem.hint(format!("did you mean `{near}`?")),
                None => problem.hint("add the service, or name a container: `container:…`"),
            });
        };
        if other.is_app {
            let message =
                format!("`{}` names app `{}`, whose containers are replaced at each deploy", field.key, clip(name));
            return Err(Problem::at(field.value.span, message).hint("name a service without an `x-deploy-apps` block"));
        }
        let container = other.container.clone();
        if let Ok(service) = name.parse() {
            self.needed.push((Dependency { service, condition: Condition::Started }, field.value.span));
        }
        Ok(container)
    }

    /// `service:x` or `container:x` in the engine's form; `None` for other texts.
    pub fn namespace(&mut self, text: &str, field: &Entry) -> Read<Option<String>> {
        match text.split_once(':') {
            Some(("service", name)) => Ok(Some(format!("container:{}", self.container(name, field)?))),
            Some(("container", name)) if !name.is_empty() => Ok(Some(text.to_owned())),
            _ => Ok(None),
        }
    }
}

/// `network_mode` of an accessory: an app's replicas are reached over the proxy's network.
pub(super) fn network_mode(
    cx: &mut Context<'_>,
    field: &Entry,
    service: &Map,
    is_app: bool,
    others: &mut Others<'_>,
) -> Option<String> {
    let text = cx.keep(field.text())?;
    if is_app {
        let message = format!("`network_mode: {}` is not supported for an app", clip(&text));
        let hint = "remove it, or use `networks`; the proxy reaches each replica over a network of its own";
        cx.refuse(Problem::at(field.key_span, message).hint(hint).unsupported());
        return None;
    }
    if let Some(networks) = service.get("networks").filter(|entry| !entry.value.is_null()) {
        let problem = Problem::at(networks.key_span, "`networks` and `network_mode` exclude each other");
        cx.refuse(problem.hint("keep one of them"));
    }
    if let Some(ports) = service.get("ports").filter(|entry| !entry.value.is_null() && text != "bridge") {
        let message = format!("`ports` and `network_mode: {}` exclude each other", clip(&text));
        cx.refuse(
            Problem::at(ports.key_span, message).hint("remove `ports`: there is no network to publish them from"),
        );
    }
    if matches!(text.as_str(), "none" | "host" | "bridge") {
        return Some(text);
    }
    let namespace = others.namespace(&text, field);
    match cx.keep(namespace)? {
        Some(container) => Some(container),
        None => {
            cx.refuse(field.expected("`none`, `host`, `bridge`, `service:…` or `container:…`"));
            None
        }
    }
}

/// `volumes_from`: `service[:ro]` or `container:name[:ro]`. Returns whether another service's volumes may be written
/// to.
pub(super) fn volumes_from(
    cx: &mut Context<'_>,
    field: &Entry,
    spec: &mut ContainerSpec,
    others: &mut Others<'_>,
) -> Option<Span> {
    let mut writes = None;
    for text in cx.keep(collections::texts(field)).unwrap_or_default() {
        let parts: Vec<&str> = text.split(':').collect();
        let (service, container, mode) = match parts[..] {
            ["container", name] => (None, Some(name), "rw"),
            ["container", name, mode] => (None, Some(name), mode),
            [service] => (Some(service), None, "rw"),
            [service, mode] => (Some(service), None, mode),
            _ => (None, None, ""),
        };
        if !matches!(mode, "ro" | "rw") || (service.is_none() && container.is_none()) {
            let message = format!("`{}` is not `service`, `service:ro` or `container:name`", clip(&text));
            cx.refuse(Problem::at(field.value.span, message));
            continue;
        }
        if mode == "rw" {
            writes.get_or_insert(field.key_span);
        }
        let found = match service {
            Some(service) => others.container(service, field),
            None => Ok(container.unwrap_or_default().to_owned()),
        };
        spec.volumes_from.extend(cx.keep(found).map(|name| format!("{name}:{mode}")));
    }
    writes
}

/// `links`: an alias for an accessory. Without an alias it has no effect, as names resolve anyway.
pub(super) fn links(cx: &mut Context<'_>, field: &Entry, spec: &mut ContainerSpec, others: &mut Others<'_>) {
    for text in cx.keep(collections::texts(field)).unwrap_or_default() {
        let (service, alias) = text.split_once(':').unwrap_or((&text, &text));
        let is_app = others.known.get(service).is_some_and(|other| other.is_app);
        if is_app && alias == service {
            // The name of an app resolves to the proxy on every network.
            continue;
        }
        let found = others.container(service, field);
        spec.dns.links.extend(cx.keep(found).filter(|_| alias != service).map(|name| format!("{name}:{alias}")));
    }
}

/// `external_links`: containers outside of the project.
pub(super) fn external_links(cx: &mut Context<'_>, field: &Entry, spec: &mut ContainerSpec) {
    for text in cx.keep(collections::texts(field)).unwrap_or_default() {
        let (container, alias) = text.split_once(':').unwrap_or((&text, &text));
        spec.dns.links.push(format!("{container}:{alias}"));
    }
}

/// `container_name` of an accessory.
pub(super) fn container_name(field: &Entry) -> Read<String> {
    let text = field.text()?;
    let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    if text.len() > 1 && text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(valid) {
        Ok(text)
    } else {
        Err(field.expected("at least two letters, digits, `_`, `.` and `-`"))
    }
}

/// `expose` is only documentation: services in a network reach every port. So it is only validated.
pub(super) fn expose(cx: &mut Context<'_>, field: &Entry) {
    let port = |text: &str| text.parse::<u16>().is_ok_and(|port| port > 0);
    let valid = |text: &str| {
        let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
        port(first) && port(last) && matches!(protocol, "tcp" | "udp" | "sctp")
    };
    let Some(items) = cx.keep(collections::list(field)) else { return };
    for item in items {
        match &item.value {
            Value::Scalar(text) if valid(text) => {}
            _ => cx.refuse(crate::compose::text::scalar::expected(
                "expose",
                "a list of ports such as `8080` or `53/udp`",
                item,
            )),
        }
    }
}
