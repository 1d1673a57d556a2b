//! The keys of a service that go into the container as they are.

use std::collections::BTreeMap;

use indexmap::IndexMap;

use super::collect;
use super::context::Context;
use super::error::{Problem, Read};
use super::healthcheck;
use super::node::{Entry, Node, Value, clip};
use super::refuse;
use super::scalar::raw;
use crate::model::{ContainerSpec, Label, Logging, Ulimit};

/// Reads one key into the spec; a key that is none of these is refused.
pub(super) fn read(cx: &mut Context<'_>, field: &Entry, spec: &mut ContainerSpec) {
    match field.key.as_str() {
        "command" => cx.set_some(&mut spec.command, collect::command("command", &field.value)),
        "entrypoint" => cx.set_some(&mut spec.entrypoint, collect::command("entrypoint", &field.value)),
        "user" => cx.set_some(&mut spec.user, field.text()),
        "working_dir" => cx.set_some(&mut spec.working_dir, field.text()),
        "hostname" => cx.set_some(&mut spec.hostname, hostname(field)),
        "init" => cx.set(&mut spec.init, field.boolean()),
        "read_only" => cx.set(&mut spec.read_only, field.boolean()),
        "labels" => cx.set(&mut spec.labels, labels(field)),
        "extra_hosts" => cx.set(&mut spec.extra_hosts, collect::hosts(field)),
        "cap_add" => cx.set(&mut spec.cap_add, collect::texts(field)),
        "cap_drop" => cx.set(&mut spec.cap_drop, collect::texts(field)),
        "security_opt" => cx.set(&mut spec.security_opt, collect::texts(field)),
        "ulimits" => cx.set(&mut spec.ulimits, ulimits(field)),
        "sysctls" => {
            let read = collect::string_map(field).map(|map| map.into_iter().collect());
            cx.set(&mut spec.sysctls, read);
        }
        "logging" => spec.logging = logging(cx, field),
        "stop_signal" => cx.set_some(&mut spec.stop_signal, stop_signal(field)),
        "stop_grace_period" => cx.set_some(&mut spec.stop_grace, field.duration()),
        "healthcheck" => spec.healthcheck = healthcheck::read(cx, field),
        _ => refuse::SERVICE.judge(cx, field),
    }
}

/// The kernel's own limit is 64 bytes with its end mark.
fn hostname(field: &Entry) -> Read<String> {
    let text = field.text()?;
    let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if text.len() <= 63 && text.chars().all(valid) {
        Ok(text)
    } else {
        Err(field.expected("at most 63 letters, digits, `-`, `_` and `.`"))
    }
}

/// By name or number; which of them exist is the engine's to know.
fn stop_signal(field: &Entry) -> Read<String> {
    let text = field.text()?;
    let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-');
    if text.len() <= 16 && text.chars().all(valid) {
        Ok(text)
    } else {
        Err(field.expected("a signal such as `SIGQUIT`"))
    }
}

/// Labels of a container or an image. Ours are the only memory of what runs; a user's must not look like one.
pub(super) fn labels(field: &Entry) -> Read<IndexMap<String, String>> {
    let labels = collect::string_map(field)?;
    let prefix = Label::PROJECT.split_inclusive('.').next().unwrap_or_default();
    match labels.keys().find(|label| label.starts_with(prefix)) {
        None => Ok(labels),
        Some(label) => Err(Problem::at(field.key_span, format!("label `{}` is reserved", clip(label)))
            .hint(format!("choose a name that does not start with `{prefix}`"))),
    }
}

/// One number is both limits.
fn ulimits(field: &Entry) -> Read<Vec<Ulimit>> {
    let value = |what: &str, node: &Node| match raw(what, node).ok().and_then(|text| text.parse::<i64>().ok()) {
        Some(value) if value >= -1 => Ok(value),
        _ => Err(super::scalar::expected(what, "a whole number, or -1 for no limit", node)),
    };
    let mut ulimits = Vec::new();
    for limit in &collect::map(field)?.entries {
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
fn logging(cx: &mut Context<'_>, entry: &Entry) -> Option<Logging> {
    let map = cx.keep(collect::map(entry))?;
    let mut logging = Logging { driver: String::new(), options: BTreeMap::new() };
    for field in map.entries.iter().filter(|field| !field.value.is_null()) {
        match field.key.as_str() {
            "driver" => cx.set(&mut logging.driver, field.text()),
            "options" => {
                let read = collect::string_map(field).map(|map| map.into_iter().collect());
                cx.set(&mut logging.options, read);
            }
            _ => refuse::LOGGING.judge(cx, field),
        }
    }
    Some(logging)
}
