//! The top-level `x-deploy-apps`: the host's proxy, and who is told of a run's end.

use super::collect;
use super::container::logging;
use super::context::Context;
use super::error::{Problem, Read};
use super::node::{Entry, clip};
use super::notify_block;
use super::refuse;
use super::scalar::number;
use crate::model::{AddressPool, ProxyName, ProxySpec, Subnet, Webhook};

/// High enough to need no rights, and the port that developers expect.
const HTTP_PORT: u16 = 8080;

const BASE_IMAGE: &str = "debian:trixie-slim";

pub(super) fn read(cx: &mut Context<'_>, entry: Option<&Entry>) -> (ProxySpec, Vec<Webhook>) {
    let mut notify = Vec::new();
    let mut proxy = ProxySpec {
        name: ProxyName::default(),
        http_port: HTTP_PORT,
        bind: None,
        subnet: None,
        base_image: BASE_IMAGE.to_owned(),
        logging: None,
    };
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
                "name" => cx.set(&mut proxy.name, name(field)),
                "http_port" => cx.set(&mut proxy.http_port, number("http_port", &field.value, 1..=65535)),
                "bind" => cx.set_some(&mut proxy.bind, bind(field)),
                "subnet" => cx.set_some(&mut proxy.subnet, subnet(field)),
                "logging" => proxy.logging = logging(cx, field),
                "base_image" => cx.set(&mut proxy.base_image, field.text()),
                _ => refuse::PROXY.judge(cx, field),
            }
        }
    }
    (proxy, notify)
}

fn fields<'n>(cx: &mut Context<'_>, entry: Option<&'n Entry>) -> &'n [Entry] {
    entry.and_then(|entry| cx.keep(collect::map(entry))).map_or(&[], |map| &map.entries)
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

fn subnet(field: &Entry) -> Read<Subnet> {
    let parsed = field.text()?.parse().ok();
    parsed
        .filter(|subnet| AddressPool::new(*subnet).is_some())
        .ok_or_else(|| field.expected("an IPv4 network of 4,096 addresses, such as `10.213.0.0/20`"))
}
