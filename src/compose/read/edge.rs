//! Settings of an app that are about its clients: `response_headers`, `access`, `max_body_size`, `timeouts` and `rate_limit`.

use crate::compose::context::Context;
use crate::compose::error::{Problem, Read};
use crate::compose::refuse;
use crate::compose::text::collections;
use crate::compose::text::node::{Entry, Node, Span, clip};
use crate::compose::text::scalar::{bytes, number, raw};
use crate::model::{ClientAccess, HeaderField, InvalidRange, RateLimit, ResponseHeaders, Timeouts, TrustedProxy};

/// As nginx/lua/state/schema.lua has them.
const MOST_HEADERS: usize = 32;
const MOST_RANGES: usize = 256;
const LONGEST_NAME: usize = 64;
const LONGEST_VALUE: usize = 4096;
const MOST_BYTES: i64 = 1 << 50;
const LONGEST_TIME_MS: u64 = 86_400_000;
const MOST_REQUESTS: u32 = 1_000_000;

/// They say where an answer ends.
const FRAMING: [&str; 7] =
    ["connection", "content-length", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"];

pub(super) fn response_headers(cx: &mut Context<'_>, entry: &Entry) -> ResponseHeaders {
    let mut headers = ResponseHeaders::default();
    for field in fields(cx, entry) {
        match field.key.as_str() {
            "set" => cx.set(&mut headers.set, set_headers(field)),
            "remove" => cx.set(&mut headers.remove, removed_headers(field)),
            _ => refuse::RESPONSE_HEADERS.judge(cx, field),
        }
    }
    headers
}

fn fields<'n>(cx: &mut Context<'_>, entry: &'n Entry) -> Vec<&'n Entry> {
    let map = cx.keep(collections::map(entry));
    map.map_or_else(Vec::new, |map| map.entries.iter().filter(|field| !field.value.is_null()).collect())
}

fn set_headers(field: &Entry) -> Read<Vec<HeaderField>> {
    let map = collections::map(field)?;
    check_count(field, map.entries.len())?;
    let header = |header: &Entry| {
        let name = header_name(&header.key, header.key_span)?;
        let value = raw(&header.key, &header.value)?.trim().to_owned();
        if value.len() > LONGEST_VALUE || !value.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
            let message = format!("the value of header `{name}` must be one line of at most 4,096 ASCII characters");
            return Err(Problem::at(header.value.span, message));
        }
        Ok(HeaderField { name, value })
    };
    map.entries.iter().map(header).collect()
}

fn removed_headers(field: &Entry) -> Read<Vec<String>> {
    let names = collections::one_or_more(field)?;
    check_count(field, names.len())?;
    names.iter().map(|(name, span)| header_name(name, *span)).collect()
}

fn check_count(field: &Entry, count: usize) -> Read<()> {
    if count <= MOST_HEADERS {
        return Ok(());
    }
    Err(Problem::at(
        field.key_span,
        format!("`{}` has {count} headers, and at most {MOST_HEADERS} are taken", field.key),
    ))
}

fn header_name(name: &str, span: Span) -> Read<String> {
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        && name.len() <= LONGEST_NAME;
    if !is_name {
        let message = format!("`{}` is not the name of a header", clip(name));
        return Err(Problem::at(span, message).hint("use letters, digits and `-`, such as `X-Frame-Options`"));
    }
    if FRAMING.contains(&name.to_ascii_lowercase().as_str()) {
        return Err(Problem::at(span, format!("header `{name}` is the proxy's own: it says where an answer ends")));
    }
    Ok(name.to_owned())
}

pub(super) fn access(cx: &mut Context<'_>, entry: &Entry) -> ClientAccess {
    let mut access = ClientAccess::default();
    for field in fields(cx, entry) {
        match field.key.as_str() {
            "allow" => cx.set(&mut access.allow, ranges(field)),
            "deny" => cx.set(&mut access.deny, ranges(field)),
            _ => refuse::ACCESS.judge(cx, field),
        }
    }
    let allow = entry.value.as_map().and_then(|map| map.get("allow")).filter(|field| !field.value.is_null());
    if let Some(field) = allow.filter(|field| collections::list(field).is_ok_and(<[Node]>::is_empty)) {
        let problem = Problem::at(field.key_span, "`allow` is empty, which would let everybody in");
        cx.refuse(problem.hint("name who may come, or remove the key"));
    }
    access
}

fn ranges(field: &Entry) -> Read<Vec<String>> {
    let mut found: Vec<String> = Vec::new();
    for (texts, span) in collections::one_or_more(field)? {
        for text in texts.split(|c: char| c == ',' || c.is_whitespace()).filter(|text| !text.is_empty()) {
            if text == "private" {
                found.extend(TrustedProxy::PRIVATE.iter().map(|&range| range.to_owned()));
            } else {
                found.push(range(field, text, span)?);
            }
        }
    }
    if found.is_empty() {
        return Err(field.expected("addresses and networks, such as `10.0.0.0/8`"));
    }
    if found.len() > MOST_RANGES {
        let message = format!("`{}` has {} entries, and at most {MOST_RANGES} are read", field.key, found.len());
        return Err(Problem::at(field.key_span, message).hint("join neighbouring networks into larger ones"));
    }
    Ok(found)
}

fn range(field: &Entry, text: &str, span: Span) -> Read<String> {
    let (key, shown) = (&field.key, clip(text));
    let malformed = || {
        Problem::at(span, format!("`{shown}` in `{key}` is not an address or a network in CIDR form"))
            .hint("write such as `203.0.113.7`, `10.0.0.0/8` or `2001:db8::/32`, or the word `private`")
    };
    match text.parse::<TrustedProxy>() {
        Ok(range @ TrustedProxy::Range { .. }) => Ok(range.to_string()),
        Ok(TrustedProxy::Host) | Err(InvalidRange::Malformed) => Err(malformed()),
        Err(InvalidRange::HostBits(network)) => {
            Err(Problem::at(span, format!("`{shown}` in `{key}` has bits set beyond its prefix"))
                .hint(format!("write `{network}` for the network, or the address without `/…`")))
        }
    }
}

pub(super) fn max_body_size(field: &Entry) -> Read<u64> {
    let most = bytes("max_body_size", &field.value)?;
    match u64::try_from(most) {
        Ok(size) if (1..=MOST_BYTES).contains(&most) => Ok(size),
        _ => Err(field.expected("from `1` byte to `1024t`; leave it out for no limit")),
    }
}

pub(super) fn timeouts(cx: &mut Context<'_>, entry: &Entry) -> Timeouts {
    let mut timeouts = Timeouts::default();
    for field in fields(cx, entry) {
        match field.key.as_str() {
            "read" => cx.set_some(&mut timeouts.read_ms, milliseconds(field)),
            "send" => cx.set_some(&mut timeouts.send_ms, milliseconds(field)),
            _ => refuse::TIMEOUTS.judge(cx, field),
        }
    }
    timeouts
}

fn milliseconds(field: &Entry) -> Read<u64> {
    let wanted = u64::try_from(field.positive_duration()?.as_millis()).unwrap_or(u64::MAX);
    if (1..=LONGEST_TIME_MS).contains(&wanted) { Ok(wanted) } else { Err(field.expected("from `1ms` to `24h`")) }
}

/// `per` is a second and `burst` as many as `requests` when they are not set.
pub(super) fn rate_limit(cx: &mut Context<'_>, entry: &Entry) -> Option<RateLimit> {
    let (mut requests, mut burst, mut per_ms) = (None, None, 1000);
    let mut is_wrong = false;
    for field in fields(cx, entry) {
        let count = |key| number(key, &field.value, 1..=MOST_REQUESTS);
        let read = match field.key.as_str() {
            "requests" => cx.keep(count("requests")).map(|count| requests = Some(count)),
            "burst" => cx.keep(count("burst")).map(|count| burst = Some(count)),
            "per" => cx.keep(period(field)).map(|period| per_ms = period),
            _ => {
                refuse::RATE_LIMIT.judge(cx, field);
                Some(())
            }
        };
        is_wrong |= read.is_none();
    }
    match requests {
        Some(requests) => Some(RateLimit { requests, per_ms, burst: burst.unwrap_or(requests) }),
        None => {
            if !is_wrong {
                let problem = Problem::at(entry.key_span, "`rate_limit` needs `requests`");
                cx.refuse(problem.hint("write such as `rate_limit: { requests: 100, per: 1m, burst: 20 }`"));
            }
            None
        }
    }
}

fn period(field: &Entry) -> Read<u64> {
    let wanted = milliseconds(field)?;
    if wanted >= 1000 { Ok(wanted) } else { Err(field.expected("from `1s` to `24h`")) }
}
