//! `healthcheck`: the engine's health check of a container.

use crate::compose::context::Context;
use crate::compose::error::{Problem, Read};
use crate::compose::refuse;
use crate::compose::text::collections;
use crate::compose::text::node::{Entry, Value};
use crate::compose::text::scalar::{number, raw};
use crate::model::Healthcheck;

pub(super) fn read(cx: &mut Context<'_>, entry: &Entry) -> Option<Healthcheck> {
    let map = cx.keep(collections::map(entry))?;
    let (mut words, mut disabled) = (Vec::new(), false);
    let (mut interval, mut timeout, mut retries, mut start_period, mut start_interval) = (None, None, None, None, None);
    for field in map.entries.iter().filter(|field| !field.value.is_null()) {
        match field.key.as_str() {
            "test" => cx.set(&mut words, test(field)),
            "disable" => cx.set(&mut disabled, field.boolean()),
            "interval" => cx.set_some(&mut interval, field.positive_duration()),
            "timeout" => cx.set_some(&mut timeout, field.positive_duration()),
            "retries" => cx.set_some(&mut retries, number("retries", &field.value, 1..=1000)),
            "start_period" => cx.set_some(&mut start_period, field.duration()),
            "start_interval" => cx.set_some(&mut start_interval, field.positive_duration()),
            _ => refuse::HEALTHCHECK.judge(cx, field),
        }
    }
    if disabled || words.first().is_some_and(|word| word == "NONE") {
        return Some(Healthcheck::Disabled);
    }
    Some(Healthcheck::Test { test: words, interval, timeout, retries, start_period, start_interval })
}

/// A text runs in a shell; a list starts with the kind of execution.
fn test(entry: &Entry) -> Read<Vec<String>> {
    let Value::List(items) = &entry.value.value else {
        return Ok(vec!["CMD-SHELL".to_owned(), raw("test", &entry.value)?.to_owned()]);
    };
    let words: Vec<String> = items.iter().map(|item| raw("test", item).map(str::to_owned)).collect::<Read<_>>()?;
    match (words.first().map(String::as_str), words.len()) {
        // Not set, so the image's test is kept.
        (None, _) => Ok(words),
        _ if words.iter().any(|word| word.contains('\0')) => {
            Err(Problem::at(entry.key_span, "`test` holds a NUL character"))
        }
        // Items after the shell's command are its arguments.
        (Some("NONE"), _) | (Some("CMD-SHELL" | "CMD"), 2..) => Ok(words),
        _ => Err(Problem::at(entry.key_span, "`test` must start with `CMD`, `CMD-SHELL` or `NONE`")
            .hint("write `[\"CMD\", \"program\", \"argument\"]`, or one text that a shell runs")),
    }
}
