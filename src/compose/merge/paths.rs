//! Makes relative paths of extended and included files absolute before the merge with files of another folder.

use std::path::Path;

use super::source::absolute;
use crate::compose::text::node::{Map, Node, Value};
use crate::compose::text::short_forms;

/// Resolves all relative paths of the tree against `folder`. In an extended file, which is a part of the extending one,
/// a build without a context keeps none.
pub(in crate::compose) fn resolve(root: &mut Node, folder: &Path, completes: bool) {
    let Some(root) = root.as_map_mut() else { return };
    each(root, "services", |service| of_service(service, folder, completes));
    each(root, "jobs", |job| of_service(job, folder, completes));
    for kind in ["configs", "secrets"] {
        each(root, kind, |resource| at(resource, &["file"], &|node| rooted(node, folder)));
    }
    each(root, "volumes", |volume| {
        // A local volume bound to a folder is equivalent to a bind mount.
        if let Some(options) = volume.get_mut("driver_opts").and_then(|entry| entry.value.as_map_mut())
            && options.value("o").and_then(Node::as_text).is_some_and(|o| o.split(',').any(|o| o == "bind"))
        {
            at(options, &["device"], &|node| rooted(node, folder));
        }
    });
}

fn of_service(service: &mut Map, folder: &Path, completes: bool) {
    let here = |node: &mut Node| rooted(node, folder);
    if let Some(build) = service.get_mut("build") {
        let here = folder.to_string_lossy();
        match &mut build.value.value {
            Value::Scalar(text) if text.is_empty() => *text = here.into_owned(),
            // The default context is the folder of this file, not of the including one.
            Value::Map(map) if completes && map.value("context").and_then(Node::as_text).is_none_or(str::is_empty) => {
                let span = build.key_span;
                map.set("context", Node::text_at(span, here));
            }
            _ => context(&mut build.value, folder),
        }
    }
    at(service, &["build", "context"], &|node| context(node, folder));
    at(service, &["build", "additional_contexts", "*"], &|node| additional(node, folder));
    at(service, &["build", "ssh", "*"], &here);
    at(service, &["env_file"], &here);
    at(service, &["env_file", "*"], &here);
    at(service, &["env_file", "*", "path"], &here);
    at(service, &["label_file"], &here);
    at(service, &["label_file", "*"], &here);
    at(service, &["extends", "file"], &here);
    at(service, &["develop", "watch", "*", "path"], &here);
    at(service, &["credential_spec", "file"], &here);
    at(service, &["volumes", "*"], &|node| volume(node, folder));
}

/// The maps under a top-level key.
fn each(root: &mut Map, key: &str, mut change: impl FnMut(&mut Map)) {
    let Some(entries) = root.get_mut(key).and_then(|entry| entry.value.as_map_mut()) else { return };
    entries.entries.iter_mut().filter_map(|entry| entry.value.as_map_mut()).for_each(&mut change);
}

/// Applies `change` to the values at a path; `*` matches every entry of a map or item of a list.
fn at(map: &mut Map, path: &[&str], change: &dyn Fn(&mut Node)) {
    let Some((first, rest)) = path.split_first() else { return };
    if *first == "*" {
        map.entries.iter_mut().for_each(|entry| below(&mut entry.value, rest, change));
    } else if let Some(entry) = map.get_mut(first) {
        below(&mut entry.value, rest, change);
    }
}

fn below(node: &mut Node, path: &[&str], change: &dyn Fn(&mut Node)) {
    match &mut node.value {
        _ if path.is_empty() => change(node),
        Value::Map(map) => at(map, path, change),
        Value::List(items) if path[0] == "*" => items.iter_mut().for_each(|item| below(item, &path[1..], change)),
        _ => {}
    }
}

fn rooted(node: &mut Node, folder: &Path) {
    // `~` is resolved by the reader, which knows the user's home.
    if let Value::Scalar(text) = &mut node.value
        && !text.is_empty()
        && !text.starts_with('~')
    {
        *text = absolute(folder, Path::new(text.as_str())).to_string_lossy().into_owned();
    }
}

pub(super) fn is_remote(text: &str) -> bool {
    text.contains("://") || text.starts_with("git@") || text.starts_with("github.com/")
}

fn context(node: &mut Node, folder: &Path) {
    if node.as_text().is_some_and(|text| !is_remote(text)) {
        rooted(node, folder);
    }
}

/// A folder, a URL, an image, or a list item with `name=` before one of these.
fn additional(node: &mut Node, folder: &Path) {
    let Value::Scalar(text) = &mut node.value else { return };
    let (name, target) = match text.split_once('=') {
        Some((name, target)) => (Some(name), target),
        None => (None, text.as_str()),
    };
    if is_remote(target) || target.starts_with("service:") {
        return;
    }
    let path = absolute(folder, Path::new(target));
    *text = name.map_or_else(|| path.display().to_string(), |name| format!("{name}={}", path.display()));
}

fn volume(node: &mut Node, folder: &Path) {
    match &mut node.value {
        Value::Scalar(spec) => {
            let parts = short_forms::mount_parts(spec);
            if let [source, rest @ ..] = &parts[..]
                && !rest.is_empty()
                && source.starts_with('.')
            {
                *spec = format!("{}:{}", absolute(folder, Path::new(source)).display(), rest.join(":"));
            }
        }
        Value::Map(map) if map.value("type").and_then(Node::as_text) == Some("bind") => {
            at(map, &["source"], &|node| rooted(node, folder));
        }
        _ => {}
    }
}
