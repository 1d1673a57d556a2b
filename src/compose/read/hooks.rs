//! `pre_start`, `post_start` and `pre_stop`.

use std::time::Duration;

use crate::compose::context::Context;
use crate::compose::error::Problem;
use crate::compose::refuse::{self, Section};
use crate::compose::text::collections;
use crate::compose::text::node::{Entry, Map, Node, Value};
use crate::compose::text::scalar::expected;
use crate::model::{Hook, Hooks, ReleaseCommand};

/// Default timeouts of a service's hooks.
#[derive(Debug, Clone, Copy)]
pub(super) struct HookLimits {
    /// The time limit for a replica to become healthy.
    pub post_start: Duration,
    /// The time limit for a replica to stop.
    pub pre_stop: Duration,
}

/// Reads one of the three lists.
pub(super) fn read(cx: &mut Context<'_>, entry: &Entry, hooks: &mut Hooks) {
    let is_pre_start = entry.key == "pre_start";
    let section = if is_pre_start { &refuse::PRE_START } else { &refuse::HOOK };
    let mut found = Vec::new();
    for item in cx.keep(collections::list(entry)).unwrap_or_default() {
        match &item.value {
            Value::Map(map) => {
                let hook = crate::compose::read::hooks::hook(cx, map, section);
                // The command may come from the other image.
                if hook.command.is_empty() && hook.image.is_none() {
                    let problem = Problem::at(item.span, format!("`{}` needs a `command`", entry.key));
                    cx.refuse(problem.hint("add `command: [\"./program\", \"argument\"]`"));
                }
                found.push(hook);
            }
            _ => cx.refuse(expected(&entry.key, "a list of maps with `command`", item)),
        }
    }
    match entry.key.as_str() {
        "pre_start" => hooks.pre_start = found,
        "post_start" => hooks.post_start = found,
        _ => hooks.pre_stop = found,
    }
}

fn hook(cx: &mut Context<'_>, map: &Map, section: &Section) -> Hook {
    let mut hook = Hook::default();
    for field in map.entries.iter().filter(|field| !field.value.is_null()) {
        if !section.known.contains(&field.key.as_str()) {
            section.judge(cx, field);
            continue;
        }
        match field.key.as_str() {
            "command" => cx.set(&mut hook.command, collections::command("command", &field.value)),
            "image" => cx.set_some(&mut hook.image, super::image::reference(field)),
            "user" => cx.set_some(&mut hook.user, field.text()),
            "privileged" => cx.set(&mut hook.privileged, field.boolean()),
            "working_dir" => cx.set_some(&mut hook.working_dir, field.text()),
            "environment" | "env_file" => {
                hook.environment = super::variables::read(cx, map.get("env_file"), map.get("environment"));
            }
            "networks" => own_networks(cx, field),
            "x-timeout" => cx.set(&mut hook.timeout, field.positive_duration()),
            // Only `per_replica` is left.
            _ => {
                if cx.keep(field.boolean()) == Some(true) {
                    let problem = Problem::at(field.key_span, "`per_replica: true` is not supported");
                    cx.refuse(
                        problem
                            .hint("remove it: the step runs once per release; use `post_start` for each replica")
                            .unsupported(),
                    );
                }
            }
        }
    }
    hook
}

/// The hook runs on the networks of its service. Compose's `config` writes the default network for each hook.
fn own_networks(cx: &mut Context<'_>, field: &Entry) {
    let names: Vec<&str> = match &field.value.value {
        Value::Map(map) => map.entries.iter().map(|entry| entry.key.as_str()).collect(),
        Value::List(items) => items.iter().filter_map(Node::as_text).collect(),
        Value::Null | Value::Scalar(_) => Vec::new(),
    };
    if names.iter().any(|name| *name != "default") {
        let message = "`networks` of `pre_start` has no effect: the step is on the networks of its service";
        cx.warn(Problem::at(field.key_span, message).hint("name them in `networks` of the service"));
    }
}

/// Sets the default timeout of hooks that have none.
pub(super) fn limit(hooks: &mut Hooks, limits: HookLimits) {
    let lists = [
        (&mut hooks.pre_start, ReleaseCommand::DEFAULT_TIMEOUT),
        (&mut hooks.post_start, limits.post_start),
        (&mut hooks.pre_stop, limits.pre_stop),
    ];
    for (list, limit) in lists {
        list.iter_mut().filter(|hook| hook.timeout.is_zero()).for_each(|hook| hook.timeout = limit);
    }
}
