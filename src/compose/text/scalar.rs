//! Readers of single values: texts, booleans, numbers, durations and sizes.

use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use super::node::{Entry, Node, Value};
use crate::compose::error::{Problem, Read};

/// The problem of a value with the wrong type.
pub(in crate::compose) fn expected(what: &str, wanted: &str, node: &Node) -> Problem {
    Problem::at(node.span, format!("`{what}` must be {wanted}, not {}", node.describe()))
}

/// Any scalar as written; may be empty.
pub(in crate::compose) fn raw<'n>(what: &str, node: &'n Node) -> Read<&'n str> {
    match &node.value {
        Value::Scalar(text) => Ok(text),
        _ => Err(expected(what, "text", node)),
    }
}

/// A non-empty scalar.
pub(in crate::compose) fn text(what: &str, node: &Node) -> Read<String> {
    match raw(what, node)? {
        "" => Err(Problem::at(node.span, format!("`{what}` is empty")).hint("give it a value, or remove the key")),
        text if text.contains('\0') => Err(Problem::at(node.span, format!("`{what}` holds a NUL character"))),
        text => Ok(text.to_owned()),
    }
}

/// Accepts the words of YAML 1.1, like compose.
pub(in crate::compose) fn boolean(what: &str, node: &Node) -> Read<bool> {
    match raw(what, node).map(str::to_ascii_lowercase).as_deref() {
        Ok("true" | "yes" | "on") => Ok(true),
        Ok("false" | "no" | "off") => Ok(false),
        _ => Err(expected(what, "`true` or `false`", node)),
    }
}

/// A whole number in a range; the error states the range.
pub(in crate::compose) fn number<T>(what: &str, node: &Node, range: RangeInclusive<T>) -> Read<T>
where
    T: FromStr + PartialOrd + std::fmt::Display,
{
    let text = raw(what, node).ok();
    let parsed = text.and_then(|text| text.parse().ok().or_else(|| parse_integer(text)?.to_string().parse().ok()));
    parsed
        .filter(|value| range.contains(value))
        .ok_or_else(|| expected(what, &format!("a whole number from {} to {}", range.start(), range.end()), node))
}

/// YAML's syntax for whole numbers, including `0x1f`, `0o17`, `0b1` and `1_000`.
pub(in crate::compose) fn parse_integer(text: &str) -> Option<i64> {
    let (negative, digits) =
        text.strip_prefix('-').map_or((false, text.strip_prefix('+').unwrap_or(text)), |rest| (true, rest));
    let (radix, digits) = match digits.get(..2) {
        Some("0x" | "0X") => (16, &digits[2..]),
        Some("0o" | "0O") => (8, &digits[2..]),
        Some("0b" | "0B") => (2, &digits[2..]),
        _ => (10, digits),
    };
    if !digits.starts_with(|c: char| c.is_digit(radix)) {
        return None;
    }
    let number = i64::from_str_radix(&digits.replace('_', ""), radix).ok()?;
    Some(if negative { -number } else { number })
}

/// One of a few words.
pub(in crate::compose) fn choice<T: Copy>(what: &str, node: &Node, choices: &[(&str, T)]) -> Read<T> {
    let found = raw(what, node).ok().and_then(|text| choices.iter().find(|(word, _)| *word == text));
    found.map(|(_, value)| *value).ok_or_else(|| {
        let words: Vec<String> = choices.iter().map(|(word, _)| format!("`{word}`")).collect();
        let wanted = match words.split_last() {
            Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
            _ => words.concat(),
        };
        expected(what, &wanted, node)
    })
}

/// `90s`, `1m30s`, `1.5s`, `250ms`; a unit is required, except for `0`.
pub(in crate::compose) fn duration(what: &str, node: &Node) -> Read<Duration> {
    raw(what, node)
        .ok()
        .and_then(parse_duration)
        .ok_or_else(|| expected(what, "a duration with its unit, such as `10s`, `1m30s` or `250ms`", node))
}

/// A duration above zero.
pub(in crate::compose) fn positive_duration(what: &str, node: &Node) -> Read<Duration> {
    match duration(what, node)? {
        Duration::ZERO => Err(expected(what, "longer than zero, such as `10s`", node)),
        duration => Ok(duration),
    }
}

/// Parses a duration in compose's format; `None` if it is invalid or more than a year.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    // A year: longer than any wait, and sums of durations cannot overflow.
    const MOST_NANOS: f64 = 366.0 * 86_400e9;
    const UNITS: [(&str, f64); 7] =
        [("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9), ("h", 3600e9)];
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let (mut rest, mut nanos) = (text, 0.0);
    while !rest.is_empty() {
        let (amount, tail) = split_number(rest)?;
        let end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let unit = if &tail[..end] == "d" { 86_400e9 } else { UNITS.iter().find(|(name, _)| *name == &tail[..end])?.1 };
        nanos += amount * unit;
        rest = &tail[end..];
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded and never negative")]
    (!text.is_empty() && nanos <= MOST_NANOS).then(|| Duration::from_nanos(nanos.round() as u64))
}

/// `64m`, `1.5g`, `512kb`, or bytes without a unit; 1k is 1,024 as everywhere in Docker.
pub(in crate::compose) fn bytes(what: &str, node: &Node) -> Read<i64> {
    raw(what, node)
        .ok()
        .and_then(parse_bytes)
        .ok_or_else(|| expected(what, "a size in bytes or with its unit, such as `64m` or `1.5g`", node))
}

#[must_use]
pub fn parse_bytes(text: &str) -> Option<i64> {
    let (amount, tail) = split_number(text)?;
    let unit = tail.trim_start().to_ascii_lowercase();
    let letter = unit.trim_end_matches("ib").trim_end_matches('b');
    let power = ["", "k", "m", "g", "t", "p"].iter().position(|known| *known == letter)?;
    let spelled = ["", "b", "ib"].iter().any(|end| format!("{letter}{end}") == unit) && unit != "ib";
    let bytes = amount * 1024f64.powi(i32::try_from(power).ok()?);
    #[expect(clippy::cast_possible_truncation, reason = "bounded far below 2^63")]
    (spelled && bytes < 9e18).then_some(bytes as i64)
}

/// CPUs as a decimal number, converted to units of 10⁻⁹.
pub(in crate::compose) fn nano_cpus(what: &str, node: &Node) -> Read<i64> {
    let amount = raw(what, node).ok().and_then(split_number).filter(|(_, tail)| tail.is_empty());
    match amount {
        #[expect(clippy::cast_possible_truncation, reason = "bounded")]
        Some((cpus, _)) if (0.01..=4096.0).contains(&cpus) => Ok((cpus * 1e9).round() as i64),
        _ => Err(expected(what, "a number of processors from 0.01 to 4096, such as `0.5`", node)),
    }
}

/// The decimal number at the start of the text, and the rest.
fn split_number(text: &str) -> Option<(f64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number = &text[..end];
    let digits = number.starts_with(|c: char| c.is_ascii_digit()) && !number.ends_with('.');
    (digits && number.len() <= 20).then(|| number.parse().ok()).flatten().map(|amount| (amount, &text[end..]))
}

/// Readers that use the entry's key in error messages.
impl Entry {
    pub fn text(&self) -> Read<String> {
        text(&self.key, &self.value)
    }

    pub fn boolean(&self) -> Read<bool> {
        boolean(&self.key, &self.value)
    }

    pub fn duration(&self) -> Read<Duration> {
        duration(&self.key, &self.value)
    }

    pub fn positive_duration(&self) -> Read<Duration> {
        positive_duration(&self.key, &self.value)
    }

    pub fn expected(&self, wanted: &str) -> Problem {
        expected(&self.key, wanted, &self.value)
    }
}
