//! `canary`: how a new release is tried on a part of the traffic.

use crate::compose::context::Context;
use crate::compose::error::{Problem, Read};
use crate::compose::refuse;
use crate::compose::text::collections;
use crate::compose::text::node::{Entry, Node};
use crate::compose::text::scalar::{choice, number};
use crate::model::{CanaryGate, CanaryPolicy, CanaryStep, OnSilence, Ratio, Share, Sticky, Testers};

const MOST_STEPS: usize = 20;
const MOST_REQUESTS: u64 = 1_000_000_000;

pub(super) fn read(cx: &mut Context<'_>, entry: &Entry) -> CanaryPolicy {
    let mut policy = CanaryPolicy::default();
    for field in fields(cx, entry) {
        match field.key.as_str() {
            "steps" => steps(cx, field, &mut policy.steps),
            "gate" => gate(cx, field, &mut policy.gate),
            "sticky" => {
                let ways = [("cookie", Sticky::Cookie), ("client", Sticky::Client), ("none", Sticky::None)];
                cx.set(&mut policy.sticky, choice("sticky", &field.value, &ways));
            }
            "match" => policy.testers = testers(cx, field),
            _ => refuse::CANARY.judge(cx, field),
        }
    }
    policy
}

fn fields<'n>(cx: &mut Context<'_>, entry: &'n Entry) -> Vec<&'n Entry> {
    let map = cx.keep(collections::map(entry));
    map.map_or_else(Vec::new, |map| map.entries.iter().filter(|field| !field.value.is_null()).collect())
}

fn steps(cx: &mut Context<'_>, entry: &Entry, steps: &mut Vec<CanaryStep>) {
    let Some(items) = cx.keep(collections::list(entry)) else { return };
    if items.is_empty() || items.len() > MOST_STEPS {
        let message = format!("`steps` has {} steps, and a canary has 1 to {MOST_STEPS}", items.len());
        cx.refuse(Problem::at(entry.key_span, message).hint("write such as `steps: [{ weight: 5%, for: 2m }]`"));
        return;
    }
    let mut read: Vec<CanaryStep> = Vec::new();
    for item in items {
        let Some(step) = step(cx, item) else { continue };
        if read.last().is_some_and(|before| before.weight >= step.weight) {
            let problem = Problem::at(
                item.span,
                format!("the weight of a step must be larger than the one before it, not {}", step.weight),
            );
            cx.refuse(problem.hint("a client that has the new version keeps it"));
        }
        read.push(step);
    }
    *steps = read;
}

fn step(cx: &mut Context<'_>, item: &Node) -> Option<CanaryStep> {
    let Some(map) = item.as_map() else {
        let problem = Problem::at(item.span, format!("a step must be a map, not {}", item.describe()));
        cx.refuse(problem.hint("write such as `{ weight: 5%, for: 2m }`"));
        return None;
    };
    let (mut weight, mut duration) = (None, CanaryStep::DEFAULT_DURATION);
    for field in map.entries.iter().filter(|field| !field.value.is_null()) {
        match field.key.as_str() {
            "weight" => weight = Some(cx.keep(part(field))),
            "for" => cx.set(&mut duration, field.positive_duration()),
            _ => refuse::CANARY_STEP.judge(cx, field),
        }
    }
    if weight.is_none() {
        cx.refuse(Problem::at(item.span, "a step needs a `weight`").hint("write such as `{ weight: 5%, for: 2m }`"));
    }
    Some(CanaryStep { weight: weight??, duration })
}

/// The last step, at which the new release gets everything, is the flip itself.
fn part(field: &Entry) -> Read<Share> {
    let share = share(field)?;
    if share.is_part() {
        Ok(share)
    } else {
        Err(field.expected("more than `0%` and less than `100%`, which is the flip itself"))
    }
}

fn share(field: &Entry) -> Read<Share> {
    field.text()?.parse().map_err(|_| field.expected("a share of at most 100%, such as `5%` or `0.5%`"))
}

fn gate(cx: &mut Context<'_>, entry: &Entry, gate: &mut CanaryGate) {
    for field in fields(cx, entry) {
        match field.key.as_str() {
            "max_error_increase" => cx.set(&mut gate.max_error_increase, share(field)),
            "max_latency_ratio" => cx.set_some(&mut gate.max_latency_ratio, ratio(field)),
            "min_requests" => cx.set(&mut gate.min_requests, number("min_requests", &field.value, 0..=MOST_REQUESTS)),
            "max_wait" => cx.set(&mut gate.max_wait, field.positive_duration()),
            "on_silence" => {
                let ways = [("hold", OnSilence::Hold), ("promote", OnSilence::Promote), ("abort", OnSilence::Abort)];
                cx.set(&mut gate.on_silence, choice("on_silence", &field.value, &ways));
            }
            _ => refuse::CANARY_GATE.judge(cx, field),
        }
    }
}

fn ratio(field: &Entry) -> Read<Ratio> {
    let ratio = field.text()?.parse::<f64>().ok().filter(|ratio| (1.0..=100.0).contains(ratio));
    let ratio = ratio.ok_or_else(|| field.expected("a ratio from 1 to 100, such as `1.5`"))?;
    Ok(Ratio::new((ratio * 100.0).round() as u32))
}

/// One header, as it is sent, or one cookie.
fn testers(cx: &mut Context<'_>, entry: &Entry) -> Option<Testers> {
    let mut found = Vec::new();
    for field in fields(cx, entry) {
        match field.key.as_str() {
            "header" => found.push(cx.keep(header(field))),
            "cookie" => found.push(cx.keep(cookie(field))),
            _ => refuse::CANARY_MATCH.judge(cx, field),
        }
    }
    if found.len() != 1 {
        let problem = Problem::at(entry.key_span, "`match` needs either a `header` or a `cookie`");
        cx.refuse(
            problem.hint("write such as `match: { header: \"X-Canary: yes\" }` or `match: { cookie: canary=yes }`"),
        );
        return None;
    }
    found.pop()?
}

fn header(field: &Entry) -> Read<Testers> {
    let text = field.text()?;
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    let pair = text.split_once(':').map(|(name, value)| (name.trim(), value.trim()));
    match pair.filter(|(name, value)| is_name(name) && name.len() <= 64 && is_value(value)) {
        Some((name, value)) => Ok(Testers { header: Some(name.to_owned()), cookie: None, value: value.to_owned() }),
        None => Err(field.expected("a header with its value, such as `X-Canary: yes`")),
    }
}

fn cookie(field: &Entry) -> Read<Testers> {
    let text = field.text()?;
    let is_name =
        |name: &str| (1..=64).contains(&name.len()) && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    match text.split_once('=').filter(|(name, value)| is_name(name) && is_value(value)) {
        Some((name, value)) => Ok(Testers { header: None, cookie: Some(name.to_owned()), value: value.to_owned() }),
        None => Err(field.expected("a cookie with its value, such as `canary=yes`")),
    }
}

/// As the proxy compares it: one word.
fn is_value(value: &str) -> bool {
    (1..=256).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_graphic())
}
