//! Keys of a service for namespaces and devices shared with the host.

use std::collections::BTreeMap;

use super::references::Others;
use crate::compose::context::Context;
use crate::compose::error::{Problem, Read};
use crate::compose::refuse::{self, Section};
use crate::compose::text::collections;
use crate::compose::text::node::{Entry, Map, Node, Value, clip};
use crate::compose::text::scalar::{bytes, expected, number, raw, text};
use crate::model::{Device, DeviceRequest, HostAccess};

/// Reads one key; `false` if it is none of these.
pub(super) fn read(cx: &mut Context<'_>, field: &Entry, host: &mut HostAccess, others: &mut Others<'_>) -> bool {
    match field.key.as_str() {
        "privileged" => cx.set(&mut host.privileged, field.boolean()),
        "cgroup" => cx.set_some(&mut host.cgroup, one_of(field, &["host", "private"])),
        "cgroup_parent" => cx.set_some(&mut host.cgroup_parent, field.text()),
        "ipc" => {
            let read = shared(field, &["shareable", "private", "host", "none"], others);
            cx.set_some(&mut host.ipc, read);
        }
        "pid" => {
            let read = shared(field, &["host"], others);
            cx.set_some(&mut host.pid, read);
        }
        "uts" => cx.set_some(&mut host.uts, one_of(field, &["host"])),
        "userns_mode" => cx.set_some(&mut host.userns, one_of(field, &["host"])),
        "runtime" => cx.set_some(&mut host.runtime, field.text()),
        "devices" => devices(cx, field, host),
        "device_cgroup_rules" => cx.set(&mut host.device_cgroup_rules, cgroup_rules(field)),
        "gpus" => host.device_requests.extend(gpus(cx, field)),
        "group_add" => cx.set(&mut host.group_add, collections::texts(field)),
        "shm_size" => host.shm_bytes = cx.keep(bytes("shm_size", &field.value)).filter(|bytes| *bytes > 0),
        "storage_opt" => {
            let read = collections::string_map(field).map(|map| map.into_iter().collect());
            cx.set(&mut host.storage_opt, read);
        }
        "oom_kill_disable" => cx.set(&mut host.oom_kill_disable, field.boolean()),
        "oom_score_adj" => {
            cx.set_some(&mut host.oom_score_adj, number("oom_score_adj", &field.value, -1000..=1000));
        }
        // The engine on Linux has only one kind, so that value has no effect.
        "isolation" => {
            if !matches!(field.text().as_deref(), Ok("default")) {
                let problem = field.expected("`default`").hint("remove it: the other kinds are for Windows containers");
                cx.refuse(problem.unsupported());
            }
        }
        _ => return false,
    }
    true
}

fn one_of(field: &Entry, words: &[&str]) -> Read<String> {
    let text = field.text()?;
    if words.contains(&text.as_str()) { Ok(text) } else { Err(field.expected(&listed(words))) }
}

fn listed(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

/// One of the given words, or the namespace of another container.
fn shared(field: &Entry, words: &[&str], others: &mut Others<'_>) -> Read<String> {
    let text = field.text()?;
    if words.contains(&text.as_str()) {
        return Ok(text);
    }
    match others.namespace(&text, field)? {
        Some(container) => Ok(container),
        None => Err(field.expected(&format!("{}, `service:…` or `container:…`", listed(words)))),
    }
}

/// `/dev/one[:/dev/two[:rwm]]`, a map, or the name of a CDI device.
fn devices(cx: &mut Context<'_>, entry: &Entry, host: &mut HostAccess) {
    for item in cx.keep(collections::list(entry)).unwrap_or_default() {
        match &item.value {
            Value::Map(map) => {
                let read = device(cx, map, item);
                host.devices.extend(cx.keep(read));
            }
            _ => match text("devices", item) {
                Ok(name) if !name.starts_with('/') && name.contains('=') => {
                    let request = DeviceRequest { driver: "cdi".to_owned(), ids: vec![name], ..Default::default() };
                    host.device_requests.push(request);
                }
                read => {
                    let read = read.and_then(|spec| short_device(&spec, item));
                    host.devices.extend(cx.keep(read));
                }
            },
        }
    }
}

fn short_device(spec: &str, item: &Node) -> Read<Device> {
    let (source, target, permissions) = match spec.split(':').collect::<Vec<_>>()[..] {
        [source] => (source, source, "rwm"),
        // With two parts the second is a path or the permissions, like in the docker CLI.
        [source, second] if second.starts_with('/') => (source, second, "rwm"),
        [source, second] => (source, source, second),
        [source, target, permissions] => (source, target, permissions),
        _ => ("", "", ""),
    };
    checked_device(source, target, permissions).ok_or_else(|| {
        Problem::at(item.span, format!("`{}` is not a device mapping", clip(spec)))
            .hint("write such as `/dev/ttyUSB0`, `/dev/sda:/dev/xvda` or `/dev/sda:/dev/xvda:r`")
    })
}

fn checked_device(source: &str, target: &str, permissions: &str) -> Option<Device> {
    let valid = source.starts_with('/')
        && target.starts_with('/')
        && !permissions.is_empty()
        && permissions.chars().all(|c| matches!(c, 'r' | 'w' | 'm'));
    valid.then(|| Device { source: source.into(), target: target.into(), permissions: permissions.into() })
}

fn device(cx: &mut Context<'_>, map: &Map, item: &Node) -> Read<Device> {
    unknown_in(cx, map, &refuse::DEVICE);
    let field = |key: &str| map.get(key).filter(|field| !field.value.is_null()).map(Entry::text).transpose();
    let source = field("source")?.ok_or_else(|| {
        Problem::at(item.span, "a device needs its `source`").hint("add `source: /dev/…`, its path on the host")
    })?;
    let target = field("target")?.unwrap_or_else(|| source.clone());
    let permissions = field("permissions")?.unwrap_or_else(|| "rwm".to_owned());
    checked_device(&source, &target, &permissions).ok_or_else(|| {
        Problem::at(item.span, "a device needs absolute paths, and permissions of `r`, `w` and `m`")
            .hint("write such as `{ source: /dev/sda, target: /dev/xvda, permissions: r }`")
    })
}

fn unknown_in(cx: &mut Context<'_>, map: &Map, section: &Section) {
    for field in map.entries.iter().filter(|field| !section.known.contains(&field.key.as_str())) {
        section.judge(cx, field);
    }
}

/// `c 1:3 mr`: type, device numbers, permissions.
fn cgroup_rules(entry: &Entry) -> Read<Vec<String>> {
    let rules = collections::texts(entry)?;
    let valid = |rule: &&String| {
        let parts: Vec<&str> = rule.split_whitespace().collect();
        matches!(parts[..], [kind, numbers, permissions]
            if matches!(kind, "a" | "b" | "c")
                && numbers.split(':').count() == 2
                && numbers.chars().all(|c| c.is_ascii_digit() || matches!(c, ':' | '*'))
                && permissions.chars().all(|c| matches!(c, 'r' | 'w' | 'm')))
    };
    match rules.iter().find(|rule| !valid(rule)) {
        None => Ok(rules),
        Some(rule) => Err(Problem::at(entry.value.span, format!("`{}` is not a device rule", clip(rule)))
            .hint("write such as `c 1:3 mr` or `a 7:* rmw`")),
    }
}

/// `all`, or a list of requests.
fn gpus(cx: &mut Context<'_>, entry: &Entry) -> Vec<DeviceRequest> {
    let gpu = || vec!["gpu".to_owned()];
    if entry.value.as_text() == Some("all") {
        return vec![DeviceRequest { count: -1, capabilities: gpu(), ..DeviceRequest::default() }];
    }
    let mut requests = requests(cx, entry);
    for request in &mut requests {
        if !request.capabilities.iter().any(|capability| capability == "gpu") {
            request.capabilities.extend(gpu());
        }
    }
    requests
}

/// `gpus` as a list, or `deploy.resources.reservations.devices`.
pub(super) fn requests(cx: &mut Context<'_>, entry: &Entry) -> Vec<DeviceRequest> {
    let mut requests = Vec::new();
    for item in cx.keep(collections::list(entry)).unwrap_or_default() {
        let Value::Map(map) = &item.value else {
            cx.refuse(expected(&entry.key, "a list of maps, such as `{ driver: nvidia, count: 1 }`", item));
            continue;
        };
        let read = request(cx, map, item);
        requests.extend(cx.keep(read));
    }
    requests
}

fn request(cx: &mut Context<'_>, map: &Map, item: &Node) -> Read<DeviceRequest> {
    let mut request = DeviceRequest::default();
    let mut count = None;
    for field in map.entries.iter().filter(|field| !field.value.is_null()) {
        match field.key.as_str() {
            "driver" => request.driver = field.text()?,
            "device_ids" => request.ids = collections::texts(field)?,
            "capabilities" => request.capabilities = collections::texts(field)?,
            "options" => request.options = collections::string_map(field)?.into_iter().collect::<BTreeMap<_, _>>(),
            "count" if raw("count", &field.value)? == "all" => count = Some(-1),
            "count" => count = Some(number("count", &field.value, -1..=1024)?),
            _ => refuse::DEVICE_REQUEST.judge(cx, field),
        }
    }
    match (count, request.ids.is_empty()) {
        (Some(_), false) => {
            return Err(Problem::at(item.span, "`count` and `device_ids` exclude each other").hint("keep one of them"));
        }
        (count, true) => request.count = count.unwrap_or(-1),
        (None, false) => {}
    }
    Ok(request)
}
