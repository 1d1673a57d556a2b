//! The types of values in the model: numbers, booleans, durations and sizes; everything else is text.

use std::time::Duration;

use serde_json::{Number, Value};

use crate::compose::read::notify_block::MASKED_PATH;
use crate::compose::text::node::Node;
use crate::compose::text::scalar::{parse_bytes, parse_duration, parse_integer};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Switch,
    Whole,
    Decimal,
    Time,
    /// Printed as text in bytes, like compose, since large JSON numbers may lose precision.
    Size,
    /// Octal. Printed as text when it has a leading zero, which JSON numbers cannot have.
    Mode,
    /// Octal, printed as text with a leading zero.
    Octal,
    /// In an extension: the type that YAML assigns.
    Free,
    /// In an `x-deploy-apps` block: kept as written.
    Own,
}

pub(super) fn kind(path: &[&str]) -> Kind {
    if path.contains(&"x-deploy-apps") {
        return Kind::Own;
    }
    if path.iter().any(|part| part.starts_with("x-")) {
        return Kind::Free;
    }
    match path {
        ["services", _, rest @ ..] => of_service(rest),
        ["networks", _, "attachable" | "enable_ipv4" | "enable_ipv6" | "external" | "internal"] => Kind::Switch,
        ["volumes" | "secrets" | "configs", _, "external"] => Kind::Switch,
        ["models", _, "context_size"] => Kind::Whole,
        _ => Kind::Text,
    }
}

fn of_service(path: &[&str]) -> Kind {
    match path {
        [
            "attach" | "init" | "oom_kill_disable" | "privileged" | "read_only" | "stdin_open" | "tty"
            | "use_api_socket",
        ]
        | ["build", "no_cache" | "privileged" | "pull"]
        | ["triggers", "manual"]
        | ["depends_on", _, "required" | "restart"]
        | ["env_file", _, "required"]
        | ["healthcheck", "disable"]
        | ["pre_start" | "post_start" | "pre_stop", _, "privileged" | "per_replica"]
        | ["volumes", _, "read_only"]
        | ["volumes", _, "bind", "create_host_path"]
        | ["volumes", _, "volume", "nocopy"]
        | ["develop", "watch", _, "initial_sync"] => Kind::Switch,

        ["cpu_count" | "cpu_period" | "cpu_quota" | "cpu_rt_period" | "cpu_rt_runtime" | "cpu_shares"]
        | ["oom_score_adj" | "pids_limit" | "scale"]
        | ["blkio_config", "weight"]
        | ["blkio_config", "weight_device", _, "weight"]
        | ["deploy", "replicas"]
        | ["deploy", "update_config" | "rollback_config", "parallelism"]
        | ["deploy", "restart_policy", "max_attempts"]
        | ["deploy", "placement", "max_replicas_per_node"]
        | ["deploy", "resources", "limits" | "reservations", "pids"]
        | ["deploy", "resources", "reservations", "devices", _, "count"]
        | ["deploy", "resources", "reservations", "generic_resources", _, _, "value"]
        | ["gpus", _, "count"]
        | ["healthcheck", "retries"]
        | ["networks", _, "gw_priority" | "priority"]
        | ["ports", _, "target"]
        | ["ulimits", _]
        | ["ulimits", _, "hard" | "soft"]
        | ["build", "ulimits", _]
        | ["build", "ulimits", _, "hard" | "soft"] => Kind::Whole,

        ["cpu_percent" | "cpus"]
        | ["deploy", "update_config" | "rollback_config", "max_failure_ratio"]
        | ["deploy", "resources", "limits" | "reservations", "cpus"] => Kind::Decimal,

        ["stop_grace_period"]
        | ["deploy", "update_config" | "rollback_config", "delay" | "monitor"]
        | ["deploy", "restart_policy", "delay" | "window"]
        | ["healthcheck", "interval" | "start_interval" | "start_period" | "timeout"] => Kind::Time,

        ["mem_limit" | "mem_reservation" | "mem_swappiness" | "memswap_limit" | "shm_size"]
        | ["build", "shm_size"]
        | ["blkio_config", "device_read_bps" | "device_write_bps", _, "rate"]
        | ["deploy", "resources", "limits" | "reservations", "memory"]
        | ["volumes", _, "tmpfs", "size"] => Kind::Size,
        ["volumes", _, "tmpfs", "mode"] => Kind::Mode,
        ["secrets" | "configs", _, "mode"] => Kind::Octal,
        _ => Kind::Text,
    }
}

/// Whether the value may contain a token: URLs and headers of webhooks.
pub(super) fn is_secret(path: &[&str]) -> bool {
    matches!(path, ["x-deploy-apps", "notify", "[]", "url"] | ["x-deploy-apps", "notify", "[]", "headers", _])
}

/// The visible part of a secret: the host of a URL.
pub(super) fn masked(text: &str) -> String {
    let address = text.trim().split_once("://").map(|(scheme, rest)| {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let place = authority.rsplit('@').next().unwrap_or_default();
        let more = if place.len() < rest.trim_end_matches('/').len() { MASKED_PATH } else { "" };
        format!("{scheme}://{place}{more}")
    });
    address.unwrap_or_else(|| "***".to_owned())
}

/// A scalar converted to its type, or text if it has another form, which its reader reports.
pub(super) fn scalar(text: &str, node: &Node, kind: Kind) -> Value {
    let typed = match kind {
        Kind::Text => None,
        Kind::Switch => match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "y" => Some(Value::Bool(true)),
            "false" | "no" | "off" | "n" => Some(Value::Bool(false)),
            _ => None,
        },
        Kind::Whole => parse_integer(text).map(Value::from),
        Kind::Decimal => decimal(text),
        Kind::Time => parse_duration(text).map(|time| Value::from(in_words(time))),
        Kind::Size => parse_bytes(text).map(|bytes| Value::from(bytes.to_string())),
        Kind::Mode if !text.starts_with('0') => parse_integer(text).map(Value::from),
        Kind::Octal if node.plain && !text.starts_with('0') => {
            parse_integer(text).map(|mode| Value::from(format!("0{mode:o}")))
        }
        Kind::Mode | Kind::Octal => {
            let digits = text.trim_start_matches("0o");
            let is_octal = !digits.is_empty() && digits.chars().all(|c| c.is_digit(8));
            is_octal.then(|| Value::from(format!("0{}", digits.trim_start_matches('0'))))
        }
        // `1.10` as a number would be printed as `1.1`.
        Kind::Own if node.plain => free(text).filter(|value| value.to_string().as_str() == text),
        Kind::Free if node.plain => free(text),
        Kind::Own | Kind::Free => None,
    };
    typed.unwrap_or_else(|| Value::from(text))
}

fn decimal(text: &str) -> Option<Value> {
    match parse_integer(text) {
        Some(whole) => Some(Value::from(whole)),
        None => text.parse().ok().and_then(Number::from_f64).map(Value::Number),
    }
}

fn free(text: &str) -> Option<Value> {
    match text {
        "true" | "True" | "TRUE" => Some(Value::Bool(true)),
        "false" | "False" | "FALSE" => Some(Value::Bool(false)),
        // `inf` is a number in Rust, but not in JSON.
        _ => text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)).then(|| decimal(text)).flatten(),
    }
}

/// A duration in compose's format: `1h2m3.004s`, `250ms`, `0s`.
pub(super) fn in_words(time: Duration) -> String {
    let nanos = time.as_nanos();
    let fraction = |whole: u128, rest: u128, digits: usize| {
        let rest = format!("{rest:0digits$}");
        let rest = rest.trim_end_matches('0');
        if rest.is_empty() { whole.to_string() } else { format!("{whole}.{rest}") }
    };
    match nanos {
        0 => "0s".to_owned(),
        1..1_000 => format!("{nanos}ns"),
        1_000..1_000_000 => format!("{}µs", fraction(nanos / 1_000, nanos % 1_000, 3)),
        1_000_000..1_000_000_000 => format!("{}ms", fraction(nanos / 1_000_000, nanos % 1_000_000, 6)),
        _ => {
            let seconds = nanos / 1_000_000_000;
            let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
            let last = fraction(seconds % 60, nanos % 1_000_000_000, 9);
            match (hours, minutes) {
                (0, 0) => format!("{last}s"),
                (0, _) => format!("{minutes}m{last}s"),
                _ => format!("{hours}h{minutes}m{last}s"),
            }
        }
    }
}
