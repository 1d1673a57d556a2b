//! `environment` and `env_file`: what the container's processes see.

use indexmap::IndexMap;

use super::collect;
use super::context::Context;
use super::dotenv;
use super::error::{Problem, Read};
use super::node::{Entry, Node, Span, Value};
use super::refuse;
use super::scalar::{boolean, text};
use super::source;

/// Files first, in their order, then `environment` over them.
pub(super) fn read(cx: &mut Context<'_>, files: Option<&Entry>, own: Option<&Entry>) -> IndexMap<String, String> {
    let mut variables = IndexMap::new();
    if let Some(entry) = files.filter(|entry| !entry.value.is_null()) {
        let files = self::files(cx, entry);
        for file in cx.keep(files).unwrap_or_default() {
            let read = load(cx, &file);
            variables.extend(cx.keep(read).unwrap_or_default());
        }
    }
    for (name, value, _) in own.and_then(|entry| cx.keep(collect::pairs(entry))).unwrap_or_default() {
        // A name alone passes on what this run's environment has, and is left out when it has nothing.
        if let Some(value) = value.or_else(|| cx.environment.get(&name)) {
            variables.insert(name, value);
        }
    }
    variables
}

struct EnvFile {
    path: String,
    required: bool,
    span: Span,
}

fn files(cx: &mut Context<'_>, entry: &Entry) -> Read<Vec<EnvFile>> {
    match &entry.value.value {
        Value::List(items) => items.iter().map(|item| file(cx, item)).collect(),
        Value::Scalar(_) => Ok(vec![file(cx, &entry.value)?]),
        _ => Err(entry.expected("a file or a list of files")),
    }
}

fn file(cx: &mut Context<'_>, node: &Node) -> Read<EnvFile> {
    let Value::Map(map) = &node.value else {
        return Ok(EnvFile { path: text("env_file", node)?, required: true, span: node.span });
    };
    for field in &map.entries {
        if !refuse::ENV_FILE.known.contains(&field.key.as_str()) {
            refuse::ENV_FILE.judge(cx, field);
        }
    }
    let path = map.get("path").ok_or_else(|| Problem::at(node.span, "an env file needs its `path`"))?;
    let required = map.get("required").map_or(Ok(true), |field| boolean("required", &field.value))?;
    Ok(EnvFile { path: path.text()?, required, span: path.value.span })
}

fn load(cx: &Context<'_>, file: &EnvFile) -> Read<IndexMap<String, String>> {
    let path = cx.path(&file.path);
    if !file.required && !path.exists() {
        return Ok(IndexMap::new());
    }
    let text = source::read(&path).map_err(|(_, what, hint)| {
        let problem = Problem::at(file.span, format!("env file `{}` {what}", path.display()));
        problem.hint(if path.exists() { hint } else { "make it, or say `required: false`".to_owned() })
    })?;
    dotenv::parse(&text, &|name| cx.environment.get(name)).map_err(|bad| {
        let message = format!("env file `{}`, line {}: {}", path.display(), bad.line, bad.message);
        Problem::at(file.span, message).hint(bad.hint)
    })
}
