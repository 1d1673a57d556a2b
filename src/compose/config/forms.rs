//! Converts values to compose's long forms and fills in defaults.

use std::collections::BTreeMap;

use serde_json::{Map as Object, Value as Json};

use super::items::{device, env_file, fill, implied_dependencies, list, mounted, plain, port};
use super::kinds::{self, Kind};
use super::used;
use super::writer::Writer;
use crate::compose::context::Context;
use crate::compose::merge::paths;
use crate::compose::merge::rules;
use crate::compose::read::container;
use crate::compose::read::variables;
use crate::compose::resolve::Model;
use crate::compose::text::accessories::is_accessory;
use crate::compose::text::node::{Entry, Map, Node, Span, Value};
use crate::compose::text::shell_words;
use crate::compose::text::short_forms;

/// Order of the top-level sections; extensions follow.
const SECTIONS: [&str; 7] = ["services", "jobs", "networks", "volumes", "secrets", "configs", "models"];

/// The complete model. In interpolated files dollar signs are doubled, so that a reload does not interpolate them
/// again.
pub(super) fn model(model: &Model, resolved: bool) -> Json {
    let mut root = model.root.clone();
    paths::resolve(&mut root, &model.folder, true);
    let mut printed = Object::new();
    printed.insert("name".to_owned(), Json::from(model.name.as_str()));
    let services = root.as_map().and_then(|root| root.value("services")?.as_map());
    let shows_accessories = services.is_some_and(|map| map.entries.iter().any(|entry| is_accessory(&entry.value)));
    let hides_accessories = model.whole.has_accessories && !shows_accessories;
    let mut writer = Writer { model, resolved, hides_accessories };
    let Some(root) = root.as_map_mut() else { return Json::Object(printed) };
    writer.declare_default_network(root);
    for section in SECTIONS {
        let Some(Entry { value: Node { value: Value::Map(map), .. }, .. }) = root.remove(section) else { continue };
        let mut entries = BTreeMap::new();
        for entry in map.entries {
            let value = match section {
                "services" | "jobs" => writer.service(entry.value, &entry.key),
                _ => writer.resource(section, entry.value, &entry.key),
            };
            entries.insert(entry.key, value);
        }
        // If profiles remove all services, a file without the section could not be loaded again.
        if !entries.is_empty() || section == "services" {
            printed.insert(section.to_owned(), Json::Object(entries.into_iter().collect()));
        }
    }
    if resolved {
        used::keep(&mut printed);
    }
    let extensions: BTreeMap<&str, &Entry> = root
        .entries
        .iter()
        .filter(|entry| entry.key.starts_with("x-"))
        .map(|entry| (entry.key.as_str(), entry))
        .collect();
    for (key, entry) in extensions {
        printed.insert(key.to_owned(), writer.json(&entry.value, &[key]));
    }
    Json::Object(printed)
}

impl Writer<'_> {
    /// Compose's default network exists without a declaration if a service uses it.
    fn declare_default_network(&mut self, root: &mut Map) {
        let services = root.value("services").and_then(Node::as_map);
        let uses = |entry: &Entry| {
            let Some(service) = entry.value.as_map() else { return false };
            match service.value("networks").map(|node| &node.value) {
                Some(Value::List(items)) if !items.is_empty() => {
                    items.iter().any(|item| item.as_text() == Some("default"))
                }
                Some(Value::Map(map)) if !map.entries.is_empty() => map.get("default").is_some(),
                _ => service.value("network_mode").is_none() && service.value("provider").is_none(),
            }
        };
        if !services.is_some_and(|map| map.entries.iter().any(uses)) {
            return;
        }
        if root.value("networks").is_none() {
            root.set("networks", Node::new(Span::default(), Value::Map(Map::default())));
        }
        if let Some(networks) = root.get_mut("networks").and_then(|entry| entry.value.as_map_mut())
            && networks.get("default").is_none()
        {
            networks.set("default", Node::new(Span::default(), Value::Null));
        }
    }

    fn resource(&mut self, section: &str, node: Node, key: &str) -> Json {
        let span = node.span;
        let mut map = match node.value {
            Value::Map(map) => map,
            _ => Map::default(),
        };
        // The old form `external: { name: … }`.
        let old_name = map.get("external").and_then(|entry| entry.value.as_map()?.value("name").cloned());
        let is_external =
            map.value("external").is_some_and(|node| !matches!(node.as_text(), Some("false" | "no" | "off")));
        if map.get("external").is_some_and(|entry| entry.value.as_map().is_some()) {
            map.set("external", plain(span, "true"));
        }
        if let Some(name) = old_name {
            map.set("name", name);
        }
        if let Some(labels) = map.get_mut("labels") {
            let taken = std::mem::replace(&mut labels.value, Node::new(span, Value::Null));
            labels.value = rules::in_one_form(taken, &[section, key, "labels"]);
        }
        if section != "models" && map.value("name").is_none() {
            let name = if is_external { key.to_owned() } else { format!("{}_{key}", self.model.name) };
            map.set("name", Node::text_at(span, name));
        }
        self.json(&Node::new(span, Value::Map(map)), &[section, key])
    }

    fn service(&mut self, node: Node, name: &str) -> Json {
        let span = node.span;
        let Value::Map(mut map) = node.value else { return Json::Null };
        if self.resolved {
            self.environment(&mut map);
            self.labels(&mut map);
        }
        for entry in &mut map.entries {
            let path = ["services", name, entry.key.as_str()];
            let taken = std::mem::replace(&mut entry.value, Node::new(span, Value::Null));
            entry.value = self.attribute(rules::in_one_form(taken, &path), &path);
        }
        implied_dependencies(&mut map, span);
        let alone = map.value("network_mode").is_some() || map.value("provider").is_some();
        let on_none = map.value("networks").and_then(Node::as_map).is_none_or(|networks| networks.entries.is_empty());
        if on_none && !alone {
            let default = Entry { key: "default".to_owned(), key_span: span, value: Node::new(span, Value::Null) };
            map.set("networks", Node::new(span, Value::Map(Map { entries: vec![default] })));
        }
        // With only `null`, an app without accessories does not join; an empty map requests the network.
        if self.hides_accessories
            && let Some(networks) = map.get_mut("networks").and_then(|entry| entry.value.as_map_mut())
            && let Some(default) = networks.get_mut("default").filter(|entry| entry.value.is_null())
        {
            default.value = Node::new(span, Value::Map(Map { entries: Vec::new() }));
        }
        self.json(&Node::new(span, Value::Map(map)), &["services", name])
    }

    /// Replaces env files and names without a value by the resulting variables.
    fn environment(&mut self, map: &mut Map) {
        let model = self.model;
        let mut cx = Context::new(&model.environment, &model.folder, &model.name);
        let values = variables::read(&mut cx, map.get("env_file"), map.get("environment"));
        let span = map.get("environment").or_else(|| map.get("env_file")).map(|entry| entry.key_span);
        let own =
            map.remove("environment").map(|entry| rules::in_one_form(entry.value, &["services", "", "environment"]));
        let unresolved: Vec<Entry> = match own.map(|node| node.value) {
            Some(Value::Map(own)) => own.entries.into_iter().filter(|entry| !values.contains_key(&entry.key)).collect(),
            _ => Vec::new(),
        };
        map.remove("env_file");
        let Some(span) = span else { return };
        let entry = |(key, value): (String, String)| Entry { key, key_span: span, value: Node::text_at(span, value) };
        let entries: Vec<Entry> = values.into_iter().map(entry).chain(unresolved).collect();
        if !entries.is_empty() {
            map.set("environment", Node::new(span, Value::Map(Map { entries })));
        }
    }

    /// Replaces label files by their labels.
    fn labels(&self, map: &mut Map) {
        let Some(files) = map.remove("label_file") else { return };
        let mut cx = Context::new(&self.model.environment, &self.model.folder, &self.model.name);
        let labels = container::all_labels(&mut cx, Some(&files), map.get("labels"));
        let entry = |(key, value)| Entry { key, key_span: files.key_span, value: Node::text_at(files.key_span, value) };
        let labels = Value::Map(Map { entries: labels.into_iter().map(entry).collect() });
        map.set("labels", Node::new(files.key_span, labels));
    }

    /// Converts one key of a service to its long form.
    fn attribute(&self, node: Node, path: &[&str; 3]) -> Node {
        let Node { span, value, .. } = node;
        let value = match (path[2], value) {
            ("command" | "entrypoint", Value::Scalar(line)) if self.resolved => match shell_words::split(&line) {
                Ok(words) => list(span, words),
                Err(_) => Value::Scalar(line),
            },
            ("healthcheck", Value::Map(mut map)) => {
                if let Some(entry) = map.get_mut("test")
                    && let Value::Scalar(line) = &entry.value.value
                {
                    entry.value.value = list(span, vec!["CMD-SHELL".to_owned(), line.clone()]);
                }
                Value::Map(map)
            }
            ("build", Value::Map(map)) => Value::Map(self.build(map, path)),
            ("depends_on", Value::Map(mut map)) => {
                for entry in &mut map.entries {
                    let mut fields = entry.value.as_map().cloned().unwrap_or_default();
                    fill(&mut fields, span, &[("condition", "service_started"), ("required", "true")]);
                    entry.value.value = Value::Map(fields);
                }
                Value::Map(map)
            }
            ("ports", Value::List(items)) => {
                let expand = |item: Node| match short_forms::port_mappings(&item) {
                    Some(maps) => maps.into_iter().map(|map| port(map, item.span)).collect(),
                    None => vec![item],
                };
                Value::List(items.into_iter().flat_map(expand).collect())
            }
            ("volumes", Value::List(items)) => Value::List(items.into_iter().map(|item| self.volume(item)).collect()),
            ("secrets", Value::List(items)) => Value::List(items.into_iter().map(|item| mounted(item, true)).collect()),
            ("configs", Value::List(items)) => {
                Value::List(items.into_iter().map(|item| mounted(item, false)).collect())
            }
            ("pre_start" | "post_start" | "pre_stop", Value::List(items)) => {
                Value::List(items.into_iter().map(|item| self.hook(item)).collect())
            }
            ("devices", Value::List(items)) => Value::List(items.into_iter().map(device).collect()),
            ("env_file", Value::List(items)) => Value::List(items.into_iter().map(env_file).collect()),
            ("pull_policy", Value::Scalar(text)) if text == "if_not_present" => Value::Scalar("missing".to_owned()),
            ("labels" | "annotations" | "sysctls", Value::Map(map)) => Value::Map(never_null(map)),
            ("deploy", Value::Map(mut map)) => {
                if let Some(labels) = map.get_mut("labels") {
                    let taken = std::mem::replace(&mut labels.value, Node::new(span, Value::Null));
                    labels.value = rules::in_one_form(taken, &[path[0], path[1], path[2], "labels"]);
                }
                Value::Map(map)
            }
            ("gpus", Value::Scalar(_)) => {
                let mut all = Map::default();
                fill(&mut all, span, &[("count", "all")]);
                Value::List(vec![Node::new(span, Value::Map(all))])
            }
            (_, value) => value,
        };
        Node { value, ..node_like(span, node.plain) }
    }

    fn build(&self, mut map: Map, path: &[&str; 3]) -> Map {
        for entry in &mut map.entries {
            let inner = [path[0], path[1], path[2], entry.key.as_str()];
            let taken = std::mem::replace(&mut entry.value, Node::new(Span::default(), Value::Null));
            entry.value = rules::in_one_form(taken, &inner);
        }
        let span = map.entries.first().map(|entry| entry.key_span).unwrap_or_default();
        if map.value("context").is_none() {
            map.set("context", Node::text_at(span, self.model.folder.display().to_string()));
        }
        if map.value("dockerfile").is_none() && map.value("dockerfile_inline").is_none() {
            map.set("dockerfile", Node::text_at(span, "Dockerfile"));
        }
        if let Some(args) = map.get_mut("args").and_then(|entry| entry.value.as_map_mut())
            && self.resolved
        {
            for entry in args.entries.iter_mut().filter(|entry| entry.value.is_null()) {
                if let Some(value) = self.model.environment.get(&entry.key) {
                    entry.value = Node::text_at(entry.key_span, value);
                }
            }
        }
        if let Some(ssh) = map.get_mut("ssh")
            && let Value::List(items) = &ssh.value.value
        {
            let mut keys = Map::default();
            for text in items.iter().filter_map(Node::as_text) {
                let (id, path) = text.split_once('=').map_or((text, None), |(id, path)| (id, Some(path)));
                let value = path.map_or(Value::Null, |path| Value::Scalar(path.to_owned()));
                keys.set(id, Node::new(ssh.value.span, value));
            }
            ssh.value.value = Value::Map(keys);
        }
        if let Some(secrets) = map.get_mut("secrets")
            && let Value::List(items) = &mut secrets.value.value
        {
            *items = std::mem::take(items).into_iter().map(|item| mounted(item, false)).collect();
        }
        map
    }

    /// Sorts maps and omits empty values, unless an empty value is significant.
    fn json(&self, node: &Node, path: &[&str]) -> Json {
        let kind = kinds::kind(path);
        match &node.value {
            Value::Null => Json::Null,
            Value::Scalar(text) if kinds::is_secret(path) && (self.resolved || !text.contains('$')) => {
                Json::from(kinds::masked(text))
            }
            Value::Scalar(text) => match kinds::scalar(text, node, kind) {
                Json::String(text) if self.resolved => Json::from(text.replace('$', "$$")),
                value => value,
            },
            Value::List(items) => {
                Json::Array(items.iter().map(|item| self.json(item, &[path, &["[]"]].concat())).collect())
            }
            Value::Map(map) => {
                let sorted: BTreeMap<&str, &Entry> =
                    map.entries.iter().map(|entry| (entry.key.as_str(), entry)).collect();
                let mut object = Object::new();
                for (key, entry) in sorted {
                    let inner = [path, &[key]].concat();
                    let value = self.json(&entry.value, &inner);
                    if matches!(kind, Kind::Free | Kind::Own) || says_something(&value, &inner) {
                        object.insert(key.to_owned(), value);
                    }
                }
                Json::Object(object)
            }
        }
    }
}

/// Whether the value is significant although it is empty: an empty command clears the image's command, and a name
/// without a value must stay in its map.
fn says_something(value: &Json, path: &[&str]) -> bool {
    let is_name = matches!(
        path,
        ["services", _, "environment" | "networks" | "models", _]
            | ["services", _, "build", "ssh", _]
            | ["services", _, "pre_start" | "post_start" | "pre_stop", "[]", "environment", _]
            | ["networks", _]
    );
    match (value, path) {
        (Json::Null, _) => is_name,
        (Json::Array(_), ["services", _, "command" | "entrypoint"]) => true,
        (_, ["services", _, "volumes", "[]", "volume"]) => true,
        (Json::Array(items), _) => !items.is_empty(),
        (Json::Object(map), _) => {
            !map.is_empty() || is_name || path.len() < 3 || path.iter().any(|part| part.starts_with("x-"))
        }
        _ => true,
    }
}

/// Replaces labels without a value by empty ones.
fn never_null(mut map: Map) -> Map {
    for entry in map.entries.iter_mut().filter(|entry| entry.value.is_null()) {
        entry.value = Node::text_at(entry.key_span, "");
    }
    map
}

fn node_like(span: Span, plain: bool) -> Node {
    Node { plain, ..Node::new(span, Value::Null) }
}
