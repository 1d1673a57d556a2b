//! `x-deploy-apps` of a service: what makes it an app, and how it is routed, checked and drained.

use std::time::Duration;

use super::routes::Routed;
use super::secrets::Declared;
use super::version;
use super::{basic_auth, canary, edge, error_pages, redirects, routes};
use crate::compose::context::Context;
use crate::compose::error::{Problem, Read};
use crate::compose::refuse::{self, Section};
use crate::compose::text::collections;
use crate::compose::text::node::{Entry, Span, Value};
use crate::compose::text::scalar::{choice, number};
use crate::model::{AppKey, Balance, CanaryPolicy, DrainPolicy, HealthPolicy, ProjectName, ReleaseCommand, Settings};

#[derive(Debug, Default)]
pub(super) struct AppBlock {
    pub port: Option<u16>,
    pub routes: Vec<Routed>,
    pub health: HealthPolicy,
    pub drain: DrainPolicy,
    pub settings: Settings,
    pub release: Option<ReleaseCommand>,
    pub canary: Option<(CanaryPolicy, Span)>,
    pub version: Option<String>,
    pub replaces: Option<(AppKey, Span)>,
}

pub(super) fn read(cx: &mut Context<'_>, service: &str, entry: &Entry, files: &Declared) -> Option<AppBlock> {
    let map = cx.keep(collections::map(entry))?;
    let mut block = AppBlock::default();
    let (mut named_routes, mut named_redirects, mut routed_only) = (None, None, None);
    for field in map.entries.iter().filter(|field| !field.value.is_null()) {
        if matches!(field.key.as_str(), "routes" | "drain" | "canary")
            || Settings::names().any(|name| name == field.key)
        {
            routed_only.get_or_insert((field.key_span, field.key.clone()));
        }
        match field.key.as_str() {
            "port" => cx.set_some(&mut block.port, number("port", &field.value, 1..=65535)),
            "routes" => named_routes = Some(field),
            "redirects" => named_redirects = Some(field),
            "response_headers" => block.settings.response_headers = edge::response_headers(cx, field),
            "access" => block.settings.access = edge::access(cx, field),
            "max_body_size" => cx.set_some(&mut block.settings.max_body_size, edge::max_body_size(field)),
            "rate_limit" => block.settings.rate_limit = edge::rate_limit(cx, field),
            "basic_auth" => block.settings.basic_auth = basic_auth::read(cx, service, field, files),
            "error_pages" => block.settings.error_pages = error_pages::read(cx, field),
            "timeouts" => block.settings.timeouts = edge::timeouts(cx, field),
            "health" => {
                if let Some(asked) = health(cx, field, &mut block.health) {
                    routed_only.get_or_insert((asked.key_span, format!("health.{}", asked.key)));
                }
            }
            "drain" => drain(cx, field, &mut block.drain),
            "balance" => {
                let ways = [("least-connections", Balance::LeastConnections), ("round-robin", Balance::RoundRobin)];
                cx.set(&mut block.settings.balance, choice("balance", &field.value, &ways));
            }
            "metrics" => cx.set_some(&mut block.settings.metrics, request_path(field)),
            "release" => block.release = release(cx, field),
            "canary" => block.canary = Some((canary::read(cx, field), field.key_span)),
            "replaces" => {
                let key = replaces(cx.project, field).map(|key| (key, field.key_span));
                cx.set_some(&mut block.replaces, key);
            }
            "backup" => cx.refuse(
                Problem::at(field.key_span, format!("app `{service}` has a `backup`, which only an accessory has"))
                    .hint("remove it; what must be saved before a new version runs goes into `release`"),
            ),
            "version" => cx.set_some(&mut block.version, version::chosen(field)),
            _ => unknown(cx, &refuse::APP, field),
        }
    }
    if map.get("port").is_none_or(|port| port.value.is_null()) {
        if let Some((span, key)) = routed_only {
            let problem = Problem::at(span, format!("app `{service}` has `{key}` but no `port`"));
            cx.refuse(problem.hint("add the `port` that it listens on, or remove what only a routed app needs"));
        }
    } else {
        block.routes = match named_routes {
            Some(field) => routes::read(cx, field, files),
            None => cx.keep(routes::default(service, entry.key_span)).into_iter().collect(),
        };
        let redirects = named_redirects.map(|field| redirects::read(cx, field)).unwrap_or_default();
        block.settings.redirects = redirects::settle(cx, redirects, &mut block.routes);
    }
    Some(block)
}

fn unknown(cx: &mut Context<'_>, section: &Section, field: &Entry) {
    section.judge(cx, field);
}

/// Returns a field that is about the proxy's own questions. A worker, which is not asked, has only the time to get healthy.
fn health<'e>(cx: &mut Context<'_>, entry: &'e Entry, health: &mut HealthPolicy) -> Option<&'e Entry> {
    let fields = cx.keep(collections::map(entry)).map_or(&[][..], |map| &map.entries);
    for field in fields {
        match field.key.as_str() {
            "path" => cx.set(&mut health.path, request_path(field)),
            "successes" => cx.set(&mut health.successes, number("successes", &field.value, 1..=100)),
            "interval" => cx.set(&mut health.interval, probe_time(field)),
            "timeout" => cx.set(&mut health.timeout, probe_time(field)),
            "probe_timeout" => cx.set(&mut health.probe_timeout, probe_time(field)),
            _ => unknown(cx, &refuse::HEALTH, field),
        }
    }
    let of_probes = ["path", "successes", "interval", "probe_timeout"];
    fields.iter().find(|field| of_probes.contains(&field.key.as_str()))
}

/// The proxy counts in milliseconds, so less would be no time at all.
fn probe_time(field: &Entry) -> Read<Duration> {
    let time = field.positive_duration()?;
    if time < Duration::from_millis(1) { Err(field.expected("at least `1ms`")) } else { Ok(time) }
}

/// What goes into a request line: no blanks, no control characters, nothing after `#`.
fn request_path(field: &Entry) -> Read<String> {
    let path = field.text()?;
    if path.starts_with('/') && path.chars().all(|c| c.is_ascii_graphic() && c != '#') {
        Ok(path)
    } else {
        Err(field.expected("a path that starts with `/`, such as `/healthz`"))
    }
}

/// An app of this project by its name, or of another as `<project>/<app>`.
fn replaces(project: &ProjectName, field: &Entry) -> Read<AppKey> {
    let text = field.text()?;
    let key = match text.contains('/') {
        true => text.parse(),
        false => text.parse().map(|app| AppKey { project: project.clone(), app }),
    };
    key.map_err(|_| field.expected("the name of an app, or `<project>/<app>` of another project"))
}

fn drain(cx: &mut Context<'_>, entry: &Entry, drain: &mut DrainPolicy) {
    for field in cx.keep(collections::map(entry)).map_or(&[][..], |map| &map.entries) {
        match field.key.as_str() {
            "timeout" => cx.set(&mut drain.timeout, field.duration()),
            "websocket_timeout" => cx.set(&mut drain.websocket_timeout, field.duration()),
            "stop_first_timeout" => cx.set(&mut drain.stop_first_timeout, field.duration()),
            _ => unknown(cx, &refuse::DRAIN, field),
        }
    }
}

/// A command, or a map of it and its time limit.
fn release(cx: &mut Context<'_>, entry: &Entry) -> Option<ReleaseCommand> {
    let mut command = None;
    let mut timeout = ReleaseCommand::DEFAULT_TIMEOUT;
    if let Value::Map(map) = &entry.value.value {
        for field in map.entries.iter().filter(|field| !field.value.is_null()) {
            match field.key.as_str() {
                "command" => cx.set_some(&mut command, collections::command("command", &field.value)),
                "timeout" => cx.set(&mut timeout, field.positive_duration()),
                _ => unknown(cx, &refuse::RELEASE, field),
            }
        }
        if map.get("command").is_none() {
            cx.refuse(Problem::at(entry.key_span, "`release` has no `command`").hint("add `command: [\"./migrate\"]`"));
        }
    } else {
        command = cx.keep(collections::command("release", &entry.value));
    }
    let command = command?;
    if command.is_empty() {
        cx.refuse(
            Problem::at(entry.key_span, "`release` is an empty command").hint("name a program, or remove the key"),
        );
    }
    Some(ReleaseCommand { command, timeout })
}
