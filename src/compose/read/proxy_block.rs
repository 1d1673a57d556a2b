//! The top-level `x-deploy-apps`: the host's proxy, and who is told of a run's end.

use super::acme;
use super::container::logging;
use super::notify_block;
use super::secrets::Declared;
use crate::compose::context::Context;
use crate::compose::error::{Problem, Read};
use crate::compose::refuse;
use crate::compose::text::collections;
use crate::compose::text::node::{Entry, Span, Value, clip};
use crate::compose::text::scalar::{bytes, number, raw};
use crate::model::{
    AccessLog, AddressPool, InvalidRange, ProxyName, ProxySpec, Subnet, TrustedProxy, UpgradePolicy, Webhook,
};

/// High enough to need no rights, and the port that developers expect.
const HTTP_PORT: u16 = 8080;

/// All of them are looked through for each new address; a large provider has some thirty.
const MOST_TRUSTED: usize = 256;

/// Of one address; more than any proxy has.
const MOST_CONNECTIONS: u32 = 1_000_000;

const BASE_IMAGE: &str = "debian:trixie-slim";

pub(super) fn read(cx: &mut Context<'_>, entry: Option<&Entry>, files: &Declared) -> (ProxySpec, Vec<Webhook>) {
    let mut notify = Vec::new();
    let mut proxy = ProxySpec {
        name: ProxyName::default(),
        http_port: HTTP_PORT,
        https_port: None,
        bind: None,
        subnet: None,
        base_image: BASE_IMAGE.to_owned(),
        logging: None,
        trusted_proxies: Vec::new(),
        proxy_protocol: false,
        memory_bytes: ProxySpec::MEMORY,
        access_log: AccessLog::default(),
        connections_per_client: None,
        acme: None,
        upgrade: UpgradePolicy::default(),
    };
    let mut access_log_is_set = false;
    for part in fields(cx, entry) {
        if part.key == "notify" {
            notify = notify_block::read(cx, part);
            continue;
        }
        if part.key != "proxy" {
            refuse::PROJECT_BLOCK.judge(cx, part);
            continue;
        }
        for field in fields(cx, Some(part)).iter().filter(|field| !field.value.is_null()) {
            match field.key.as_str() {
                "acme" => proxy.acme = acme::read(cx, field, files),
                "name" => cx.set(&mut proxy.name, name(field)),
                "https_port" => cx.set_some(&mut proxy.https_port, number("https_port", &field.value, 1..=65535)),
                "http_port" => cx.set(&mut proxy.http_port, number("http_port", &field.value, 1..=65535)),
                "bind" => cx.set_some(&mut proxy.bind, bind(field)),
                "subnet" => cx.set_some(&mut proxy.subnet, subnet(field)),
                "logging" => proxy.logging = logging(cx, field),
                "trusted_proxies" => cx.set(&mut proxy.trusted_proxies, trusted_proxies(field)),
                "proxy_protocol" => cx.set(&mut proxy.proxy_protocol, field.boolean()),
                "memory" => cx.set(&mut proxy.memory_bytes, memory(field)),
                "access_log" => {
                    cx.set(&mut proxy.access_log, access_log(field));
                    access_log_is_set = true;
                }
                "connections_per_client" => {
                    let most = number("connections_per_client", &field.value, 1..=MOST_CONNECTIONS);
                    cx.set_some(&mut proxy.connections_per_client, most);
                }
                "upgrade" => cx.set(&mut proxy.upgrade, upgrade(field)),
                "base_image" => cx.set(&mut proxy.base_image, field.text()),
                _ => refuse::PROXY.judge(cx, field),
            }
        }
        judge_trust(cx, part, &proxy);
        judge_ports(cx, part, &proxy);
    }
    // Who says where the container's log goes wants the requests there.
    if proxy.logging.is_some() && !access_log_is_set {
        proxy.access_log = AccessLog::Stdout;
    }
    (proxy, notify)
}

fn fields<'n>(cx: &mut Context<'_>, entry: Option<&'n Entry>) -> &'n [Entry] {
    entry.and_then(|entry| cx.keep(collections::map(entry))).map_or(&[], |map| &map.entries)
}

fn name(field: &Entry) -> Read<ProxyName> {
    let text = field.text()?;
    text.parse().map_err(|error: crate::model::InvalidName| {
        Problem::at(field.value.span, format!("`{}` is not a proxy name", clip(&text)))
            .hint(format!("use {}", error.rule))
    })
}

fn bind(field: &Entry) -> Read<String> {
    let text = field.text()?;
    match text.parse::<std::net::IpAddr>() {
        Ok(address) => Ok(address.to_string()),
        Err(_) => Err(field.expected("an address of the host, such as `127.0.0.1`")),
    }
}

fn memory(field: &Entry) -> Read<i64> {
    let wanted = bytes("memory", &field.value)?;
    if wanted < ProxySpec::LEAST_MEMORY {
        let message = "`memory` of the proxy is below 256m, which its tables and one worker need";
        return Err(Problem::at(field.value.span, message).hint("leave it out for 1g, or write `256m` or more"));
    }
    Ok(wanted)
}

fn access_log(field: &Entry) -> Read<AccessLog> {
    // `off` without quotes may be a word for false.
    let text = raw(&field.key, &field.value)?;
    let known = AccessLog::ALL.into_iter().find(|log| log.as_str() == text);
    known.ok_or_else(|| field.expected("one of `file`, `stdout` and `off`"))
}

fn upgrade(field: &Entry) -> Read<UpgradePolicy> {
    let text = field.text()?;
    let known = UpgradePolicy::ALL.into_iter().find(|policy| policy.as_str() == text);
    known.ok_or_else(|| field.expected("`auto` or `manual`"))
}

/// Addresses and networks as a list, or in one text with commas or blanks between them, as a variable holds them.
fn trusted_proxies(field: &Entry) -> Read<Vec<TrustedProxy>> {
    let items = match &field.value.value {
        Value::List(items) => items.as_slice(),
        Value::Scalar(_) => std::slice::from_ref(&field.value),
        _ => return Err(field.expected("a list of addresses and networks")),
    };
    let mut trusted = Vec::new();
    for item in items {
        let words = raw(&field.key, item)?.split(|c: char| c == ',' || c.is_whitespace());
        for text in words.filter(|text| !text.is_empty()) {
            match text {
                "private" => {
                    trusted.extend(TrustedProxy::PRIVATE.iter().filter_map(|text| text.parse::<TrustedProxy>().ok()))
                }
                _ => trusted.push(text.parse().map_err(|invalid| not_a_range(item.span, text, invalid))?),
            }
        }
    }
    if trusted.len() > MOST_TRUSTED {
        let message = format!("`trusted_proxies` has {} entries, and at most {MOST_TRUSTED} are read", trusted.len());
        return Err(Problem::at(field.key_span, message).hint("join neighbouring networks into larger ones"));
    }
    Ok(trusted)
}

fn not_a_range(span: Span, text: &str, invalid: InvalidRange) -> Problem {
    let text = clip(text);
    match invalid {
        InvalidRange::Malformed => Problem::at(
            span,
            format!("`{text}` in `trusted_proxies` is not an address or a network in CIDR form"),
        )
        .hint("write such as `203.0.113.7`, `10.0.0.0/8` or `2001:db8::/32`, or one of the words `host` and `private`"),
        InvalidRange::HostBits(network) => {
            Problem::at(span, format!("`{text}` in `trusted_proxies` has bits set beyond its prefix"))
                .hint(format!("write `{network}` for the network, or the address without `/…`"))
        }
    }
}

/// What the two keys come to together.
fn judge_trust(cx: &mut Context<'_>, part: &Entry, proxy: &ProxySpec) {
    let Some(map) = part.value.as_map() else { return };
    if let Some(field) = map.get("proxy_protocol").filter(|_| proxy.proxy_protocol && proxy.trusted_proxies.is_empty())
    {
        let message = "`proxy_protocol` is on, but `trusted_proxies` names nobody whose word would be taken";
        cx.refuse(Problem::at(field.key_span, message).hint("name the load balancer's addresses in `trusted_proxies`"));
    }
    let everybody = proxy.trusted_proxies.iter().any(|trusted| trusted.is_everybody());
    if let Some(field) = map.get("trusted_proxies").filter(|_| everybody) {
        let message = "`trusted_proxies` trusts every address, so any client can choose the one that apps see";
        cx.warn(Problem::at(field.key_span, message).hint("name only the addresses of what stands in front"));
    }
}

fn judge_ports(cx: &mut Context<'_>, part: &Entry, proxy: &ProxySpec) {
    let field = part.value.as_map().and_then(|map| map.get("https_port"));
    if let Some(field) = field.filter(|_| proxy.https_port == Some(proxy.http_port)) {
        let message = format!("`https_port` is {0}, and so is `http_port`", proxy.http_port);
        cx.refuse(Problem::at(field.value.span, message).hint("a port has one of the two, usually 80 and 443"));
    }
}

fn subnet(field: &Entry) -> Read<Subnet> {
    let parsed = field.text()?.parse().ok();
    parsed
        .filter(|subnet| AddressPool::new(*subnet).is_some())
        .ok_or_else(|| field.expected("an IPv4 network of 4,096 addresses, such as `10.213.0.0/20`"))
}
