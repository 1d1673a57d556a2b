//! `update_config`, `rollback_config` and `restart_policy`.

use crate::compose::context::Context;
use crate::compose::error::{Problem, Read};
use crate::compose::refuse;
use crate::compose::text::collections;
use crate::compose::text::node::Entry;
use crate::compose::text::scalar::{choice, number};
use crate::model::{FailureAction, Order, ReplicaCount, Restart, RolloutPolicy};

/// Reads either of them: they have the same fields. Zero in `parallelism` means all at once, as in the specification.
/// Returns whether `order` is set.
pub(super) fn policy(cx: &mut Context<'_>, entry: &Entry, rollout: &mut RolloutPolicy) -> bool {
    let mut order_chosen = false;
    let Some(map) = cx.keep(collections::map(entry)) else { return false };
    for field in map.entries.iter().filter(|field| !field.value.is_null()) {
        match field.key.as_str() {
            "order" => {
                let orders = [("start-first", Order::StartFirst), ("stop-first", Order::StopFirst)];
                // Also for the default value: two writers of one volume are then intended.
                order_chosen = true;
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
                    ("continue", FailureAction::Pause),
                ];
                cx.set(&mut rollout.failure_action, choice("failure_action", &field.value, &actions));
                // Without the failed replica fewer replicas would serve, without a notice.
                if field.value.as_text() == Some("continue") {
                    let message = "`failure_action: continue` is taken as `pause`: no replica is left out unseen";
                    cx.warn(
                        Problem::at(field.value.span, message).hint("the next deploy resumes where this one ended"),
                    );
                }
            }
            "max_failure_ratio" => {
                if cx.keep(ratio(field)).is_some_and(|ratio| ratio > 0.0) {
                    let message = "`max_failure_ratio` has no effect: the first failed replica counts";
                    cx.warn(
                        Problem::at(field.key_span, message)
                            .hint("what serves does not change until all of a batch are healthy"),
                    );
                }
            }
            _ => refuse::UPDATE_CONFIG.judge(cx, field),
        }
    }
    order_chosen
}

fn ratio(field: &Entry) -> Read<f64> {
    let ratio = field.value.as_text().and_then(|text| text.parse::<f64>().ok());
    ratio
        .filter(|ratio| (0.0..=1.0).contains(ratio))
        .ok_or_else(|| field.expected("a ratio from 0 to 1, such as `0.1`"))
}

/// `restart_policy`, as far as the engine supports it. The engine increases the delay between restarts itself.
pub(super) fn restart_policy(cx: &mut Context<'_>, entry: &Entry) -> Option<Restart> {
    let map = cx.keep(collections::map(entry))?;
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
