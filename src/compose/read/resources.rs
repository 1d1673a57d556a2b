//! The top-level `networks` and `volumes`: declared resources, and which of them are used.

use std::collections::BTreeMap;

use indexmap::IndexMap;

use super::container;
use crate::compose::context::Context;
use crate::compose::error::{Problem, Read};
use crate::compose::refuse::{self, Section};
use crate::compose::text::collections;
use crate::compose::text::node::{Entry, Map, Span, Value, clip};
use crate::compose::text::suggest::nearest;
use crate::model::{NetworkPool, NetworkSettings, NewVolume};

#[derive(Debug, Default)]
struct Declared {
    /// The name on the engine.
    name: String,
    external: bool,
    settings: Settings,
    used: bool,
}

/// Settings of a network or a volume.
#[derive(Debug, Default, PartialEq)]
struct Settings {
    network: NetworkSettings,
    driver: Option<String>,
    driver_opts: BTreeMap<String, String>,
    labels: BTreeMap<String, String>,
}

/// Compose's name of the default network.
fn default_name(project: &str) -> String {
    format!("{project}_default")
}

/// The declared networks or volumes, by their key in the file.
#[derive(Debug)]
pub(super) struct Resources {
    kind: &'static str,
    declared: IndexMap<String, Declared>,
}

impl Resources {
    pub fn networks(cx: &mut Context<'_>, root: &Map) -> Self {
        Self::read(cx, root.get("networks"), "network", &refuse::NETWORK)
    }

    pub fn volumes(cx: &mut Context<'_>, root: &Map) -> Self {
        Self::read(cx, root.get("volumes"), "volume", &refuse::VOLUME)
    }

    fn read(cx: &mut Context<'_>, entry: Option<&Entry>, kind: &'static str, section: &Section) -> Self {
        let mut declared = IndexMap::new();
        for item in entry.and_then(|entry| cx.keep(collections::map(entry))).map_or(&[][..], |map| &map.entries) {
            if let Some(found) = declare(cx, item, section) {
                declared.insert(item.key.clone(), found);
            }
        }
        Self { kind, declared }
    }

    /// Whether the declaration of the default network changes any of its defaults.
    pub fn changes_default(&self, project: &str) -> bool {
        let found = self.declared.get("default");
        found.is_some_and(|found| {
            found.external || found.name != default_name(project) || found.settings != Settings::default()
        })
    }

    /// Marks a resource as used and returns its name on the engine.
    pub fn resolve(&mut self, key: &str, span: Span) -> Read<String> {
        if let Some(found) = self.declared.get_mut(key) {
            found.used = true;
            return Ok(found.name.clone());
        }
        let kind = self.kind;
        let problem = Problem::at(span, format!("{kind} `{}` is not declared", clip(key)));
        Err(match nearest(key, self.declared.keys().map(String::as_str)) {
            Some(near) => problem.hint(format!("did you mean `{near}`?")),
            None => problem.hint(format!("add it at the end of the file: `{kind}s: {{ {}: }}`", clip(key))),
        })
    }

    /// The project's default network, which exists without a declaration.
    pub fn default_network(&mut self, project: &str) -> String {
        let own = || Declared { name: default_name(project), ..Declared::default() };
        let found = self.declared.entry("default".to_owned()).or_insert_with(own);
        found.used = true;
        found.name.clone()
    }

    fn own(&self) -> impl Iterator<Item = &Declared> {
        self.declared.values().filter(|found| found.used && !found.external)
    }

    /// The used networks that the project creates, by name on the engine.
    pub fn own_networks(&self) -> impl Iterator<Item = (String, NetworkSettings)> {
        self.own().map(|found| {
            let Settings { network, driver, driver_opts, labels } = &found.settings;
            let (driver, driver_opts, labels) = (driver.clone(), driver_opts.clone(), labels.clone());
            (found.name.clone(), NetworkSettings { driver, driver_opts, labels, ..network.clone() })
        })
    }

    /// The used volumes that the project creates.
    pub fn own_volumes(&self) -> impl Iterator<Item = NewVolume> {
        self.own().map(|found| {
            let Settings { driver, driver_opts, labels, .. } = &found.settings;
            let (driver, driver_opts, labels) = (driver.clone(), driver_opts.clone(), labels.clone());
            NewVolume { name: found.name.clone(), driver, driver_opts, labels }
        })
    }

    /// Names on the engine of used external resources, which must exist.
    pub fn external(&self) -> impl Iterator<Item = String> {
        self.declared.values().filter(|found| found.used && found.external).map(|found| found.name.clone())
    }
}

fn declare(cx: &mut Context<'_>, item: &Entry, section: &Section) -> Option<Declared> {
    let map = cx.keep(collections::map(item))?;
    let (mut name, mut external, mut found) = (None, false, Settings::default());
    let mut makes = None;
    for field in map.entries.iter().filter(|field| !field.value.is_null()) {
        if !section.known.contains(&field.key.as_str()) {
            section.judge(cx, field);
            continue;
        }
        if !matches!(field.key.as_str(), "name" | "external") {
            makes.get_or_insert(field);
        }
        let network = &mut found.network;
        match field.key.as_str() {
            "name" => cx.set_some(&mut name, field.text()),
            "external" => external = crate::compose::read::resources::external(cx, field, &mut name),
            "internal" => cx.set(&mut network.internal, field.boolean()),
            "attachable" => cx.set(&mut network.attachable, field.boolean()),
            "enable_ipv4" => cx.set_some(&mut network.enable_ipv4, field.boolean()),
            "enable_ipv6" => cx.set_some(&mut network.enable_ipv6, field.boolean()),
            "ipam" => ipam(cx, field, network),
            // `docker compose config` writes `default` for the engine's default driver.
            "driver" => found.driver = cx.keep(field.text()).filter(|driver| driver != "default"),
            "driver_opts" => cx.set(&mut found.driver_opts, string_map(field)),
            _ => cx.set(&mut found.labels, container::labels(field).map(|labels| labels.into_iter().collect())),
        }
    }
    if let (true, Some(field)) = (external, makes) {
        let message = format!("`{}` has no effect on external {} `{}`", field.key, section.name, clip(&item.key));
        cx.warn(Problem::at(field.key_span, message).hint("remove it: the network or volume exists already"));
    }
    // Compose's naming scheme, so that a project started with compose keeps its data.
    let prefixed = || if external { item.key.clone() } else { format!("{}_{}", cx.project, item.key) };
    let name = name.unwrap_or_else(prefixed);
    let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) || !name.chars().all(valid) {
        let message = format!("`{}` is not a {} name", clip(&name), section.name);
        cx.refuse(Problem::at(item.key_span, message).hint("use letters, digits, `_`, `.` and `-`"));
    }
    Some(Declared { name, external, settings: found, used: false })
}

/// `true`, or the older map that contains the name.
pub(super) fn external(cx: &mut Context<'_>, field: &Entry, name: &mut Option<String>) -> bool {
    if let Value::Map(map) = &field.value.value {
        match map.get("name") {
            Some(inner) if inner.value.is_null() => {}
            Some(inner) => cx.set_some(name, inner.text()),
            None => cx.refuse(field.expected("`true` or `false`")),
        }
        return true;
    }
    let hint = "write `external: true`, and the name beside it: `name: …`";
    cx.keep(field.boolean().map_err(|problem| problem.hint(hint))).unwrap_or_default()
}

fn string_map(field: &Entry) -> Read<BTreeMap<String, String>> {
    Ok(collections::string_map(field)?.into_iter().collect())
}

fn ipam(cx: &mut Context<'_>, entry: &Entry, network: &mut NetworkSettings) {
    for field in cx.keep(collections::map(entry)).map_or(&[][..], |map| &map.entries) {
        match field.key.as_str() {
            _ if field.value.is_null() => {}
            "driver" => network.ipam_driver = cx.keep(field.text()).filter(|driver| driver != "default"),
            "options" => cx.set(&mut network.ipam_options, string_map(field)),
            "config" => {
                for item in cx.keep(collections::list(field)).unwrap_or_default() {
                    let Value::Map(map) = &item.value else {
                        cx.refuse(crate::compose::text::scalar::expected(
                            "config",
                            "a list of maps with `subnet`",
                            item,
                        ));
                        continue;
                    };
                    network.pools.push(pool(cx, map));
                }
            }
            _ => refuse::IPAM.judge(cx, field),
        }
    }
}

fn pool(cx: &mut Context<'_>, map: &Map) -> NetworkPool {
    let mut pool = NetworkPool::default();
    for field in map.entries.iter().filter(|field| !field.value.is_null()) {
        match field.key.as_str() {
            "subnet" => cx.set_some(&mut pool.subnet, network_text(field)),
            "ip_range" => cx.set_some(&mut pool.ip_range, network_text(field)),
            "gateway" => cx.set_some(&mut pool.gateway, address_text(field)),
            "aux_addresses" => cx.set(&mut pool.aux_addresses, string_map(field)),
            _ => refuse::IPAM_CONFIG.judge(cx, field),
        }
    }
    pool
}

fn address_text(field: &Entry) -> Read<String> {
    let text = field.text()?;
    match text.parse::<std::net::IpAddr>() {
        Ok(_) => Ok(text),
        Err(_) => Err(field.expected("an address such as `172.28.0.1`")),
    }
}

fn network_text(field: &Entry) -> Read<String> {
    let text = field.text()?;
    let valid = text.split_once('/').is_some_and(|(address, bits)| {
        let most = match address.parse::<std::net::IpAddr>() {
            Ok(std::net::IpAddr::V4(_)) => 32,
            Ok(std::net::IpAddr::V6(_)) => 128,
            Err(_) => return false,
        };
        bits.parse::<u8>().is_ok_and(|bits| bits <= most)
    });
    if valid { Ok(text) } else { Err(field.expected("a network such as `172.28.0.0/16`")) }
}
