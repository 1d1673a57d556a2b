//! `environment` and `env_file`: the container's environment variables.

use indexmap::IndexMap;

use crate::compose::context::Context;
use crate::compose::error::{Problem, Read};
use crate::compose::merge::source;
use crate::compose::refuse;
use crate::compose::text::collections;
use crate::compose::text::dotenv;
use crate::compose::text::node::{Entry, Node, Span, Value};
use crate::compose::text::scalar::{boolean, choice, text};

/// The files in order, overridden by `environment`.
pub(in crate::compose) fn read(
    cx: &mut Context<'_>,
    files: Option<&Entry>,
    own: Option<&Entry>,
) -> IndexMap<String, String> {
    let mut variables = IndexMap::new();
    let own = own.and_then(|entry| cx.keep(collections::pairs(entry))).unwrap_or_default();
    if let Some(entry) = files.filter(|entry| !entry.value.is_null()) {
        let files = crate::compose::read::variables::files(cx, entry);
        for file in cx.keep(files).unwrap_or_default() {
            let read = load(cx, &file, &own, &mut variables);
            cx.keep(read);
        }
    }
    for (name, value, _) in own {
        // A name without a value is passed through from the environment, and omitted if it is not set there.
        if let Some(value) = value.or_else(|| cx.environment.get(&name)) {
            variables.insert(name, value);
        }
    }
    variables
}

struct EnvFile {
    path: String,
    required: bool,
    /// Values are not interpolated.
    raw: bool,
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
        return Ok(EnvFile { path: text("env_file", node)?, required: true, raw: false, span: node.span });
    };
    for field in &map.entries {
        if !refuse::ENV_FILE.known.contains(&field.key.as_str()) {
            refuse::ENV_FILE.judge(cx, field);
        }
    }
    let path = map.get("path").ok_or_else(|| Problem::at(node.span, "an env file needs its `path`"))?;
    let required = map.get("required").map_or(Ok(true), |field| boolean("required", &field.value))?;
    let format = map.get("format").filter(|field| !field.value.is_null());
    let raw = format.map_or(Ok(false), |field| choice("format", &field.value, &[("raw", true)]))?;
    Ok(EnvFile { path: path.text()?, required, raw, span: path.value.span })
}

/// Adds the file's variables. For its values, variables of the run take precedence over those of the service and of the
/// files.
fn load(
    cx: &mut Context<'_>,
    file: &EnvFile,
    own: &[(String, Option<String>, Span)],
    variables: &mut IndexMap<String, String>,
) -> Read<()> {
    let path = cx.path(&file.path);
    if !file.required && !path.exists() {
        return Ok(());
    }
    let text = source::read(&path).map_err(|(_, what, hint)| {
        let problem = Problem::at(file.span, format!("env file `{}` {what}", path.display()));
        problem.hint(if path.exists() { hint } else { "make it, or say `required: false`".to_owned() }).missing()
    })?;
    let known = |name: &str| {
        let service = || own.iter().rev().find(|(known, ..)| known == name).and_then(|(_, value, _)| value.clone());
        cx.environment.get(name).or_else(service)
    };
    let parse = if file.raw { dotenv::parse_raw } else { dotenv::parse_onto };
    let unset = parse(variables, &text, &known).map_err(|bad| {
        let message = format!("env file `{}`, line {}: {}", path.display(), bad.line, bad.message);
        Problem::at(file.span, message).hint(bad.hint)
    })?;
    for (name, line) in unset {
        let message =
            format!("env file `{}`, line {line}: variable `{name}` is not set, so it is empty", path.display());
        cx.warn(Problem::at(file.span, message).hint("set it, or write `$$` or single quotes for a dollar sign"));
    }
    Ok(())
}
