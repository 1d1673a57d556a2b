//! `routes` of an app: which requests are its own.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::secrets::Declared;
use super::tls::{self, Source};
use crate::compose::context::Context;
use crate::compose::error::{Problem, Read};
use crate::compose::refuse;
use crate::compose::text::collections;
use crate::compose::text::node::{self, Node, Span, Value, clip};
use crate::compose::text::scalar::{boolean, expected, text};
use crate::model::{AppName, Route};

const EXAMPLE: &str = "write such as `routes: [{ host: app.example.com }, { path: /app, strip: true }]`";

/// A route, its place, and where its certificate comes from.
pub(super) type Routed = (Route, Span, Source);

pub(super) fn read(cx: &mut Context<'_>, entry: &node::Entry, files: &Declared) -> Vec<Routed> {
    let items = cx.keep(collections::list(entry).map_err(|problem| problem.hint(EXAMPLE)));
    if items.is_some_and(<[Node]>::is_empty) {
        let problem = Problem::at(entry.key_span, "`routes` is empty, so no request would reach the app");
        cx.refuse(problem.hint("remove the key for the default route, or remove `port` to make it a worker"));
    }
    let mut routes = Vec::new();
    for item in items.unwrap_or_default() {
        let read = route(cx, item, files);
        routes.extend(cx.keep(read).map(|(route, source)| (route, item.span, source)));
    }
    routes
}

/// Every name below `localhost` is this machine, so the default works without any DNS.
pub(super) fn default(service: &str, span: Span) -> Read<Routed> {
    let host = format!("{service}.localhost").to_ascii_lowercase();
    if valid_host(&host) {
        return Ok((Route { host: Some(host), path: "/".to_owned(), strip: false, tls: None }, span, Source::None));
    }
    Err(Problem::at(span, format!("`{host}` is not a host name, so `{service}` has no default route"))
        .hint("add `routes: [{ host: … }]`"))
}

fn route(cx: &mut Context<'_>, node: &Node, files: &Declared) -> Read<(Route, Source)> {
    let Value::Map(map) = &node.value else {
        return Err(expected("routes", "a list of maps", node).hint(EXAMPLE));
    };
    let (mut host, mut path, mut strip, mut secure, mut mistyped) = (None, None, false, None, None);
    for field in map.entries.iter().filter(|field| !field.value.is_null()) {
        match field.key.as_str() {
            "host" => host = Some(crate::compose::read::routes::host(field)?),
            "path" => path = Some(crate::compose::read::routes::path(field)?),
            // Kept unless asked for: an app that makes links needs to see the path that the user sees.
            "strip" => strip = boolean("strip", &field.value)?,
            "tls" => secure = Some(field),
            _ => mistyped = refuse::ROUTE.refusal(field).or(mistyped),
        }
    }
    if let Some(problem) = mistyped {
        return Err(problem);
    }
    if host.is_none() && path.is_none() {
        return Err(Problem::at(node.span, "a route needs a `host`, a `path` or both").hint(EXAMPLE));
    }
    // Last, because a certificate is for the host.
    let secure = secure.map(|field| tls::read(cx, field, host.as_deref(), files)).transpose()?.flatten();
    let (tls, source) = secure.map_or((None, Source::None), |(tls, source)| (Some(tls), source));
    Ok((Route { host, path: path.unwrap_or_else(|| "/".to_owned()), strip, tls }, source))
}

pub(super) fn host(field: &node::Entry) -> Read<String> {
    let written = text("host", &field.value)?;
    // Names are the same in any case, and the proxy compares bytes.
    let host = written.to_ascii_lowercase();
    if valid_host(host.strip_prefix("*.").unwrap_or(&host)) {
        return Ok(host);
    }
    let problem = field.expected("a host name such as `app.example.com` or `*.example.com`");
    Err(match written.split_once("://").map_or(written.as_str(), |(_, rest)| rest).split(['/', ':']).next() {
        Some(bare) if bare != written && valid_host(bare) => {
            problem.hint(format!("did you mean `{bare}`? the port is the proxy's, the path has a key of its own"))
        }
        _ => problem,
    })
}

pub(super) fn valid_host(host: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    host.len() <= 253 && host.split('.').all(label)
}

/// A prefix that ends at a segment boundary; a slash at its end means the same and is taken off.
pub(super) fn path(field: &node::Entry) -> Read<String> {
    let written = text("path", &field.value)?;
    let valid = |c: char| c.is_ascii_graphic() && !matches!(c, '?' | '#' | '%' | '\\' | '"' | '<' | '>' | '{' | '}');
    if !written.starts_with('/') || !written.chars().all(valid) {
        let wanted = "a path that starts with `/`, such as `/app`, without `?`, `#`, `%` or blanks";
        return Err(field.expected(wanted));
    }
    if written.contains('*') {
        let prefix = written.split('*').next().unwrap_or_default().trim_end_matches('/');
        let prefix = if prefix.is_empty() { "/" } else { prefix };
        return Err(field
            .expected("a path without `*`")
            .hint(format!("`{prefix}` is a prefix of every path below it")));
    }
    let odd = |segment: &str| matches!(segment, "" | "." | "..");
    let trimmed = written.trim_end_matches('/');
    if trimmed.split('/').skip(1).any(odd) {
        let shown = clip(&written);
        return Err(Problem::at(field.value.span, format!("path `{shown}` has an empty, `.` or `..` segment"))
            .hint("browsers and nginx take these away before a route is looked up"));
    }
    Ok(if trimmed.is_empty() { "/".to_owned() } else { trimmed.to_owned() })
}

/// One request has one app: no two routes of the file may be the same.
pub(super) fn check_distinct<'r>(cx: &mut Context<'_>, routes: impl Iterator<Item = (&'r AppName, &'r Routed)>) {
    let mut seen: HashMap<(&Option<String>, &str), (&AppName, Span)> = HashMap::new();
    for (app, (route, span, _)) in routes {
        match seen.entry((&route.host, &route.path)) {
            Entry::Vacant(free) => {
                free.insert((app, *span));
            }
            Entry::Occupied(taken) => {
                let (first, place) = taken.get();
                let line = place.line;
                let message = if *first == app {
                    format!("app `{app}` has route `{route}` twice, first in line {line}")
                } else {
                    format!("apps `{first}` and `{app}` have one route, `{route}`; that of `{first}` is in line {line}")
                };
                cx.refuse(Problem::at(*span, message).hint("give one of them another host or path"));
            }
        }
    }
}
