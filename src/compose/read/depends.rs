//! `depends_on`: services that must run first.

use std::collections::BTreeMap;

use crate::compose::context::Context;
use crate::compose::error::Problem;
use crate::compose::refuse;
use crate::compose::text::collections;
use crate::compose::text::node::{Entry, Span, Value, clip};
use crate::compose::text::scalar::{choice, text};
use crate::compose::text::suggest::nearest;
use crate::model::{AppName, Condition, Dependency};

/// The dependencies of one service; `services` are all services of the file.
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
    for field in cx.keep(collections::map(item)).map_or(&[][..], |map| &map.entries) {
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
            // A deploy never restarts accessories, so this has no effect.
            "restart" => {
                cx.set(&mut restart, field.boolean());
                if restart {
                    let message = "`restart: true` has no effect: no deploy restarts an accessory";
                    cx.warn(Problem::at(field.key_span, message));
                }
            }
            _ => refuse::DEPENDENCY.judge(cx, field),
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

/// Refuses dependency cycles, which would wait forever.
pub(super) fn check_circles(cx: &mut Context<'_>, edges: &BTreeMap<AppName, Vec<(Dependency, Span)>>) {
    // Remove services without remaining dependencies; what is left at the end is in a cycle or depends on one.
    let mut left: BTreeMap<&AppName, &[(Dependency, Span)]> =
        edges.iter().map(|(name, dependencies)| (name, &dependencies[..])).collect();
    loop {
        let (blocked, free): (BTreeMap<_, _>, BTreeMap<_, _>) = left
            .iter()
            .partition(|(_, dependencies)| dependencies.iter().any(|(found, _)| left.contains_key(&found.service)));
        left = blocked;
        if free.is_empty() {
            break;
        }
    }
    let Some((first, _)) = left.first_key_value() else { return };
    let (mut path, mut service) = (Vec::new(), *first);
    loop {
        let next = left[service].iter().find(|(found, _)| left.contains_key(&found.service));
        let Some((dependency, span)) = next else { return };
        path.push(service.as_str());
        service = &dependency.service;
        if let Some(begin) = path.iter().position(|step| *step == service.as_str()) {
            let circle = path[begin..].join("` → `");
            let message = format!("services depend on each other in a circle: `{circle}` → `{service}`");
            cx.refuse(Problem::at(*span, message).hint("remove one of these dependencies"));
            return;
        }
    }
}
