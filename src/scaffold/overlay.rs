//! Generates the override that makes apps of the services of an existing compose file, which stays unchanged.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::compose::Desired;
use super::judge::{Judged, Kind, Web};
use super::mentions::through_proxy;
use crate::model::PortBinding;

/// Keys of a service that an app may not have, so that the override must reset them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    pub ports: bool,
    pub container_name: bool,
    pub network_mode: bool,
    pub mac_address: bool,
    /// Networks with fixed-address keys, such as `ipv4_address`.
    pub addresses: BTreeMap<String, Vec<String>>,
    /// Whether `order` is already set.
    pub order: bool,
    /// The path of a volume that both versions would write to.
    pub writes: Option<String>,
    /// Whether `deploy.mode` is that of a swarm job.
    pub job: bool,
    /// Variables that address an app by its own port, with their new values.
    pub environment: BTreeMap<String, String>,
}

/// A service with a block, or another service that needs a change.
#[derive(Debug, Clone, PartialEq)]
pub struct Rolled<'j> {
    pub judged: &'j Judged,
    pub facts: Facts,
}

/// The override's text and the URLs of the apps.
#[derive(Debug, Clone, PartialEq)]
pub struct Overlay {
    pub text: String,
    /// Each app's URL on the engine's host.
    pub urls: BTreeMap<String, String>,
}

/// The port of the proxy, and the app that answers for any host.
fn front<'j>(services: &[Rolled<'j>]) -> (u16, Option<String>, Option<&'j str>) {
    const NAMES: [&str; 9] = ["web", "app", "frontend", "nginx", "www", "site", "ui", "client", "proxy"];
    let apps: Vec<(&str, &Web)> =
        services.iter().filter_map(|one| Some((one.judged.service.as_str(), web(one.judged)?))).collect();
    let published: Vec<(&str, &PortBinding)> = apps
        .iter()
        .filter_map(|(name, web)| Some((*name, web.published.as_ref().filter(|port| port.host_port.is_some())?)))
        .collect();
    let named = NAMES.iter().find_map(|name| published.iter().find(|(known, _)| known == name));
    let chosen = match published.as_slice() {
        [one] => Some(one),
        _ => named,
    };
    match chosen {
        Some((name, port)) => {
            (port.host_port.unwrap_or(8080), port.host_ip.clone().filter(|ip| ip != "0.0.0.0"), Some(name))
        }
        None => (8080, None, None),
    }
}

fn web(judged: &Judged) -> Option<&Web> {
    match &judged.kind {
        Kind::App(web) => Some(web),
        _ => None,
    }
}

/// Generates the override. `taken`: host ports that accessories keep.
#[must_use]
pub fn overlay(desired: &Desired, file: &str, services: &[Rolled<'_>], has_proxy: bool, taken: &[u16]) -> Overlay {
    let (mut port, bind, front) = front(services);
    let mut urls = BTreeMap::new();
    // Only a default port may be moved to a free one.
    while front.is_none() && taken.contains(&port) {
        port += 1;
    }
    let mut text = format!(
        "\
# Written by `deploy-apps init`, and yours from now on. It is merged over {file}, which stays as it is:
# what an app cannot have is taken away here, and the `x-deploy-apps` blocks say what Compose has no word for.
"
    );
    if !desired.project.is_empty() {
        let _ = writeln!(text, "name: {}", desired.project);
    }
    if !has_proxy {
        let why = match front {
            Some(app) => format!("The proxy takes over the port of `{app}`."),
            None => "Only this port is published.".to_owned(),
        };
        let bind = bind.map(|ip| format!(", bind: \"{ip}\"")).unwrap_or_default();
        let _ = writeln!(
            text,
            "
x-deploy-apps:
  # One proxy per host, shared by all projects that name the same port; `name:` makes another. {why}
  proxy: {{ http_port: {port}{bind} }}"
        );
    }
    text.push_str("\nservices:\n");
    for (index, one) in services.iter().enumerate() {
        let gap = if index == 0 { "" } else { "\n" };
        let _ = writeln!(text, "{gap}  {}:", quoted(&one.judged.service));
        text.push_str(&taken_away(one));
        match &one.judged.kind {
            Kind::App(web) => {
                let any_host = front == Some(one.judged.service.as_str()) && desired.host.is_none();
                let host = desired
                    .host
                    .clone()
                    .unwrap_or_else(|| format!("{}.localhost", super::look::app_name(&one.judged.service)));
                let at = if any_host { "localhost" } else { &host };
                let shown = if port == 80 { String::new() } else { format!(":{port}") };
                urls.insert(one.judged.service.clone(), format!("http://{at}{shown}"));
                text.push_str(&block(desired, web, (!any_host).then_some(host.as_str())));
            }
            Kind::Worker { .. } => {
                let _ = writeln!(text, "    # {}.\n    x-deploy-apps: {{}}", sentence(&one.judged.because));
            }
            // It is in the override only for its variables.
            Kind::Job | Kind::Accessory => {}
        }
    }
    Overlay { text, urls }
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// Quotes a key or value so that YAML reads it as text.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let word = text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(plain);
    let special = matches!(
        text.to_ascii_lowercase().as_str(),
        "y" | "n" | "yes" | "no" | "on" | "off" | "true" | "false" | "null"
    );
    if word && !special { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}

/// The keys that the override resets.
fn taken_away(one: &Rolled<'_>) -> String {
    let facts = &one.facts;
    let mut text = String::new();
    let lost: Vec<String> = web(one.judged)
        .map(|web| &web.lost)
        .into_iter()
        .flatten()
        .map(|port| port.container_port.to_string())
        .collect();
    if facts.ports {
        text.push_str("    # The proxy publishes the app: its old and new replicas cannot share a port of the host.\n");
        if !lost.is_empty() {
            let _ = writeln!(text, "    # Not published any more: {}.", lost.join(", "));
        }
        text.push_str("    ports: !reset []\n");
    }
    if facts.container_name {
        text.push_str(
            "    # Old and new run beside each other under names of their own.\n    container_name: !reset null\n",
        );
    }
    if facts.network_mode {
        text.push_str("    network_mode: !reset null\n");
    }
    if facts.mac_address {
        text.push_str("    mac_address: !reset null\n");
    }
    if !facts.addresses.is_empty() {
        text.push_str("    # Its replicas have addresses of their own.\n    networks:\n");
        for (network, keys) in &facts.addresses {
            let _ = writeln!(text, "      {}:", quoted(network));
            for key in keys {
                let _ = writeln!(text, "        {key}: !reset null");
            }
        }
    }
    if !facts.environment.is_empty() {
        text.push_str("    # An app is reached through the proxy, on port 80.\n    environment:\n");
        for (name, value) in &facts.environment {
            let value = serde_json::Value::from(value.replace('$', "$$"));
            let _ = writeln!(text, "      {}: {value}", quoted(name));
        }
    }
    text.push_str(&deploy(one));
    text
}

fn deploy(one: &Rolled<'_>) -> String {
    let facts = &one.facts;
    let why = match (&facts.writes, &one.judged.kind) {
        (_, Kind::Worker { alone: true }) => {
            "Two at once would do everything twice: the old one stops first.".to_owned()
        }
        (Some(place), _) => {
            let waits = if web(one.judged).is_some() { " Requests wait meanwhile." } else { "" };
            format!(
                "Old and new would write to one volume ({place}), so the old one stops first.{waits}\n        # `start-first` is better where both may write at once."
            )
        }
        _ => String::new(),
    };
    let orders = !why.is_empty() && !facts.order;
    if !orders && !facts.job {
        return String::new();
    }
    let mut text = "    deploy:\n".to_owned();
    if facts.job {
        text.push_str("      mode: !reset null\n");
    }
    if orders {
        let _ = writeln!(text, "      update_config:\n        # {why}\n        order: stop-first");
    }
    text
}

/// The block of an app; without a host it answers for any host.
fn block(desired: &Desired, web: &Web, host: Option<&str>) -> String {
    let (port, why) = match (desired.port, &web.from) {
        (Some(port), _) => (port, "Where the app listens.".to_owned()),
        (None, Some(from)) => (web.port, format!("Where the app listens: {from} says so.")),
        (None, None) => (web.port, "A guess: nothing says where the app listens. Write it here.".to_owned()),
    };
    let route = match host {
        Some(host) => format!("- host: {host}"),
        None => {
            "- path: /                # whatever host is asked for, as before; or `host: shop.example.com`".to_owned()
        }
    };
    let health = match &web.health {
        Some((path, who)) => format!("      # {}.\n      health: {{ path: {}, timeout: 30s }}", sentence(who), quoted_path(path)),
        None => "      # Better than `/` is a path that answers once the app can do its work.\n      health: { path: /, timeout: 30s }".to_owned(),
    };
    format!(
        "    x-deploy-apps:\n      # {why}\n      port: {port}\n      routes:\n        {route}\n{health}\n      drain: {{ timeout: 60s, websocket_timeout: 5m }}\n"
    )
}

fn quoted_path(path: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_' | '.');
    if path.chars().all(plain) { path.to_owned() } else { serde_json::Value::from(path).to_string() }
}

impl Facts {
    /// Records a variable whose value addresses an app by its container port.
    pub fn rewrites(&mut self, variable: &str, value: &str, app: &str, port: u16) {
        let value = self.environment.get(variable).cloned().unwrap_or_else(|| value.to_owned());
        self.environment.insert(variable.to_owned(), through_proxy(&value, app, port));
    }
}
