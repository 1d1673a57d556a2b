//! The version of an app, without the build number.

use std::path::Path;
use std::time::Duration;

use crate::compose::context::Context;
use crate::compose::error::{Problem, Read};
use crate::compose::text::node::{Entry, clip};
use crate::local::{self, FileError};
use crate::model::{BuildSpec, ImageSource};

/// The version if there is no other source.
const UNKNOWN: &str = "0";

/// It is used in labels, log lines and a table column.
const MOST_CHARACTERS: usize = 64;

/// Size limit of a VERSION file. Only its first line is used.
const MOST_BYTES: u64 = 64 << 10;

/// A large repository on a slow disk takes seconds; after this, git's version is not used.
const GIT_LIMIT: Duration = Duration::from_secs(5);

fn valid(text: &str) -> bool {
    (1..=MOST_CHARACTERS).contains(&text.len()) && text.chars().all(|c| c.is_ascii_graphic())
}

/// `version` in the app's block.
pub(super) fn chosen(field: &Entry) -> Read<String> {
    let text = field.text()?;
    if valid(&text) { Ok(text) } else { Err(field.expected("at most 64 printable ASCII characters without blanks")) }
}

/// The version from, in this order: a VERSION file of the app, the image's tag, a VERSION file of the project, git.
pub(super) fn found(cx: &mut Context<'_>, image: &ImageSource) -> String {
    let own = match image {
        ImageSource::Build(build) => of_build(cx, build),
        ImageSource::Pull { reference, .. } => tag(reference),
    };
    own.or_else(|| of_folder(cx, cx.folder))
        .or_else(|| cx.described(cx.folder, |folder| local::described(folder, GIT_LIMIT).filter(|text| valid(text))))
        .unwrap_or_else(|| UNKNOWN.to_owned())
}

fn of_build(cx: &mut Context<'_>, build: &BuildSpec) -> Option<String> {
    of_folder(cx, &build.context)
}

fn of_folder(cx: &mut Context<'_>, folder: &Path) -> Option<String> {
    let file = folder.join("VERSION");
    let text = match local::text(&file, MOST_BYTES) {
        Ok(text) => text,
        // A folder with that name is unrelated.
        Err(FileError::Missing | FileError::Folder) => return None,
        Err(error) => {
            let message = format!("`{}` {error}, so it names no version", file.display());
            cx.warn(Problem::plain(message).hint("write one line of text into it, such as `1.4.0`, or remove it"));
            return None;
        }
    };
    let line = text.lines().next().unwrap_or_default().trim();
    if valid(line) {
        return Some(line.to_owned());
    }
    let message = format!("`{}` starts with `{}`, which is no version", file.display(), clip(line));
    cx.warn(Problem::plain(message).hint("write one line of at most 64 printable ASCII characters, such as `1.4.0`"));
    None
}

/// The tag, except `latest`, which is not a version.
fn tag(reference: &str) -> Option<String> {
    let name = reference.split('@').next().unwrap_or(reference);
    let (_, tag) = name.rsplit('/').next()?.split_once(':')?;
    (tag != "latest" && valid(tag)).then(|| tag.to_owned())
}
