//! Keys of a service that are passed to the container unchanged.

use std::collections::BTreeMap;

use indexmap::IndexMap;

use super::healthcheck;
use crate::compose::context::Context;
use crate::compose::error::{Problem, Read};
use crate::compose::refuse;
use crate::compose::text::collections;
use crate::compose::text::node::{Entry, Node, Span, Value, clip};
use crate::compose::text::scalar::raw;
use crate::model::{ContainerSpec, Label, Logging, Ulimit};

/// Reads one key into the spec; refuses an unknown key.
pub(super) fn read(cx: &mut Context<'_>, field: &Entry, is_app: bool, spec: &mut ContainerSpec) {
    match field.key.as_str() {
        "command" => cx.set_some(&mut spec.command, collections::command("command", &field.value)),
        "entrypoint" => cx.set_some(&mut spec.entrypoint, collections::command("entrypoint", &field.value)),
        "user" => cx.set_some(&mut spec.user, field.text()),
        "working_dir" => cx.set_some(&mut spec.working_dir, field.text()),
        "hostname" => cx.set_some(&mut spec.hostname, hostname(field)),
        "init" => cx.set(&mut spec.init, field.boolean()),
        "read_only" => cx.set(&mut spec.read_only, field.boolean()),
        "annotations" => {
            let read = collections::string_map(field).map(|map| map.into_iter().collect());
            cx.set(&mut spec.annotations, read);
        }
        "dns" => cx.set(&mut spec.dns.servers, servers(field)),
        "dns_opt" => cx.set(&mut spec.dns.options, all_texts(field)),
        "dns_search" => cx.set(&mut spec.dns.search, all_texts(field)),
        "domainname" => cx.set_some(&mut spec.dns.domainname, hostname(field)),
        "platform" => cx.set_some(&mut spec.platform, platform(field)),
        "tty" => cx.set(&mut spec.tty, field.boolean()),
        "stdin_open" => cx.set(&mut spec.stdin_open, field.boolean()),
        "extra_hosts" => cx.set(&mut spec.extra_hosts, collections::hosts(field)),
        "cap_add" => cx.set(&mut spec.cap_add, collections::texts(field)),
        "cap_drop" => cx.set(&mut spec.cap_drop, collections::texts(field)),
        "security_opt" => cx.set(&mut spec.security_opt, collections::texts(field)),
        "ulimits" => cx.set(&mut spec.ulimits, ulimits(field)),
        "sysctls" => {
            let read = collections::string_map(field).map(|map| map.into_iter().collect());
            cx.set(&mut spec.sysctls, read);
        }
        "logging" => spec.logging = logging(cx, field),
        "stop_signal" => cx.set_some(&mut spec.stop_signal, stop_signal(field)),
        "stop_grace_period" => cx.set_some(&mut spec.stop_grace, field.duration()),
        "healthcheck" => spec.healthcheck = healthcheck::read(cx, field),
        // A known key, but not supported for apps.
        "container_name" if is_app => cx.refuse(
            Problem::at(field.key_span, "`container_name` is not supported for an app")
                .hint(
                    "remove it: old and new replicas run beside each other and need names of their own; \
                 reach the service by its name",
                )
                .unsupported(),
        ),
        _ => refuse::SERVICE.judge(cx, field),
    }
}

/// A text or a list of texts, without their positions.
fn all_texts(field: &Entry) -> Read<Vec<String>> {
    Ok(collections::one_or_more(field)?.into_iter().map(|(text, _)| text).collect())
}

fn servers(field: &Entry) -> Read<Vec<String>> {
    let servers = collections::one_or_more(field)?;
    match servers.iter().find(|(text, _)| text.parse::<std::net::IpAddr>().is_err()) {
        None => Ok(servers.into_iter().map(|(text, _)| text).collect()),
        Some((text, span)) => Err(Problem::at(*span, format!("`{}` is not the address of a DNS server", clip(text)))
            .hint("write an address such as `10.0.0.53`")),
    }
}

/// `os/architecture[/variant]`; the engine checks whether it is supported.
pub(super) fn platform(field: &Entry) -> Read<String> {
    let text = field.text()?;
    let part = |part: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
    };
    let parts = text.split('/').count();
    if (1..=3).contains(&parts) && text.split('/').all(part) {
        Ok(text)
    } else {
        Err(field.expected("a platform such as `linux/amd64`"))
    }
}

/// Labels of the label files, overridden by the service's own.
pub(in crate::compose) fn all_labels(
    cx: &mut Context<'_>,
    files: Option<&Entry>,
    own: Option<&Entry>,
) -> IndexMap<String, String> {
    let mut all = IndexMap::new();
    if let Some(entry) = files.filter(|entry| !entry.value.is_null()) {
        for (path, span) in cx.keep(collections::one_or_more(entry)).unwrap_or_default() {
            let read = label_file(cx, &path, span).and_then(|labels| unreserved(labels, span));
            all.extend(cx.keep(read).unwrap_or_default());
        }
    }
    if let Some(entry) = own.filter(|entry| !entry.value.is_null()) {
        all.extend(cx.keep(labels(entry)).unwrap_or_default());
    }
    all
}

/// `name=value` lines; `#` starts a comment.
fn label_file(cx: &Context<'_>, path: &str, span: Span) -> Read<IndexMap<String, String>> {
    let path = cx.path(path);
    let text = crate::compose::merge::source::read(&path).map_err(|(_, what, hint)| {
        Problem::at(span, format!("label file `{}` {what}", path.display())).hint(hint).missing()
    })?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let pair = |line: &str| match line.split_once('=') {
        Some((name, value)) => (name.trim().to_owned(), value.trim().trim_matches('"').to_owned()),
        None => (line.to_owned(), String::new()),
    };
    Ok(lines.map(pair).collect())
}

/// The kernel's limit is 64 bytes, including the terminator.
fn hostname(field: &Entry) -> Read<String> {
    let text = field.text()?;
    // The engine checks the characters: it allows more than DNS names.
    let wrong = |c: char| c.is_control() || c.is_whitespace();
    if text.len() <= 63 && !text.contains(wrong) {
        Ok(text)
    } else {
        Err(field.expected("at most 63 bytes without blanks"))
    }
}

/// By name or number; the engine checks whether it exists.
fn stop_signal(field: &Entry) -> Read<String> {
    let text = field.text()?;
    let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-');
    if text.len() <= 16 && text.chars().all(valid) {
        Ok(text)
    } else {
        Err(field.expected("a signal such as `SIGQUIT`"))
    }
}

/// Labels of a container or an image. Keys of our own labels are refused: those labels are the only record of what
/// runs.
pub(super) fn labels(field: &Entry) -> Read<IndexMap<String, String>> {
    unreserved(collections::string_map(field)?, field.key_span)
}

fn unreserved(labels: IndexMap<String, String>, span: Span) -> Read<IndexMap<String, String>> {
    let prefix = Label::PROJECT.split_inclusive('.').next().unwrap_or_default();
    match labels.keys().find(|label| label.starts_with(prefix)) {
        None => Ok(labels),
        Some(label) => Err(Problem::at(span, format!("label `{}` is reserved", clip(label)))
            .hint(format!("choose a name that does not start with `{prefix}`"))),
    }
}

/// A single number sets both limits.
pub(super) fn ulimits(field: &Entry) -> Read<Vec<Ulimit>> {
    let value = |what: &str, node: &Node| match raw(what, node).ok().and_then(|text| text.parse::<i64>().ok()) {
        Some(value) if value >= -1 => Ok(value),
        _ => Err(crate::compose::text::scalar::expected(what, "a whole number, or -1 for no limit", node)),
    };
    let mut ulimits = Vec::new();
    for limit in &collections::map(field)?.entries {
        let (soft, hard) = match &limit.value.value {
            Value::Map(map) => {
                if let Some(problem) = map
                    .entries
                    .iter()
                    .find(|entry| !refuse::ULIMIT.known.contains(&entry.key.as_str()))
                    .and_then(|entry| refuse::ULIMIT.refusal(entry))
                {
                    return Err(problem);
                }
                match (map.get("soft"), map.get("hard")) {
                    (Some(soft), Some(hard)) => (value("soft", &soft.value)?, value("hard", &hard.value)?),
                    _ => {
                        return Err(Problem::at(
                            limit.key_span,
                            format!("ulimit `{}` needs `soft` and `hard`", clip(&limit.key)),
                        )
                        .hint("give both, or one number for both"));
                    }
                }
            }
            _ => value(&limit.key, &limit.value).map(|value| (value, value))?,
        };
        ulimits.push(Ulimit { name: limit.key.clone(), soft, hard });
    }
    Ok(ulimits)
}

/// Options without a driver are for the engine's default driver.
pub(super) fn logging(cx: &mut Context<'_>, entry: &Entry) -> Option<Logging> {
    let map = cx.keep(collections::map(entry))?;
    let mut logging = Logging { driver: String::new(), options: BTreeMap::new() };
    for field in map.entries.iter().filter(|field| !field.value.is_null()) {
        match field.key.as_str() {
            "driver" => cx.set(&mut logging.driver, field.text()),
            "options" => {
                let read = collections::string_map(field).map(|map| map.into_iter().collect());
                cx.set(&mut logging.options, read);
            }
            _ => refuse::LOGGING.judge(cx, field),
        }
    }
    Some(logging)
}
