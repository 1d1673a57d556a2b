//! Readers of lists and maps in compose's alternative forms.

use indexmap::IndexMap;

use super::node::{Entry, Map, Node, Span, Value};
use super::scalar::{expected, raw, text};
use super::shell_words;
use crate::compose::error::{Problem, Read};

/// A map, or an empty one for an empty value.
pub(in crate::compose) fn map(entry: &Entry) -> Read<&Map> {
    static EMPTY: Map = Map { entries: Vec::new() };
    match &entry.value.value {
        Value::Map(map) => Ok(map),
        Value::Null => Ok(&EMPTY),
        _ => Err(entry.expected("a map")),
    }
}

/// A list, or an empty one for an empty value.
pub(in crate::compose) fn list(entry: &Entry) -> Read<&[Node]> {
    match &entry.value.value {
        Value::List(items) => Ok(items),
        Value::Null => Ok(&[]),
        _ => Err(entry.expected("a list")),
    }
}

/// A list of texts.
pub(in crate::compose) fn texts(entry: &Entry) -> Read<Vec<String>> {
    list(entry)?.iter().map(|item| text(&entry.key, item)).collect()
}

/// One text, or a list of them.
pub(in crate::compose) fn one_or_more(entry: &Entry) -> Read<Vec<(String, Span)>> {
    match &entry.value.value {
        Value::Scalar(_) => Ok(vec![(entry.text()?, entry.value.span)]),
        _ => list(entry)?.iter().map(|item| Ok((text(&entry.key, item)?, item.span))).collect(),
    }
}

/// `NAME: value` in a map or `NAME=value` in a list; `None` for a name without a value.
pub(in crate::compose) fn pairs(entry: &Entry) -> Read<Vec<(String, Option<String>, Span)>> {
    let pairs: Vec<(String, Option<String>, Span)> = match &entry.value.value {
        Value::Map(map) => map
            .entries
            .iter()
            .map(|pair| match &pair.value.value {
                Value::Null => Ok((pair.key.clone(), None, pair.key_span)),
                _ => Ok((pair.key.clone(), Some(raw(&pair.key, &pair.value)?.to_owned()), pair.key_span)),
            })
            .collect::<Read<_>>()?,
        Value::List(items) => items
            .iter()
            .map(|item| {
                let text = text(&entry.key, item)?;
                let (name, value) = match text.split_once('=') {
                    Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                    None => (text, None),
                };
                Ok((name, value, item.span))
            })
            .collect::<Read<_>>()?,
        Value::Null => Vec::new(),
        Value::Scalar(_) => return Err(entry.expected("a map or a list of `NAME=value`")),
    };
    match pairs.iter().find(|(name, value, _)| {
        name.is_empty() || name.contains(['\0', '=']) || value.as_ref().is_some_and(|value| value.contains('\0'))
    }) {
        Some((_, _, span)) => {
            Err(Problem::at(*span, format!("`{}` needs a name before `=`, and no NUL character", entry.key)))
        }
        None => Ok(pairs),
    }
}

/// Like [`pairs`], with an empty value for a name without a value.
pub(in crate::compose) fn string_map(entry: &Entry) -> Read<IndexMap<String, String>> {
    Ok(pairs(entry)?.into_iter().map(|(name, value, _)| (name, value.unwrap_or_default())).collect())
}

/// A command: a list is used unchanged, a text is split into words by shell rules, but no shell runs it.
pub(in crate::compose) fn command(what: &str, node: &Node) -> Read<Vec<String>> {
    match &node.value {
        Value::List(items) => items
            .iter()
            .map(|item| match raw(what, item) {
                Ok(word) if !word.contains('\0') => Ok(word.to_owned()),
                _ => Err(expected(what, "a list of texts", item)),
            })
            .collect(),
        Value::Scalar(line) => shell_words::split(line).map_err(|reason| {
            Problem::at(node.span, format!("`{what}` {reason}"))
                .hint("no shell runs it; write a list such as `[\"sh\", \"-c\", \"…\"]` for shell syntax")
        }),
        _ => Err(expected(what, "a text or a list", node)),
    }
}

/// `name: address` in a map, or `name:address` and `name=address` in a list, in the engine's form.
pub(in crate::compose) fn hosts(entry: &Entry) -> Read<Vec<String>> {
    let invalid = |span: Span, shown: &str| {
        let message = format!("`{}` must hold `name=address`, not `{}`", entry.key, super::node::clip(shown));
        Problem::at(span, message).hint("write such as `db.internal=10.0.0.5` or `host.docker.internal=host-gateway`")
    };
    let mut hosts = Vec::new();
    let mut add = |name: &str, address: &str, span: Span| {
        let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
        if name.is_empty()
            || bare.is_empty()
            || (name.to_owned() + bare).contains(|c: char| c.is_whitespace() || c == '\0')
        {
            return Err(invalid(span, &format!("{name}={address}")));
        }
        hosts.push(format!("{name}:{bare}"));
        Ok(())
    };
    match &entry.value.value {
        Value::Null => {}
        Value::Scalar(_) => return Err(entry.expected("a map or a list of `name=address`")),
        Value::List(items) => {
            for item in items {
                let text = text(&entry.key, item)?;
                let (name, address) =
                    text.split_once('=').or_else(|| text.split_once(':')).ok_or_else(|| invalid(item.span, &text))?;
                add(name.trim(), address.trim(), item.span)?;
            }
        }
        Value::Map(map) => {
            for host in &map.entries {
                for (address, span) in one_or_more(host)? {
                    add(&host.key, &address, span)?;
                }
            }
        }
    }
    Ok(hosts)
}
