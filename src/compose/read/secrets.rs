//! `secrets` and `configs`: the sources of their values, and the files in a service's containers.

use std::path::Path;

use indexmap::IndexMap;

use super::resources::external;
use crate::compose::context::Context;
use crate::compose::error::{Problem, Read};
use crate::compose::refuse::{self, Section};
use crate::compose::text::collections;
use crate::compose::text::node::{Entry, Map, Node, Span, Value, clip};
use crate::compose::text::scalar::{expected, number, text};
use crate::compose::text::suggest::nearest;
use crate::local::{self, FileError};
use crate::model::{ContainerFile, Content};

/// Larger content is data, and belongs in a volume or an image.
const MOST_BYTES: u64 = 16 << 20;
/// Readable by all users in the container, as in the specification.
const MODE: u32 = 0o444;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Secret,
    Config,
}

impl Kind {
    fn word(self) -> &'static str {
        if self == Self::Secret { "secret" } else { "config" }
    }

    fn target(self, name: &str) -> String {
        match self {
            _ if name.starts_with('/') => name.to_owned(),
            Self::Secret => format!("/run/secrets/{name}"),
            Self::Config => format!("/{name}"),
        }
    }
}

/// The source of a value. It is read when a service uses it.
#[derive(Debug)]
enum Origin {
    File {
        path: String,
        span: Span,
    },
    Environment {
        name: String,
        span: Span,
    },
    Inline(String),
    External(Span),
    /// Invalid; already reported.
    Broken,
}

/// The top-level `secrets` and `configs`.
#[derive(Debug)]
pub(super) struct Declared {
    secrets: IndexMap<String, Origin>,
    configs: IndexMap<String, Origin>,
}

impl Declared {
    pub fn read(cx: &mut Context<'_>, root: &Map) -> Self {
        let mut of = |key: &str, section: &Section| {
            let entries = root.get(key).and_then(|entry| cx.keep(collections::map(entry)));
            let entries = entries.map_or(&[][..], |map| &map.entries);
            entries.iter().map(|item| (item.key.clone(), origin(cx, item, section))).collect()
        };
        Self { secrets: of("secrets", &refuse::SECRET), configs: of("configs", &refuse::CONFIG) }
    }
}

fn origin(cx: &mut Context<'_>, item: &Entry, section: &Section) -> Origin {
    let Some(map) = cx.keep(collections::map(item)) else { return Origin::Broken };
    let mut found: Vec<(&str, Origin)> = Vec::new();
    for field in map.entries.iter().filter(|field| !field.value.is_null()) {
        if !section.known.contains(&field.key.as_str()) {
            section.judge(cx, field);
            continue;
        }
        let span = field.value.span;
        match field.key.as_str() {
            "file" => found.extend(cx.keep(field.text()).map(|path| ("file", Origin::File { path, span }))),
            "environment" => {
                found.extend(cx.keep(field.text()).map(|name| ("environment", Origin::Environment { name, span })));
            }
            "content" => {
                let text = crate::compose::text::scalar::raw("content", &field.value).map(str::to_owned);
                found.extend(cx.keep(text).map(|text| ("content", Origin::Inline(text))));
            }
            "external" if external(cx, field, &mut None) => {
                found.push(("external", Origin::External(field.key_span)));
            }
            // A name in an external store, which does not exist here.
            _ => {}
        }
    }
    match found.len() {
        0 => {
            let message = format!("{} `{}` has no value", section.name, clip(&item.key));
            cx.refuse(Problem::at(item.key_span, message).hint("add `file: ./path` or `environment: NAME`"));
            Origin::Broken
        }
        1 => found.remove(0).1,
        _ => {
            let message = format!(
                "`{}` and `{}` of {} `{}` exclude each other",
                found[0].0,
                found[1].0,
                section.name,
                clip(&item.key)
            );
            cx.refuse(Problem::at(item.key_span, message).hint("keep one of them"));
            Origin::Broken
        }
    }
}

impl Declared {
    /// The value of the secret of this name, or of the file at this path; `None` when it has a problem that has been told.
    pub fn value(&self, cx: &Context<'_>, name: &str, span: Span) -> Read<Option<Content>> {
        if let Some(origin) = self.secrets.get(name) {
            return content(cx, Kind::Secret, name, origin);
        }
        let path = cx.path(name);
        let fault =
            |(what, hint)| Problem::at(span, format!("file `{}` {what}", path.display())).hint(hint).unsupported();
        read_file(&path).map(|bytes| Some(bytes.into())).map_err(fault)
    }
}

/// `secrets` or `configs` of a service.
pub(super) fn of_service(cx: &mut Context<'_>, entry: &Entry, declared: &Declared, files: &mut Vec<ContainerFile>) {
    let (kind, known) = match entry.key.as_str() {
        "secrets" => (Kind::Secret, &declared.secrets),
        _ => (Kind::Config, &declared.configs),
    };
    for item in cx.keep(collections::list(entry)).unwrap_or_default() {
        let read = grant(cx, item, kind, known);
        let Some(Some(file)) = cx.keep(read) else { continue };
        if files.iter().any(|other| other.target == file.target) {
            let problem = Problem::at(item.span, format!("two files at `{}`", clip(&file.target)));
            cx.refuse(problem.hint("give one of them another `target`"));
        }
        files.push(file);
    }
}

/// One file; `None` if its value has a problem that was already reported.
fn grant(
    cx: &mut Context<'_>,
    item: &Node,
    kind: Kind,
    known: &IndexMap<String, Origin>,
) -> Read<Option<ContainerFile>> {
    let mut file = ContainerFile { mode: MODE, ..ContainerFile::default() };
    let mut target = None;
    match &item.value {
        Value::Map(map) => {
            for field in map.entries.iter().filter(|field| !field.value.is_null()) {
                match field.key.as_str() {
                    "source" => file.name = field.text()?,
                    "target" => target = Some((field.text()?, field.value.span)),
                    "uid" => file.uid = number("uid", &field.value, 0..=u32::MAX)?,
                    "gid" => file.gid = number("gid", &field.value, 0..=u32::MAX)?,
                    "mode" => {
                        file.mode = mode(field)?;
                        warn_of_decimal(cx, field, file.mode);
                    }
                    _ => refuse::GRANT.judge(cx, field),
                }
            }
            if file.name.is_empty() {
                let message = format!("a {} needs its `source`", kind.word());
                return Err(Problem::at(item.span, message).hint("add `source: NAME`"));
            }
        }
        _ => file.name = text(kind.word(), item)?,
    }
    let (shown, span) = target.unwrap_or_else(|| (file.name.clone(), item.span));
    file.target = kind.target(&shown);
    // It becomes a path in an archive, so it must be normalized and must not contain `..`.
    let plain = file.target.split('/').skip(1).all(|part| !matches!(part, "" | "." | ".."));
    if !plain || file.target.contains('\0') {
        return Err(Problem::at(span, format!("`{}` is not a path of a file in the container", clip(&shown)))
            .hint("write such as `/etc/app/key.pem`"));
    }
    let Some(origin) = known.get(&file.name) else {
        let message = format!("{} `{}` is not declared", kind.word(), clip(&file.name));
        let problem = Problem::at(item.span, message);
        return Err(match nearest(&file.name, known.keys().map(String::as_str)) {
            Some(near) => problem.hint(format!("did you mean `{near}`?")),
            None => {
                let hint = format!(
                    "add it at the end of the file: `{}s: {{ {}: {{ file: ./path }} }}`",
                    kind.word(),
                    clip(&file.name)
                );
                problem.hint(hint)
            }
        });
    };
    match content(cx, kind, &file.name, origin)? {
        Some(content) => Ok(Some(ContainerFile { content, ..file })),
        None => Ok(None),
    }
}

/// `0440`, `"440"` or `0o440`. A number without a leading zero is decimal, as in JSON: 288 is `0440`.
pub(super) fn mode(field: &Entry) -> Read<u32> {
    let text = field.text()?;
    if field.value.plain && !text.starts_with('0') && text.chars().all(|c| c.is_ascii_digit()) {
        return number("mode", &field.value, 0..=0o7777);
    }
    let digits = text.strip_prefix("0o").unwrap_or(&text);
    match u32::from_str_radix(digits, 8) {
        Ok(mode) if mode <= 0o7777 && digits.len() <= 5 => Ok(mode),
        _ => Err(expected("mode", "an octal number such as `0440`", &field.value)),
    }
}

/// `mode: 440` is usually meant as `0440`.
fn warn_of_decimal(cx: &mut Context<'_>, field: &Entry, mode: u32) {
    let Some(text) = field.value.as_text().filter(|text| field.value.plain && !text.starts_with('0')) else { return };
    if text.chars().all(|c| c.is_digit(8)) {
        let message = format!("`mode: {text}` is a decimal number, the octal `{mode:04o}`");
        cx.warn(Problem::at(field.value.span, message).hint(format!("write `0{text}` if that is meant")));
    }
}

/// The value. A missing value is not an error of the file, since it is often missing where a file is only inspected.
fn content(cx: &Context<'_>, kind: Kind, name: &str, origin: &Origin) -> Read<Option<Content>> {
    let (word, name) = (kind.word(), clip(name));
    match origin {
        Origin::Broken => Ok(None),
        Origin::Inline(text) => Ok(Some(text.clone().into_bytes().into())),
        Origin::Environment { name: variable, span } => match cx.environment.get(variable) {
            Some(value) => Ok(Some(value.into_bytes().into())),
            None => Err(Problem::at(*span, format!("variable `{}` of {word} `{name}` is not set", clip(variable)))
                .hint(format!("`export {}=…`, or put it into `.env`", clip(variable)))
                .unsupported()
                .missing()),
        },
        Origin::External(span) => {
            Err(Problem::at(*span, format!("{word} `{name}` is external, and there is no store that holds it"))
                .hint("a single engine keeps none: give its value with `file: ./path` or `environment: NAME`")
                .unsupported())
        }
        Origin::File { path, span } => {
            let path = cx.path(path);
            read_file(&path).map(|bytes| Some(bytes.into())).map_err(|(what, hint)| {
                Problem::at(*span, format!("file `{}` of {word} `{name}` {what}", path.display()))
                    .hint(hint)
                    .unsupported()
                    .missing()
            })
        }
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>, (String, String)> {
    local::bytes(path, MOST_BYTES).map_err(|error| {
        let shown = path.display();
        let hint = match &error {
            FileError::Missing => format!("write it there: `install -m 600 /dev/stdin {shown}`"),
            FileError::Folder => "name a file; folders are mounted with `volumes`".to_owned(),
            FileError::TooLarge(_) => "put it into a volume or the image".to_owned(),
            _ => format!("`ls -l {shown}` shows what it is, and who may read it"),
        };
        (error.to_string(), hint)
    })
}
