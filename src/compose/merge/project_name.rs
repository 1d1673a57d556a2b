//! The name of a project, from all of compose's sources.

use std::path::Path;

use super::layers::File;
use crate::compose::context::Environment;
use crate::compose::error::{Problem, Read};
use crate::compose::text::interpolate;
use crate::compose::text::node::{self, Node, Span, Value};
use crate::compose::text::root;
use crate::model::{InvalidName, ProjectName};

/// From `-p`, the environment, the last file's `name`, or the folder's name, normalized like in compose.
pub(in crate::compose) fn project_name(
    files: &[File],
    environment: &Environment,
    folder: &Path,
    chosen: Option<&str>,
) -> Read<ProjectName> {
    let documents = || files.iter().flat_map(|file| &file.documents);
    documents().try_for_each(|document| root::entries(document).map(|_| ()))?;
    let given = chosen.map(str::to_owned).or_else(|| environment.get("COMPOSE_PROJECT_NAME"));
    if let Some(text) = given.filter(|text| !text.is_empty()) {
        return text.parse().map_err(|error| bad_name(None, &error));
    }
    let named = |document: &'_ Node| document.as_map().and_then(|root| root.get("name")).cloned();
    if let Some(entry) = documents().rev().filter_map(named).find(|entry| !entry.value.is_null()) {
        let mut node = entry.value.clone();
        // Interpolation errors are ignored here and reported when the whole file is interpolated.
        let value = |name: &str| environment.get(name);
        interpolate::Tree::new("", &value).walk(&mut node);
        let text = match node.value {
            Value::Scalar(text) => text,
            _ => return Err(entry.expected("text")),
        };
        let name = normalized(&text);
        return name.parse().map_err(|error| match name.is_empty() {
            true => bad_name(Some(entry.value.span), &InvalidName { text, ..error }),
            false => bad_name(Some(entry.value.span), &error),
        });
    }
    let name = normalized(&folder.file_name().unwrap_or_default().to_string_lossy());
    name.parse().map_err(|_| {
        let folder = folder.display();
        let message = if name.is_empty() {
            format!("folder `{folder}` gives no project name")
        } else {
            format!("folder `{folder}` gives a project name of {} characters, and at most 40 are possible", name.len())
        };
        Problem::plain(message).hint("add `name: …` at the top of the file, or use `-p NAME`")
    })
}

/// Normalizes a project name like compose.
fn normalized(text: &str) -> String {
    let fit = |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    text.to_lowercase().chars().filter(fit).collect::<String>().trim_start_matches(['-', '_']).to_owned()
}

fn bad_name(span: Option<Span>, error: &InvalidName) -> Problem {
    let message = format!("`{}` is not a project name", node::clip(&error.text));
    Problem { span, ..Problem::plain(message) }.hint(format!("use {}", error.rule))
}
