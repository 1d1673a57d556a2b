//! Merging compose files by the specification's rules.
//!
//! Maps are merged by key, lists are appended, and everything else is replaced; [`rule`] defines the exceptions. Short
//! and long forms are first converted to one form, so that their keys can be compared.

use crate::compose::error::{Problem, Read};
use crate::compose::text::node::{Entry, Map, Node, Span, Steer, Value, clip};

/// How two values of one key are merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// Depends on the types of the values.
    Plain,
    Replace,
    /// A text is the `context` of a map.
    Build,
    /// `NAME=value` in a list equals `NAME: value` in a map.
    Pairs,
    /// Names in a list equal the keys of a map.
    Names,
    /// Like `Names`; a name alone means condition `service_started`, required.
    Dependencies,
    /// A text equals a list with this one item.
    OneOrMore,
    /// `name=address`, in a list or as a map.
    Hosts,
    /// Options belong to a driver: they are not merged with those of another driver.
    Logging,
    /// Pools are identified by their `subnet`; the later list replaces the earlier one, merging pools of the same
    /// subnet.
    Pools,
}

fn rule(path: &[&str]) -> Rule {
    match path {
        ["services" | "jobs", _, rest @ ..] => match rest {
            ["command" | "entrypoint"] | ["healthcheck", "test"] | ["ulimits", _] => Rule::Replace,
            ["x-deploy-apps", "release" | "backup"] | ["x-deploy-apps", "release" | "backup", "command"] => {
                Rule::Replace
            }
            ["build"] => Rule::Build,
            ["annotations" | "environment" | "labels" | "sysctls"] => Rule::Pairs,
            ["build", "additional_contexts" | "args" | "labels"] | ["deploy", "labels"] => Rule::Pairs,
            ["models" | "networks"] => Rule::Names,
            ["depends_on"] => Rule::Dependencies,
            ["dns" | "dns_opt" | "dns_search" | "env_file" | "label_file" | "tmpfs"] => Rule::OneOrMore,
            ["extra_hosts"] | ["build", "extra_hosts"] => Rule::Hosts,
            ["logging"] => Rule::Logging,
            _ => Rule::Plain,
        },
        ["networks" | "volumes" | "secrets" | "configs", _, "labels"] => Rule::Pairs,
        ["networks", _, "ipam", "config"] => Rule::Pools,
        _ => Rule::Plain,
    }
}

/// The path of a value in the tree.
pub(super) type Path<'a> = Vec<&'a str>;

/// Merges a file over the previous ones.
pub(super) fn files(base: Node, over: Node) -> Read<Node> {
    merge(base, over, &[])
}

/// Merges a service over the one that it extends.
pub(super) fn services(base: Node, over: Node) -> Read<Node> {
    merge(base, over, &["services", "x"])
}

/// Merges a resource over one of the same name.
pub(super) fn resources(base: Node, over: Node, section: &str) -> Read<Node> {
    merge(base, over, &[section, "x"])
}

/// Merges `over` over `base`. `!reset` and `!override` stay marked, since the result may be merged over an earlier
/// file: see [`strip_tags`].
fn merge(base: Node, over: Node, path: &[&str]) -> Read<Node> {
    if over.steer.is_some() || base.steer == Some(Steer::Reset) {
        return Ok(over);
    }
    let rule = rule(path);
    if rule == Rule::Replace || base.is_null() {
        return Ok(over);
    }
    // A key without a value does not replace the previous value.
    if over.is_null() {
        return Ok(base);
    }
    let (base, over) = (in_form(rule, base), in_form(rule, over));
    let steer = base.steer;
    let merged = match (base.value, over.value) {
        (Value::Map(one), Value::Map(other)) if rule == Rule::Logging && differ(&one, &other, "driver") => {
            Value::Map(other)
        }
        (Value::Map(one), Value::Map(other)) if rule == Rule::Pairs => Value::Map(pairs(one, other)),
        (Value::Map(one), Value::Map(other)) => Value::Map(maps(one, other, path)?),
        (Value::List(one), Value::List(other)) if rule == Rule::Pools => Value::List(pools(one, other, path)?),
        (Value::List(mut one), Value::List(other)) => {
            // Duplicates are not appended.
            let fresh: Vec<Node> =
                other.into_iter().filter(|item| !one.iter().any(|known| known.means(item))).collect();
            one.extend(fresh);
            Value::List(one)
        }
        (Value::Scalar(_), over_value) => {
            return Ok(Node { value: over_value, span: over.span, plain: over.plain, steer });
        }
        (base_value, over_value) => {
            let (one, other) = (Node::new(base.span, base_value), Node::new(over.span, over_value));
            return Err(mismatch(&one, &other, path));
        }
    };
    Ok(Node { value: merged, span: over.span, plain: false, steer })
}

fn maps(mut base: Map, over: Map, path: &[&str]) -> Read<Map> {
    for entry in over.entries {
        let Some(at) = base.entries.iter().position(|known| known.key == entry.key) else {
            base.entries.push(entry);
            continue;
        };
        let known = &mut base.entries[at];
        let value = std::mem::replace(&mut known.value, Node::new(Span::default(), Value::Null));
        let inner: Path<'_> = path.iter().copied().chain([entry.key.as_str()]).collect();
        *known = Entry { value: merge(value, entry.value, &inner)?, key_span: entry.key_span, key: entry.key.clone() };
    }
    Ok(base)
}

/// In variables and labels a name without a value replaces a value too: it takes the value of the environment.
fn pairs(mut base: Map, over: Map) -> Map {
    for entry in over.entries {
        match base.get_mut(&entry.key) {
            Some(known) => *known = entry,
            None => base.entries.push(entry),
        }
    }
    base
}

fn pools(base: Vec<Node>, over: Vec<Node>, path: &[&str]) -> Read<Vec<Node>> {
    let subnet = |node: &Node| node.as_map().and_then(|map| map.value("subnet")?.as_text().map(str::to_owned));
    let merged = over.into_iter().map(|pool| match base.iter().find(|known| subnet(known) == subnet(&pool)) {
        Some(known) => merge(known.clone(), pool, &[path, &["[]"]].concat()),
        None => Ok(pool),
    });
    merged.collect()
}

fn differ(one: &Map, other: &Map, key: &str) -> bool {
    matches!((one.value(key), other.value(key)), (Some(one), Some(other)) if !one.means(other))
}

fn mismatch(base: &Node, over: &Node, path: &[&str]) -> Problem {
    let key = path.last().copied().unwrap_or("file");
    let message = format!(
        "`{}` is {} here, which cannot be merged with {} in the file before",
        clip(key),
        over.describe(),
        base.describe()
    );
    Problem::at(over.span, message)
        .hint(format!("write it in the same form, or replace it: `{}: !override …`", clip(key)))
}

/// Converts a value to the form used for merging: short forms become long ones.
pub(in crate::compose) fn in_one_form(node: Node, path: &[&str]) -> Node {
    in_form(rule(path), node)
}

/// Converts a value to the form in which its rule merges; invalid values are kept for their readers to refuse.
fn in_form(rule: Rule, node: Node) -> Node {
    let Node { span, value, plain, steer } = node;
    let value = match (rule, value) {
        (Rule::Build, Value::Scalar(text)) => {
            let context = Node { plain, ..Node::text_at(span, text) };
            Value::Map(Map { entries: vec![Entry { key: "context".to_owned(), key_span: span, value: context }] })
        }
        (Rule::OneOrMore, Value::Scalar(text)) => Value::List(vec![Node { plain, ..Node::text_at(span, text) }]),
        (Rule::Pairs, Value::List(items)) => keyed(items, |item| {
            let text = item.as_text()?;
            Some(match text.split_once('=') {
                Some((name, value)) => (name.to_owned(), Node::text_at(item.span, value)),
                None => (text.to_owned(), Node::new(item.span, Value::Null)),
            })
        }),
        (Rule::Names, Value::List(items)) => {
            keyed(items, |item| Some((item.as_text()?.to_owned(), Node::new(item.span, Value::Null))))
        }
        (Rule::Dependencies, Value::List(items)) => keyed(items, |item| {
            let field = |key: &str, text: &str| Entry {
                key: key.to_owned(),
                key_span: item.span,
                value: Node { plain: true, ..Node::text_at(item.span, text) },
            };
            let entries = vec![field("condition", "service_started"), field("required", "true")];
            Some((item.as_text()?.to_owned(), Node::new(item.span, Value::Map(Map { entries }))))
        }),
        (Rule::Hosts, Value::Map(map)) => Value::List(hosts(map)),
        (Rule::Hosts, Value::List(items)) => Value::List(items.into_iter().map(host).collect()),
        (_, value) => value,
    };
    Node { span, value, plain, steer }
}

/// The items as a map, where later items win; unchanged if an item has no key.
fn keyed(items: Vec<Node>, pair: impl Fn(&Node) -> Option<(String, Node)>) -> Value {
    let mut map = Map::default();
    for item in items.iter().filter(|item| item.steer != Some(Steer::Reset)) {
        match pair(item) {
            Some((key, value)) => map.set(&key, value),
            None => return Value::List(items),
        }
    }
    Value::Map(map)
}

/// `name:address` is the older syntax of `name=address`.
fn host(item: Node) -> Node {
    match item.as_text().filter(|text| !text.contains('=')).and_then(|text| text.split_once(':')) {
        Some((name, address)) => Node::text_at(item.span, format!("{name}={address}")),
        None => item,
    }
}

fn hosts(map: Map) -> Vec<Node> {
    let mut items = Vec::new();
    for Entry { key, value, .. } in map.entries {
        let addresses = match &value.value {
            Value::List(addresses) => addresses.iter().filter_map(Node::as_text).collect(),
            Value::Scalar(address) => vec![address.as_str()],
            _ => Vec::new(),
        };
        items.extend(addresses.into_iter().map(|address| Node::text_at(value.span, format!("{key}={address}"))));
    }
    items
}

/// Removes values marked with `!reset`, and the marks.
pub(in crate::compose) fn strip_tags(node: &mut Node) {
    node.steer = None;
    let stays = |node: &Node| node.steer != Some(Steer::Reset);
    match &mut node.value {
        Value::Map(map) => {
            map.entries.retain(|entry| stays(&entry.value));
            map.entries.iter_mut().for_each(|entry| strip_tags(&mut entry.value));
        }
        Value::List(items) => {
            items.retain(stays);
            items.iter_mut().for_each(strip_tags);
        }
        Value::Null | Value::Scalar(_) => {}
    }
}
