//! The version text of an app, before the build number.

use std::path::Path;
use std::process::{Command, Stdio};

use super::context::Context;
use super::error::{Problem, Read};
use super::node::{Entry, clip};
use crate::model::{BuildSpec, ImageSource};

/// For folders that say nothing of a version.
const UNKNOWN: &str = "0";

/// Goes into labels, log lines and one column of the terminal.
const MOST_CHARACTERS: usize = 64;

fn valid(text: &str) -> bool {
    (1..=MOST_CHARACTERS).contains(&text.len()) && text.chars().all(|c| c.is_ascii_graphic())
}

/// `version` of the app's block.
pub(super) fn chosen(field: &Entry) -> Read<String> {
    let text = field.text()?;
    if valid(&text) { Ok(text) } else { Err(field.expected("at most 64 printable ASCII characters without blanks")) }
}

/// A VERSION file of the app, the image's tag, a VERSION file of the project, or what git says, in this order.
pub(super) fn found(cx: &mut Context<'_>, image: &ImageSource) -> String {
    let own = match image {
        ImageSource::Build(build) => of_build(cx, build),
        ImageSource::Pull { reference, .. } => tag(reference),
    };
    own.or_else(|| of_folder(cx, cx.folder))
        .or_else(|| cx.described(cx.folder, describe))
        .unwrap_or_else(|| UNKNOWN.to_owned())
}

fn of_build(cx: &mut Context<'_>, build: &BuildSpec) -> Option<String> {
    of_folder(cx, &build.context)
}

fn of_folder(cx: &mut Context<'_>, folder: &Path) -> Option<String> {
    let file = folder.join("VERSION");
    let text = super::source::read(&file).ok()?;
    let line = text.lines().next().unwrap_or_default().trim();
    if valid(line) {
        return Some(line.to_owned());
    }
    let message = format!("`{}` starts with `{}`, which is no version", file.display(), clip(line));
    cx.warn(Problem::plain(message).hint("write one line of at most 64 printable ASCII characters, such as `1.4.0`"));
    None
}

/// `latest` moves, so it names no version.
fn tag(reference: &str) -> Option<String> {
    let name = reference.split('@').next().unwrap_or(reference);
    let (_, tag) = name.rsplit('/').next()?.split_once(':')?;
    (tag != "latest" && valid(tag)).then(|| tag.to_owned())
}

fn describe(folder: &Path) -> Option<String> {
    // Without git, or outside a repository, there is simply no such version.
    let mut git = Command::new("git");
    git.arg("-C").arg(folder).args(["describe", "--tags", "--always", "--dirty"]);
    let output = git.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let line = text.trim();
    (output.status.success() && valid(line)).then(|| line.to_owned())
}
