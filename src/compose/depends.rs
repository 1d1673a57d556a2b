//! `depends_on`: which services must run first.

use std::collections::BTreeMap;

use super::collect;
use super::context::Context;
use super::error::Problem;
use super::node::{Entry, Span, Value, clip};
use super::refuse;
use super::scalar::{choice, text};
use super::suggest::nearest;
use crate::model::{AppName, Condition, Dependency};

/// The dependencies of one service; `services` are all that the file has.
pub(super) fn read(cx: &mut Context<'_>, entry: &Entry, services: &[&str]) -> Vec<(Dependency, Span)> {
    let mut found = Vec::new();
    match &entry.value.value {
        Value::Null => {}
        Value::List(items) => {
            for item in items {
                let read = text("depends_on", item);
                if let Some(name) = cx.keep(read) {
                    found.extend(dependency(cx, &name, item.span, Condition::Started, true, services));
                }
            }
        }
        Value::Map(map) => {
            for item in &map.entries {
                let (condition, required) = conditions(cx, item);
                found.extend(dependency(cx, &item.key, item.key_span, condition, required, services));
            }
        }
        Value::Scalar(_) => cx.refuse(entry.expected("a list or a map of services")),
    }
    found
}

fn conditions(cx: &mut Context<'_>, item: &Entry) -> (Condition, bool) {
    let (mut condition, mut required, mut restart) = (Condition::Started, true, false);
    for field in cx.keep(collect::map(item)).map_or(&[][..], |map| &map.entries) {
        match field.key.as_str() {
            "condition" => {
                let conditions = [
                    ("service_started", Condition::Started),
                    ("service_healthy", Condition::Healthy),
                    ("service_completed_successfully", Condition::CompletedSuccessfully),
                ];
                cx.set(&mut condition, choice("condition", &field.value, &conditions));
            }
            "required" => cx.set(&mut required, field.boolean()),
            "restart" => {
                cx.set(&mut restart, field.boolean());
                if restart {
                    let problem = Problem::at(field.key_span, "`restart: true` is not supported");
                    cx.refuse(problem.hint("remove it: an accessory's restart leaves the apps that use it running"));
                }
            }
            _ => {
                if let Some(problem) = refuse::DEPENDENCY.refusal(field) {
                    cx.refuse(problem);
                }
            }
        }
    }
    (condition, required)
}

fn dependency(
    cx: &mut Context<'_>,
    name: &str,
    span: Span,
    condition: Condition,
    required: bool,
    services: &[&str],
) -> Option<(Dependency, Span)> {
    if services.contains(&name) {
        return Some((Dependency { service: name.parse().ok()?, condition }, span));
    }
    if required {
        let problem = Problem::at(span, format!("`depends_on` names `{}`, which is not a service", clip(name)));
        cx.refuse(match nearest(name, services.iter().copied()) {
            Some(near) => problem.hint(format!("did you mean `{near}`?")),
            None => problem.hint("add the service, or remove the dependency"),
        });
    }
    None
}

/// Each service waits for what it depends on, so a circle would wait for ever.
pub(super) fn check_circles(cx: &mut Context<'_>, edges: &BTreeMap<AppName, Vec<(Dependency, Span)>>) {
    // A service is finished once all that it leads to is: it can be part of no circle found later.
    let mut finished = Vec::new();
    for start in edges.keys() {
        let mut path = Vec::new();
        if let Some((circle, span)) = walk(start, edges, &mut path, &mut finished) {
            let problem = Problem::at(span, format!("services depend on each other in a circle: `{circle}`"));
            cx.refuse(problem.hint("remove one of these dependencies"));
            return;
        }
    }
}

fn walk<'e>(
    service: &'e AppName,
    edges: &'e BTreeMap<AppName, Vec<(Dependency, Span)>>,
    path: &mut Vec<&'e AppName>,
    finished: &mut Vec<&'e AppName>,
) -> Option<(String, Span)> {
    path.push(service);
    for (dependency, span) in edges.get(service).into_iter().flatten() {
        if let Some(begin) = path.iter().position(|step| **step == dependency.service) {
            let names: Vec<&str> = path[begin..].iter().map(|name| name.as_str()).collect();
            return Some((format!("{} → {}", names.join(" → "), dependency.service), *span));
        }
        if !finished.contains(&&dependency.service)
            && let Some(found) = walk(&dependency.service, edges, path, finished)
        {
            return Some(found);
        }
    }
    path.pop();
    finished.push(service);
    None
}
