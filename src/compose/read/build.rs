//! `build`: how to build an image.

use std::path::{Path, PathBuf};

use indexmap::IndexMap;

use super::container;
use super::image_reference;
use crate::compose::context::Context;
use crate::compose::error::{Problem, Read};
use crate::compose::refuse;
use crate::compose::text::collections;
use crate::compose::text::node::{Entry, Value, clip};
use crate::compose::text::scalar::bytes;
use crate::model::BuildSpec;

pub(super) fn read(cx: &mut Context<'_>, entry: &Entry) -> Option<BuildSpec> {
    let mut build =
        BuildSpec { context: cx.folder.to_owned(), dockerfile: PathBuf::from("Dockerfile"), ..BuildSpec::default() };
    if let Value::Scalar(_) = entry.value.value {
        let read = context(cx, entry);
        build.context = cx.keep(read)?;
        return Some(build);
    }
    let map = match &entry.value.value {
        Value::Map(map) => map,
        _ => {
            cx.refuse(entry.expected("a folder or a map"));
            return None;
        }
    };
    let mut dockerfile = None;
    for field in map.entries.iter().filter(|field| !field.value.is_null() || field.key == "args") {
        match field.key.as_str() {
            "context" => {
                let read = context(cx, field);
                cx.set(&mut build.context, read);
            }
            "dockerfile" => dockerfile = Some(field),
            "dockerfile_inline" => cx.set_some(&mut build.dockerfile_inline, field.text()),
            "args" => {
                let read = args(cx, field);
                cx.set(&mut build.args, read);
            }
            "target" => cx.set_some(&mut build.target, field.text()),
            "labels" => cx.set(&mut build.labels, container::labels(field)),
            "network" => cx.set_some(&mut build.network, field.text()),
            "extra_hosts" => cx.set(&mut build.extra_hosts, collections::hosts(field)),
            "no_cache" => cx.set(&mut build.no_cache, field.boolean()),
            "pull" => cx.set(&mut build.pull, field.boolean()),
            "cache_from" => build.cache_from = cache_from(cx, field),
            "tags" => cx.set(&mut build.tags, tags(field)),
            "shm_size" => build.shm_bytes = cx.keep(bytes("shm_size", &field.value)).filter(|bytes| *bytes > 0),
            "ulimits" => cx.set(&mut build.ulimits, container::ulimits(field)),
            "platforms" => build.platform = platforms(cx, field),
            // Disabled, or the only supported kind: equal to not set.
            "isolation" if field.value.as_text() == Some("default") => {}
            "isolation" => {
                let problem = field.expected("`default`").hint("remove it: the other kinds are for Windows containers");
                cx.refuse(problem.unsupported());
            }
            _ => refuse::BUILD.judge(cx, field),
        }
    }
    if let Some(field) = dockerfile {
        if build.dockerfile_inline.is_some() {
            let problem = Problem::at(field.key_span, "`dockerfile` and `dockerfile_inline` exclude each other");
            cx.refuse(problem.hint("keep one of them"));
        } else if let Some(text) = cx.keep(field.text()) {
            let path = PathBuf::from(text);
            // In the model the path is relative to the context. An absolute path in the file may be inside of it.
            build.dockerfile = path.strip_prefix(&build.context).map(Path::to_owned).unwrap_or(path);
        }
    }
    Some(build)
}

/// References of images; the engine's build API has no other cache types.
fn cache_from(cx: &mut Context<'_>, entry: &Entry) -> Vec<String> {
    let mut references = Vec::new();
    for text in cx.keep(collections::texts(entry)).unwrap_or_default() {
        let parts = || text.split(',').filter_map(|part| part.split_once('='));
        let of = |key: &str| parts().find(|(name, _)| *name == key).map(|(_, value)| value.to_owned());
        match (of("type"), of("ref")) {
            (None, _) => references.push(text.clone()),
            (Some(kind), Some(reference)) if kind == "registry" => references.push(reference),
            (Some(kind), _) => {
                let message =
                    format!("`cache_from` of type `{}` has no effect: the engine uses its own cache", clip(&kind));
                cx.warn(Problem::at(entry.key_span, message));
            }
        }
    }
    references
}

fn tags(entry: &Entry) -> Read<Vec<String>> {
    let tags = collections::texts(entry)?;
    match tags.iter().find(|tag| !image_reference::is_valid(tag)) {
        None => Ok(tags),
        Some(tag) => Err(Problem::at(entry.value.span, format!("`{}` is not a tag for an image", clip(tag)))
            .hint("write such as `registry.example.com/team/app:1.2`")),
    }
}

fn platforms(cx: &mut Context<'_>, entry: &Entry) -> Option<String> {
    let platforms = cx.keep(collections::texts(entry))?;
    if platforms.len() > 1 {
        let problem =
            Problem::at(entry.key_span, format!("an image for {} platforms is not supported", platforms.len()));
        cx.refuse(problem.hint("name the engine's own, or none: what is built is run on that engine").unsupported());
    }
    platforms.into_iter().next()
}

fn context(cx: &Context<'_>, entry: &Entry) -> Read<PathBuf> {
    let text = entry.text()?;
    let remote = text.contains("://") || text.starts_with("git@") || text.starts_with("github.com/");
    if remote {
        return Err(Problem::at(entry.value.span, format!("build context `{text}` is not a folder"))
            .hint("clone it, and name the folder; remote contexts are not supported yet")
            .unsupported());
    }
    Ok(cx.path(&text))
}

/// A name without a value takes the value of the environment, and is omitted if it is not set there.
fn args(cx: &Context<'_>, entry: &Entry) -> Read<IndexMap<String, String>> {
    let pairs = collections::pairs(entry)?.into_iter();
    Ok(pairs
        .filter_map(|(name, value, _)| Some((name.clone(), value.or_else(|| cx.environment.get(&name))?)))
        .collect())
}
