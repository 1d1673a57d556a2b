//! `volumes` and `tmpfs` of a service, in their short and long forms.

use super::collect;
use super::context::Context;
use super::error::{Problem, Read};
use super::node::{Entry, Map, Node, Span, Value, clip};
use super::refuse;
use super::resources::Resources;
use super::scalar::{boolean, bytes, choice, raw, text};
use crate::model::{Mount, MountSource, Tmpfs};

#[derive(Debug, Default)]
pub(super) struct Mounts {
    pub mounts: Vec<Mount>,
    pub tmpfs: Vec<Tmpfs>,
    /// Where the first mount stands that two running versions would both write to.
    pub shared_writable: Option<Span>,
}

/// `volumes`.
pub(super) fn read(cx: &mut Context<'_>, entry: &Entry, declared: &mut Resources, found: &mut Mounts) {
    let Some(items) = cx.keep(collect::list(entry)) else { return };
    for item in items {
        let read = match &item.value {
            Value::Map(map) => long(cx, map, item, declared, found),
            _ => text("volumes", item).and_then(|spec| short(cx, &spec, item.span, declared).map(Some)),
        };
        let Some(Some(mount)) = cx.keep(read) else { continue };
        if !mount.read_only && mount.source != MountSource::Anonymous {
            found.shared_writable.get_or_insert(item.span);
        }
        found.mounts.push(mount);
    }
}

/// `tmpfs`: one or more of `/path` or `/path:options`.
pub(super) fn tmpfs(cx: &mut Context<'_>, entry: &Entry, found: &mut Mounts) {
    for (spec, span) in cx.keep(collect::one_or_more(entry)).unwrap_or_default() {
        let (target, options) = spec.split_once(':').unwrap_or((&spec, ""));
        if let Some(target) = cx.keep(absolute(target, span)) {
            found.tmpfs.push(Tmpfs { target, options: options.to_owned() });
        }
    }
}

/// `target`, `source:target` or `source:target:options`.
fn short(cx: &Context<'_>, spec: &str, span: Span, declared: &mut Resources) -> Read<Mount> {
    let parts: Vec<&str> = spec.split(':').collect();
    let (source, target, options) = match parts[..] {
        [target] => (None, target, ""),
        [source, target] => (Some(source), target, ""),
        [source, target, options] => (Some(source), target, options),
        _ => {
            let message = format!("volume `{}` is not `source:target` or `source:target:ro`", clip(spec));
            return Err(Problem::at(span, message).hint("use the long form: `{ type: bind, source: …, target: … }`"));
        }
    };
    let mut read_only = false;
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option {
            "ro" => read_only = true,
            // The last three are hints for Docker Desktop, which other engines do not heed either.
            "rw" | "cached" | "delegated" | "consistent" => {}
            _ => {
                let message = format!("volume option `{}` is not supported", clip(option));
                return Err(Problem::at(span, message).hint("use `ro` or `rw`"));
            }
        }
    }
    let source = match source {
        // Each container gets a new one, so two versions never share it.
        None => MountSource::Anonymous,
        Some("") => {
            return Err(
                Problem::at(span, format!("volume `{}` has no source", clip(spec))).hint("write `source:target`")
            );
        }
        // What tells a path from a volume's name in compose is its first character.
        Some(path) if path.starts_with(['.', '/', '~']) => bind(cx, path),
        Some(name) => MountSource::Volume(declared.resolve(name, span)?),
    };
    Ok(Mount { source, target: absolute(target, span)?, read_only, ..Mount::default() })
}

/// The engine knows no relative paths, and its host is not always this machine: the path is fixed here.
fn bind(cx: &Context<'_>, path: &str) -> MountSource {
    MountSource::Bind(cx.path(path).to_string_lossy().into_owned())
}

fn absolute(target: &str, span: Span) -> Read<String> {
    if target.starts_with('/') && target.len() > 1 {
        return Ok(target.to_owned());
    }
    let message = format!("`{}` is not an absolute path in the container", clip(target));
    Err(Problem::at(span, message).hint("start it with `/`"))
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Volume,
    Bind,
    Tmpfs,
}

/// The long form; a tmpfs goes to its own list.
fn long(
    cx: &mut Context<'_>,
    map: &Map,
    item: &Node,
    declared: &mut Resources,
    found: &mut Mounts,
) -> Read<Option<Mount>> {
    let field = |key: &str| map.get(key).filter(|entry| !entry.value.is_null());
    for entry in &map.entries {
        if !refuse::MOUNT.known.contains(&entry.key.as_str()) {
            refuse::MOUNT.judge(cx, entry);
        }
    }
    let kinds = [("volume", Kind::Volume), ("bind", Kind::Bind), ("tmpfs", Kind::Tmpfs)];
    let kind = field("type").map_or(Ok(Kind::Volume), |entry| choice("type", &entry.value, &kinds))?;
    let target = field("target")
        .ok_or_else(|| Problem::at(item.span, "a volume needs its `target`").hint("add `target: /path`"))?;
    let target = absolute(raw("target", &target.value)?, target.value.span)?;
    for (key, section) in
        [("bind", &refuse::MOUNT_BIND), ("volume", &refuse::MOUNT_VOLUME), ("tmpfs", &refuse::MOUNT_TMPFS)]
    {
        for option in field(key).map(collect::map).transpose()?.map_or(&[][..], |map| &map.entries) {
            let kept = section.known.contains(&option.key.as_str());
            if !kept {
                section.judge(cx, option);
            }
            // The engine makes a missing folder, which is what `true`, the default, asks for.
            if option.key == "create_host_path" && !option.boolean()? {
                return Err(
                    Problem::at(option.key_span, "`create_host_path: false` is not supported").hint("remove it")
                );
            }
        }
    }
    if kind == Kind::Tmpfs {
        let options = field("tmpfs").map(tmpfs_options).transpose()?.unwrap_or_default();
        found.tmpfs.push(Tmpfs { target, options });
        return Ok(None);
    }
    let read_only = field("read_only").map_or(Ok(false), |entry| boolean("read_only", &entry.value))?;
    let source = match (kind, field("source")) {
        (Kind::Volume, None) => MountSource::Anonymous,
        (Kind::Volume, Some(source)) => MountSource::Volume(declared.resolve(&source.text()?, source.value.span)?),
        (_, Some(source)) => bind(cx, &source.text()?),
        (_, None) => {
            return Err(Problem::at(item.span, "a bind mount needs its `source`").hint("add `source: ./folder`"));
        }
    };
    Ok(Some(Mount { source, target, read_only, ..Mount::default() }))
}

fn tmpfs_options(entry: &Entry) -> Read<String> {
    let map = collect::map(entry)?;
    let mut options = Vec::new();
    if let Some(size) = map.get("size") {
        options.push(format!("size={}", bytes("size", &size.value)?));
    }
    if let Some(mode) = map.get("mode") {
        let digits = mode.text()?;
        if digits.len() > 5 || !digits.chars().all(|c| c.is_digit(8)) {
            return Err(mode.expected("an octal number such as `1777`"));
        }
        options.push(format!("mode={digits}"));
    }
    Ok(options.join(","))
}
