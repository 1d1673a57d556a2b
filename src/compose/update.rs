//! `update_config`, `rollback_config` and `restart_policy`.

use super::collect;
use super::context::Context;
use super::error::{Problem, Read};
use super::node::{Entry, Span};
use super::refuse;
use super::scalar::{choice, number};
use crate::model::{FailureAction, Order, ReplicaCount, Restart, RolloutPolicy};

/// What `update_config` says besides the policy.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// The user has said which of old and new runs first.
    pub order: bool,
    /// Where `failure_action: continue` or a ratio stands, which a single writer cannot have.
    pub tolerates: Option<Span>,
}

/// Either of the two: they have the same fields. Zero in `parallelism` is all at once, as in the specification.
pub(super) fn policy(cx: &mut Context<'_>, entry: &Entry, rollout: &mut RolloutPolicy) -> Asked {
    let mut asked = Asked::default();
    let Some(map) = cx.keep(collect::map(entry)) else { return asked };
    for field in map.entries.iter().filter(|field| !field.value.is_null()) {
        match field.key.as_str() {
            "order" => {
                let orders = [("start-first", Order::StartFirst), ("stop-first", Order::StopFirst)];
                // Also when it repeats the default: two writers of one volume are then a decision.
                asked.order = true;
                cx.set(&mut rollout.order, choice("order", &field.value, &orders));
            }
            "parallelism" => {
                cx.set(&mut rollout.parallelism, number("parallelism", &field.value, 0..=ReplicaCount::MOST));
            }
            "delay" => cx.set(&mut rollout.delay, field.duration()),
            "monitor" => cx.set(&mut rollout.monitor, field.duration()),
            "failure_action" => {
                let actions = [
                    ("rollback", FailureAction::Rollback),
                    ("pause", FailureAction::Pause),
                    ("continue", FailureAction::Continue),
                ];
                cx.set(&mut rollout.failure_action, choice("failure_action", &field.value, &actions));
                if rollout.failure_action == FailureAction::Continue {
                    asked.tolerates.get_or_insert(field.value.span);
                }
            }
            "max_failure_ratio" => {
                cx.set(&mut rollout.max_failure_millionths, ratio(field));
                if rollout.max_failure_millionths > 0 {
                    asked.tolerates.get_or_insert(field.value.span);
                }
            }
            _ => refuse::UPDATE_CONFIG.judge(cx, field),
        }
    }
    asked
}

fn ratio(field: &Entry) -> Read<u32> {
    let ratio = field.value.as_text().and_then(|text| text.parse::<f64>().ok());
    match ratio {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 1,000,000")]
        Some(ratio) if (0.0..=1.0).contains(&ratio) => Ok((ratio * 1e6).round() as u32),
        _ => Err(field.expected("a ratio from 0 to 1, such as `0.1`")),
    }
}

/// `restart_policy`: what the engine knows of it. It waits longer and longer between two attempts by itself.
pub(super) fn restart_policy(cx: &mut Context<'_>, entry: &Entry) -> Option<Restart> {
    let map = cx.keep(collect::map(entry))?;
    let (mut condition, mut attempts) = (Restart::Always, None);
    for field in map.entries.iter().filter(|field| !field.value.is_null()) {
        match field.key.as_str() {
            "condition" => {
                let conditions = [
                    ("any", Restart::Always),
                    ("always", Restart::Always),
                    ("none", Restart::No),
                    ("no", Restart::No),
                    ("on-failure", Restart::OnFailure(None)),
                    ("unless-stopped", Restart::UnlessStopped),
                ];
                cx.set(&mut condition, choice("condition", &field.value, &conditions));
            }
            "max_attempts" => {
                attempts =
                    cx.keep(number("max_attempts", &field.value, 0..=u32::MAX)).map(|most| (most, field.key_span));
            }
            _ => refuse::RESTART_POLICY.judge(cx, field),
        }
    }
    match (condition, attempts) {
        (Restart::OnFailure(_), Some((most, _))) => Some(Restart::OnFailure(Some(most))),
        (Restart::No, _) | (_, None) => Some(condition),
        (_, Some((_, span))) => {
            let problem = Problem::at(span, "`max_attempts` has no effect without `condition: on-failure`");
            cx.warn(problem.hint("the engine counts the attempts of failures only"));
            Some(condition)
        }
    }
}
