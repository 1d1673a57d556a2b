//! `x-deploy-apps.backup` of an accessory: a command that runs in its container before it is replaced.

use std::time::Duration;

use crate::compose::context::Context;
use crate::compose::error::Problem;
use crate::compose::refuse;
use crate::compose::text::collections;
use crate::compose::text::node::{Entry, Value};
use crate::model::Hook;

/// Long enough to dump a large database, but a hung command ends.
pub(in crate::compose) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(1800);

/// A command, or a map with the command, its user and its timeout.
pub(super) fn read(cx: &mut Context<'_>, block: &Entry) -> Option<Hook> {
    let entry = block.value.as_map()?.get("backup").filter(|entry| !entry.value.is_null())?;
    let mut hook = Hook { timeout: DEFAULT_TIMEOUT, ..Hook::default() };
    if let Value::Map(map) = &entry.value.value {
        for field in map.entries.iter().filter(|field| !field.value.is_null()) {
            match field.key.as_str() {
                "command" => cx.set(&mut hook.command, collections::command("command", &field.value)),
                "user" => cx.set_some(&mut hook.user, field.text()),
                "timeout" => cx.set(&mut hook.timeout, field.positive_duration()),
                _ => refuse::BACKUP.judge(cx, field),
            }
        }
    } else {
        cx.set(&mut hook.command, collections::command("backup", &entry.value));
    }
    if hook.command.is_empty() {
        let problem = Problem::at(entry.key_span, "`backup` has no `command`");
        cx.refuse(
            problem.hint("add one, such as `command: [\"sh\", \"-c\", \"pg_dumpall -U postgres > /backup/all.sql\"]`"),
        );
        return None;
    }
    Some(hook)
}
