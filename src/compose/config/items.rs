//! Long forms of list items of a service: ports, mounts, devices, env files.

use std::path::Path;

use super::writer::Writer;
use crate::compose::context::Context;
use crate::compose::merge::rules;
use crate::compose::merge::source::absolute;
use crate::compose::text::node::{Map, Node, Span, Value};
use crate::compose::text::shell_words;
use crate::compose::text::short_forms;

impl Writer<'_> {
    pub(super) fn volume(&self, item: Node) -> Node {
        let span = item.span;
        let mut map = match item.value {
            Value::Map(map) => map,
            Value::Scalar(spec) => match self.short_volume(&spec, span) {
                Some(map) => map,
                None => return Node::text_at(span, spec),
            },
            value => return Node::new(span, value),
        };
        if map.value("type").is_none() {
            map.set("type", Node::text_at(span, "volume"));
        }
        if let Some(Value::Scalar(target)) = map.get_mut("target").map(|entry| &mut entry.value.value)
            && target.len() > 1
        {
            *target = target.trim_end_matches('/').to_owned();
        }
        if map.value("type").and_then(Node::as_text) == Some("bind") {
            if let Some(Value::Scalar(source)) = map.get_mut("source").map(|entry| &mut entry.value.value) {
                *source = self.path(source);
            }
            let mut options = map.value("bind").and_then(Node::as_map).cloned().unwrap_or_default();
            if map.value("bind").is_some() {
                fill(&mut options, span, &[("create_host_path", "true")]);
                map.set("bind", Node::new(span, Value::Map(options)));
            }
        }
        Node::new(span, Value::Map(map))
    }

    fn short_volume(&self, spec: &str, span: Span) -> Option<Map> {
        let parts = short_forms::mount_parts(spec);
        let (source, target, options) = match parts[..] {
            [target] => (None, target, ""),
            [source, target] => (Some(source), target, ""),
            [source, target, options] => (Some(source), target, options),
            _ => return None,
        };
        let is_bind = source.is_some_and(|source| source.starts_with(['.', '/', '~']));
        let mut map = Map::default();
        fill(&mut map, span, &[("type", if is_bind { "bind" } else { "volume" })]);
        if let Some(source) = source {
            map.set("source", Node::text_at(span, if is_bind { self.path(source) } else { source.to_owned() }));
        }
        map.set("target", Node::text_at(span, target));
        let mut inner = Map::default();
        for option in options.split(',') {
            match option {
                "ro" => map.set("read_only", plain(span, "true")),
                "nocopy" => inner.set("nocopy", plain(span, "true")),
                "z" | "Z" if is_bind => inner.set("selinux", Node::text_at(span, option)),
                "z" | "Z" if source.is_some() => {
                    let mut label = Map::default();
                    label.set("selinux", Node::text_at(span, option));
                    map.set("bind", Node::new(span, Value::Map(label)));
                }
                _ if is_bind && option.ends_with("private") => inner.set("propagation", Node::text_at(span, option)),
                _ if is_bind && option.ends_with("shared") => inner.set("propagation", Node::text_at(span, option)),
                _ if is_bind && option.ends_with("slave") => inner.set("propagation", Node::text_at(span, option)),
                _ => {}
            }
        }
        if is_bind {
            inner.set("create_host_path", plain(span, "true"));
        }
        map.set(if is_bind { "bind" } else { "volume" }, Node::new(span, Value::Map(inner)));
        Some(map)
    }

    /// The command of a hook as a list, and its variables as a map.
    pub(super) fn hook(&self, item: Node) -> Node {
        let span = item.span;
        let Value::Map(mut map) = item.value else { return item };
        if let Some(command) = map.get_mut("command")
            && let (true, Value::Scalar(line)) = (self.resolved, &command.value.value)
            && let Ok(words) = shell_words::split(line)
        {
            command.value.value = list(span, words);
        }
        if let Some(environment) = map.remove("environment") {
            map.set("environment", rules::in_one_form(environment.value, &["services", "", "environment"]));
        }
        Node::new(span, Value::Map(map))
    }

    fn path(&self, text: &str) -> String {
        let context = Context::new(&self.model.environment, &self.model.folder, &self.model.name);
        let path =
            if text.starts_with('~') { context.path(text) } else { absolute(&self.model.folder, Path::new(text)) };
        path.display().to_string()
    }
}

pub(super) fn plain(span: Span, text: &str) -> Node {
    Node { plain: true, ..Node::text_at(span, text) }
}

pub(super) fn list(span: Span, words: Vec<String>) -> Value {
    Value::List(words.into_iter().map(|word| Node::text_at(span, word)).collect())
}

/// Sets missing fields.
pub(super) fn fill(map: &mut Map, span: Span, fields: &[(&str, &str)]) {
    for (key, value) in fields {
        if map.value(key).is_none() {
            map.set(key, plain(span, value));
        }
    }
}

/// A service that shares a namespace or volumes of another one, or links to it, implicitly depends on it.
pub(super) fn implied_dependencies(map: &mut Map, span: Span) {
    let mut implied: Vec<(String, bool)> = Vec::new();
    let shared = ["network_mode", "ipc", "pid"].into_iter().filter_map(|key| map.value(key)?.as_text());
    implied.extend(shared.filter_map(|mode| mode.strip_prefix("service:")).map(|name| (name.to_owned(), true)));
    for (key, restarts) in [("links", true), ("volumes_from", false)] {
        let Some(Value::List(items)) = map.value(key).map(|node| &node.value) else { continue };
        let names = items.iter().filter_map(Node::as_text).filter(|text| !text.starts_with("container:"));
        implied.extend(names.filter_map(|text| text.split(':').next()).map(|name| (name.to_owned(), restarts)));
    }
    if implied.is_empty() {
        return;
    }
    let mut all = map.value("depends_on").and_then(Node::as_map).cloned().unwrap_or_default();
    for (name, restarts) in implied {
        if all.get(&name).is_none() {
            let mut fields = Map::default();
            let restart = if restarts { Some(("restart", "true")) } else { None };
            fill(&mut fields, span, &[("condition", "service_started"), ("required", "true")]);
            fill(&mut fields, span, restart.as_slice());
            all.set(&name, Node::new(span, Value::Map(fields)));
        }
    }
    map.set("depends_on", Node::new(span, Value::Map(all)));
}

pub(super) fn port(mut map: Map, span: Span) -> Node {
    fill(&mut map, span, &[("mode", "ingress"), ("protocol", "tcp")]);
    Node::new(span, Value::Map(map))
}

pub(super) fn mounted(item: Node, is_secret: bool) -> Node {
    let span = item.span;
    let mut map = match item.value {
        Value::Map(map) => map,
        Value::Scalar(source) => {
            let mut map = Map::default();
            map.set("source", Node::text_at(span, source));
            map
        }
        value => return Node::new(span, value),
    };
    if is_secret && map.value("target").is_none() {
        let source = map.value("source").and_then(Node::as_text).unwrap_or_default();
        let target = format!("/run/secrets/{source}");
        map.set("target", Node::text_at(span, target));
    }
    Node::new(span, Value::Map(map))
}

pub(super) fn device(item: Node) -> Node {
    let Value::Scalar(spec) = &item.value else { return item };
    let parts: Vec<&str> = spec.split(':').collect();
    let (source, target, permissions) = match parts[..] {
        [source] => (source, source, "rwm"),
        [source, target] => (source, target, "rwm"),
        [source, target, permissions] => (source, target, permissions),
        _ => return item,
    };
    let mut map = Map::default();
    for (key, value) in [("source", source), ("target", target), ("permissions", permissions)] {
        map.set(key, Node::text_at(item.span, value));
    }
    Node::new(item.span, Value::Map(map))
}

pub(super) fn env_file(item: Node) -> Node {
    let span = item.span;
    let mut map = match item.value {
        Value::Map(map) => map,
        Value::Scalar(path) => {
            let mut map = Map::default();
            map.set("path", Node::text_at(span, path));
            map
        }
        value => return Node::new(span, value),
    };
    fill(&mut map, span, &[("required", "true")]);
    Node::new(span, Value::Map(map))
}
