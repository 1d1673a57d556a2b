//! `volumes` and `tmpfs` of a service, in short and long form.

use super::resources::Resources;
use crate::compose::context::Context;
use crate::compose::error::{Problem, Read};
use crate::compose::refuse;
use crate::compose::text::collections;
use crate::compose::text::node::{Entry, Map, Node, Span, Value, clip};
use crate::compose::text::scalar::{boolean, bytes, choice, raw, text};
use crate::compose::text::short_forms;
use crate::model::{Mount, MountOptions, MountSource, Recursive, Tmpfs};

#[derive(Debug, Default)]
pub(super) struct Mounts {
    pub mounts: Vec<Mount>,
    pub tmpfs: Vec<Tmpfs>,
    /// The position of the first mount that two concurrent versions would both write to.
    pub shared_writable: Option<Span>,
}

/// `volumes`.
pub(super) fn read(cx: &mut Context<'_>, entry: &Entry, declared: &mut Resources, found: &mut Mounts) {
    let Some(items) = cx.keep(collections::list(entry)) else { return };
    for item in items {
        let read = match &item.value {
            Value::Map(map) => long(cx, map, item, declared, found),
            _ => text("volumes", item).and_then(|spec| short(cx, &spec, item.span, declared).map(Some)),
        };
        let Some(Some(mount)) = cx.keep(read) else { continue };
        let shared = matches!(mount.source, MountSource::Volume(_) | MountSource::Bind(_));
        if !mount.read_only && shared {
            found.shared_writable.get_or_insert(item.span);
        }
        found.mounts.push(mount);
    }
}

/// `tmpfs`: one or more of `/path` or `/path:options`.
pub(super) fn tmpfs(cx: &mut Context<'_>, entry: &Entry, found: &mut Mounts) {
    for (spec, span) in cx.keep(collections::one_or_more(entry)).unwrap_or_default() {
        let (target, options) = spec.split_once(':').unwrap_or((&spec, ""));
        if let Some(target) = cx.keep(absolute(target, span)) {
            found.tmpfs.push(Tmpfs { target, options: options.to_owned() });
        }
    }
}

/// `target`, `source:target` or `source:target:options`.
fn short(cx: &Context<'_>, spec: &str, span: Span, declared: &mut Resources) -> Read<Mount> {
    let parts = short_forms::mount_parts(spec);
    let (source, target, options) = match parts[..] {
        [target] => (None, target, ""),
        [source, target] => (Some(source), target, ""),
        [source, target, options] => (Some(source), target, options),
        _ => {
            let message = format!("volume `{}` is not `source:target` or `source:target:ro`", clip(spec));
            return Err(Problem::at(span, message).hint("use the long form: `{ type: bind, source: …, target: … }`"));
        }
    };
    let (mut read_only, mut kept) = (false, MountOptions::default());
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option {
            "ro" => read_only = true,
            "z" | "Z" => kept.selinux = Some(option.to_owned()),
            "nocopy" => kept.no_copy = true,
            _ if PROPAGATIONS.contains(&option) => kept.propagation = Some(option.to_owned()),
            // The last three are hints for Docker Desktop, which other engines ignore too.
            "rw" | "copy" | "cached" | "delegated" | "consistent" => {}
            _ => {
                let message = format!("volume option `{}` is not supported", clip(option));
                return Err(
                    Problem::at(span, message).hint("use `ro`, `rw`, `z`, `nocopy` or a propagation such as `rslave`")
                );
            }
        }
    }
    let source = match source {
        // Each container gets a new one, so versions never share it.
        None => MountSource::Anonymous,
        Some("") => {
            return Err(
                Problem::at(span, format!("volume `{}` has no source", clip(spec))).hint("write `source:target`")
            );
        }
        // Compose distinguishes paths from volume names by the first character.
        Some(path) if path.starts_with(['.', '/', '~']) => bind(cx, path),
        Some(name) => MountSource::Volume(declared.resolve(name, span)?),
    };
    Ok(Mount { source, target: absolute(target, span)?, read_only, options: kept })
}

/// The engine needs absolute paths, and may run on another host: the path is resolved here.
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
    Image,
    Foreign,
}

const PROPAGATIONS: [&str; 6] = ["shared", "slave", "private", "rshared", "rslave", "rprivate"];

/// The long form; a tmpfs is added to its own list.
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
    let kinds = [
        ("volume", Kind::Volume),
        ("bind", Kind::Bind),
        ("tmpfs", Kind::Tmpfs),
        ("image", Kind::Image),
        ("npipe", Kind::Foreign),
        ("cluster", Kind::Foreign),
    ];
    let kind = field("type").map_or(Ok(Kind::Volume), |entry| choice("type", &entry.value, &kinds))?;
    if let (Kind::Foreign, Some(entry)) = (kind, field("type")) {
        let message = format!("`type: {}` is not supported", clip(entry.value.as_text().unwrap_or_default()));
        return Err(Problem::at(entry.value.span, message)
            .hint("use `volume`, `bind`, `tmpfs` or `image`; this one is for Windows, or for a cluster of hosts")
            .unsupported());
    }
    let target = field("target")
        .ok_or_else(|| Problem::at(item.span, "a volume needs its `target`").hint("add `target: /path`"))?;
    let target = absolute(raw("target", &target.value)?, target.value.span)?;
    let read_only = field("read_only").map_or(Ok(false), |entry| boolean("read_only", &entry.value))?;
    if kind == Kind::Tmpfs {
        for option in field("tmpfs").map(collections::map).transpose()?.map_or(&[][..], |map| &map.entries) {
            if !refuse::MOUNT_TMPFS.known.contains(&option.key.as_str()) {
                refuse::MOUNT_TMPFS.judge(cx, option);
            }
        }
        let mut options = field("tmpfs").map(tmpfs_options).transpose()?.unwrap_or_default();
        options.extend(read_only.then(|| "ro".to_owned()));
        let options = options.join(",");
        found.tmpfs.push(Tmpfs { target, options });
        return Ok(None);
    }
    let source = match (kind, field("source")) {
        (Kind::Volume, None) => MountSource::Anonymous,
        (Kind::Volume, Some(source)) => MountSource::Volume(declared.resolve(&source.text()?, source.value.span)?),
        (Kind::Image, Some(source)) => MountSource::Image(super::image::reference(source)?),
        (Kind::Image, None) => {
            let problem = Problem::at(item.span, "an image mount needs its `source`");
            return Err(problem.hint("add `source: image:tag`"));
        }
        (_, Some(source)) => bind(cx, &source.text()?),
        (_, None) => {
            return Err(Problem::at(item.span, "a bind mount needs its `source`").hint("add `source: ./folder`"));
        }
    };
    let options = options(cx, kind, &source, item, &field)?;
    Ok(Some(Mount { source, target, read_only, options }))
}

/// The options for the mount's type; those for other types are ignored.
fn options<'m>(
    cx: &mut Context<'_>,
    kind: Kind,
    source: &MountSource,
    item: &Node,
    field: &impl Fn(&str) -> Option<&'m Entry>,
) -> Read<MountOptions> {
    let mut options = MountOptions::default();
    let (key, section) = match kind {
        Kind::Bind => ("bind", &refuse::MOUNT_BIND),
        Kind::Image => ("image", &refuse::MOUNT_IMAGE),
        _ => ("volume", &refuse::MOUNT_VOLUME),
    };
    let known = field(key).map(collections::map).transpose()?.map_or(&[][..], |map| &map.entries);
    for option in known.iter().filter(|option| !option.value.is_null()) {
        match option.key.as_str() {
            key if !section.known.contains(&key) => section.judge(cx, option),
            "propagation" => {
                let text = option.text()?;
                if !PROPAGATIONS.contains(&text.as_str()) {
                    return Err(option.expected("`shared`, `slave`, `private`, `rshared`, `rslave` or `rprivate`"));
                }
                options.propagation = Some(text);
            }
            "recursive" => {
                let ways = [
                    ("enabled", Recursive::Enabled),
                    ("disabled", Recursive::Disabled),
                    ("writable", Recursive::Writable),
                    ("readonly", Recursive::Readonly),
                ];
                options.recursive = Some(choice("recursive", &option.value, &ways)?);
            }
            "selinux" => options.selinux = Some(selinux(option)?),
            "create_host_path" => options.must_exist = !option.boolean()?,
            "nocopy" => options.no_copy = option.boolean()?,
            "subpath" => options.subpath = Some(subpath(option)?),
            // Only a volume that is created for this mount can have labels.
            _ if *source == MountSource::Anonymous => {
                options.labels = super::container::labels(option)?.into_iter().collect();
            }
            _ => cx.warn(
                Problem::at(option.key_span, "`labels` of a mount have no effect on a volume that has a name")
                    .hint("set them in the top-level `volumes`"),
            ),
        }
    }
    // Compose's long form of `data:/var/lib:z` has the SELinux label in `bind`, also for a volume.
    if let (Kind::Volume, Some(bind)) = (kind, field("bind"))
        && let Some(label) = collections::map(bind)?.get("selinux")
    {
        options.selinux = Some(selinux(label)?);
    }
    if options.selinux.is_some() && (options.must_exist || options.recursive.is_some()) {
        return Err(Problem::at(
            item.span,
            "the engine takes `selinux` only without `recursive` and `create_host_path: false`",
        )
        .hint("remove one of them")
        .unsupported());
    }
    Ok(options)
}

fn selinux(option: &Entry) -> Read<String> {
    match option.text()? {
        text if matches!(text.as_str(), "z" | "Z") => Ok(text),
        _ => Err(option.expected("`z` or `Z`")),
    }
}

fn subpath(option: &Entry) -> Read<String> {
    let text = option.text()?;
    if text.starts_with('/') || text.split('/').any(|part| part == "..") {
        return Err(option.expected("a relative path without `..`"));
    }
    Ok(text)
}

fn tmpfs_options(entry: &Entry) -> Read<Vec<String>> {
    let map = collections::map(entry)?;
    let mut options = Vec::new();
    if let Some(size) = map.get("size") {
        // Zero means no limit, like no value.
        options.extend(Some(bytes("size", &size.value)?).filter(|size| *size > 0).map(|size| format!("size={size}")));
    }
    if let Some(mode) = map.get("mode") {
        let text = mode.text()?;
        let digits = text.strip_prefix("0o").unwrap_or(&text);
        if digits.is_empty() || digits.len() > 5 || !digits.chars().all(|c| c.is_digit(8)) {
            return Err(mode.expected("an octal number such as `1777`"));
        }
        options.push(format!("mode={digits}"));
    }
    Ok(options)
}
