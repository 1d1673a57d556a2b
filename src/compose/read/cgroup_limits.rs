//! Keys of a service for CPU shares, swap and disk I/O.

use crate::compose::context::Context;
use crate::compose::error::{Problem, Read};
use crate::compose::refuse;
use crate::compose::text::collections;
use crate::compose::text::node::{Entry, Value};
use crate::compose::text::scalar::{bytes, expected, number, parse_duration, raw};
use crate::model::{DeviceRate, Shares};

/// Reads one key; `false` if it is none of these.
pub(super) fn read(cx: &mut Context<'_>, field: &Entry, shares: &mut Shares) -> bool {
    match field.key.as_str() {
        "cpu_shares" => shares.cpu_shares = positive(cx, field, 262_144),
        "cpu_period" => shares.cpu_period = micros(cx, field),
        "cpu_quota" => shares.cpu_quota = micros(cx, field),
        "cpu_rt_period" => shares.cpu_rt_period = micros(cx, field),
        "cpu_rt_runtime" => shares.cpu_rt_runtime = micros(cx, field),
        "cpuset" => cx.set_some(&mut shares.cpuset, cpuset(field)),
        "memswap_limit" => shares.memory_swap_bytes = swap(cx, field),
        "mem_swappiness" => cx.set_some(&mut shares.swappiness, number("mem_swappiness", &field.value, 0..=100)),
        "blkio_config" => blkio(cx, field, shares),
        _ => return false,
    }
    true
}

/// A positive number; zero means the engine's default, like no value.
fn positive(cx: &mut Context<'_>, field: &Entry, most: i64) -> Option<i64> {
    cx.keep(number(&field.key, &field.value, 0..=most)).filter(|value| *value > 0)
}

/// A whole number of microseconds, or a duration; zero means not set.
fn micros(cx: &mut Context<'_>, field: &Entry) -> Option<i64> {
    let read = raw(&field.key, &field.value).ok().and_then(|text| match text.parse::<i64>() {
        Ok(count) => (-1..=1_000_000_000).contains(&count).then_some(count),
        Err(_) => i64::try_from(parse_duration(text)?.as_micros()).ok(),
    });
    let read = read.ok_or_else(|| field.expected("a number of microseconds, or a duration such as `50ms`"));
    cx.keep(read).filter(|count| *count != 0)
}

fn cpuset(field: &Entry) -> Read<String> {
    let text = field.text()?;
    let number = |text: &str| text.trim().parse::<u32>().is_ok();
    let valid = text.split(',').all(|part| match part.split_once('-') {
        Some((first, last)) => number(first) && number(last),
        None => number(part),
    });
    if valid { Ok(text) } else { Err(field.expected("processors such as `0-3` or `0,1`")) }
}

fn swap(cx: &mut Context<'_>, field: &Entry) -> Option<i64> {
    if field.value.as_text() == Some("-1") {
        return Some(-1);
    }
    cx.keep(bytes("memswap_limit", &field.value)).filter(|bytes| *bytes > 0)
}

fn blkio(cx: &mut Context<'_>, entry: &Entry, shares: &mut Shares) {
    let Some(map) = cx.keep(collections::map(entry)) else { return };
    for field in map.entries.iter().filter(|field| !field.value.is_null()) {
        match field.key.as_str() {
            "weight" => cx.set_some(&mut shares.blkio_weight, number("weight", &field.value, 10..=1000)),
            "weight_device" => shares.blkio_weight_device = devices(cx, field, "weight"),
            "device_read_bps" => shares.read_bps = devices(cx, field, "rate"),
            "device_write_bps" => shares.write_bps = devices(cx, field, "rate"),
            "device_read_iops" => shares.read_iops = devices(cx, field, "rate"),
            "device_write_iops" => shares.write_iops = devices(cx, field, "rate"),
            _ => refuse::BLKIO.judge(cx, field),
        }
    }
}

fn devices(cx: &mut Context<'_>, entry: &Entry, what: &str) -> Vec<DeviceRate> {
    let mut found = Vec::new();
    for item in cx.keep(collections::list(entry)).unwrap_or_default() {
        let form = format!("a list of `{{ path: /dev/…, {what}: … }}`");
        let Value::Map(map) = &item.value else {
            cx.refuse(expected(&entry.key, &form, item));
            continue;
        };
        let read = || {
            let (path, rate) = map.get("path").zip(map.get(what)).ok_or_else(|| {
                Problem::at(item.span, format!("`{}` needs `path` and `{what}`", entry.key))
                    .hint(format!("write {form}"))
            })?;
            let rate =
                if what == "weight" { number("weight", &rate.value, 10..=1000)? } else { bytes("rate", &rate.value)? };
            Ok(DeviceRate { path: path.text()?, rate })
        };
        found.extend(cx.keep(read()));
        for field in map.entries.iter().filter(|field| field.key != "path" && field.key != what) {
            refuse::BLKIO_DEVICE.judge(cx, field);
        }
    }
    found
}
