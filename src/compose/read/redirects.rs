//! `redirects` of an app: requests that the proxy answers with another address.

use super::routes::{self, Routed};
use super::tls::Source;
use crate::compose::context::Context;
use crate::compose::error::{Problem, Read};
use crate::compose::refuse;
use crate::compose::text::collections;
use crate::compose::text::node::{self, Node, Span, Value};
use crate::compose::text::scalar::{choice, expected, text};
use crate::model::{Redirect, Route};

const EXAMPLE: &str = "write such as `redirects: [{ host: www.example.com, to: example.com, status: 301 }]`";
const LONGEST: usize = 1024;

pub(super) fn read(cx: &mut Context<'_>, entry: &node::Entry) -> Vec<(Redirect, Span)> {
    let items = cx.keep(collections::list(entry).map_err(|problem| problem.hint(EXAMPLE)));
    let mut redirects = Vec::new();
    for item in items.unwrap_or_default() {
        redirects.extend(cx.keep(redirect(item)).map(|redirect| (redirect, item.span)));
    }
    redirects
}

fn redirect(node: &Node) -> Read<Redirect> {
    let Value::Map(map) = &node.value else {
        return Err(expected("redirects", "a list of maps", node).hint(EXAMPLE));
    };
    let (mut host, mut path, mut to, mut status, mut mistyped) = (None, None, None, Redirect::DEFAULT_STATUS, None);
    for field in map.entries.iter().filter(|field| !field.value.is_null()) {
        match field.key.as_str() {
            "host" => host = Some(routes::host(field)?),
            "path" => path = Some(routes::path(field)?),
            "to" => to = Some(target(field)?),
            "status" => {
                let statuses = [("301", 301), ("302", 302), ("307", 307), ("308", 308)];
                status = choice("status", &field.value, &statuses)?;
            }
            _ => mistyped = refuse::REDIRECT.refusal(field).or(mistyped),
        }
    }
    if let Some(problem) = mistyped {
        return Err(problem);
    }
    if host.is_none() && path.is_none() {
        return Err(Problem::at(node.span, "a redirect needs a `host`, a `path` or both").hint(EXAMPLE));
    }
    let Some(to) = to else { return Err(Problem::at(node.span, "a redirect needs a `to`").hint(EXAMPLE)) };
    Ok(Redirect { host, path: path.unwrap_or_else(|| "/".to_owned()), to, status })
}

/// A host with or without a port, a path, or a URL.
fn target(field: &node::Entry) -> Read<String> {
    let written = text("to", &field.value)?;
    let wrong = || {
        field
            .expected("a host such as `example.com`, a path such as `/new`, or a URL such as `https://example.com/new`")
    };
    let rest = written.strip_prefix("https://").or_else(|| written.strip_prefix("http://"));
    let (place, path) = match rest.unwrap_or(&written).find('/') {
        Some(slash) => rest.unwrap_or(&written).split_at(slash),
        None => (rest.unwrap_or(&written), ""),
    };
    let valid = |c: char| c.is_ascii_alphanumeric() || "-._~:/%!$&'()*+,;=@".contains(c);
    let is_path_alone = rest.is_none() && place.is_empty();
    let is_odd = rest.is_none() && !place.is_empty() && !path.is_empty();
    if written.len() > LONGEST || !path.chars().all(valid) || path.starts_with("//") || is_odd {
        return Err(wrong());
    }
    if !is_path_alone && !valid_place(place) {
        return Err(wrong());
    }
    // Hosts are the same in any case; a slash at the end of a path means the same as none.
    let scheme = written.len() - rest.map_or(written.len(), str::len);
    let path = if path.len() > 1 { path.trim_end_matches('/') } else { path };
    Ok(format!("{}{}{path}", &written[..scheme], place.to_ascii_lowercase()))
}

fn valid_place(place: &str) -> bool {
    let (host, port) = place.split_once(':').unwrap_or((place, "1"));
    let is_port = port.chars().all(|c| c.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0);
    is_port && routes::valid_host(&host.to_ascii_lowercase())
}

/// Those that no client could follow are refused. A host that no route of the app has becomes a route, so that its requests
/// come here.
pub(super) fn settle(
    cx: &mut Context<'_>,
    redirects: Vec<(Redirect, Span)>,
    routes: &mut Vec<Routed>,
) -> Vec<Redirect> {
    for (redirect, span) in &redirects {
        let hosts = routes.iter().filter_map(|(route, ..)| route.host.as_deref());
        if redirect.leads_to_itself(hosts) {
            let problem = Problem::at(*span, format!("the redirect of {redirect} leads to itself"));
            cx.refuse(problem.hint("name another host, or a path that is not below its own, in `to`"));
        }
    }
    for (redirect, span) in &redirects {
        let Some(wanted) = redirect.route() else { continue };
        let has = |route: &Route| {
            let rest = wanted.path.strip_prefix(route.path.trim_end_matches('/'));
            route.host == wanted.host && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if !routes.iter().any(|(route, ..)| has(route)) {
            routes.push((wanted, *span, Source::None));
        }
    }
    redirects.into_iter().map(|(redirect, _)| redirect).collect()
}
