//! The files, folders and links of a build context.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::ignore::{Ignore, Matched};

/// A file, folder or link of the build context.
#[derive(Debug)]
pub(super) struct Entry {
    /// Relative to the context's folder.
    pub(super) path: PathBuf,
    pub(super) kind: Kind,
    pub(super) mode: u32,
    /// Seconds since 1970.
    pub(super) modified: u64,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Folder,
    File { size: u64 },
    Link { target: PathBuf },
}

pub(super) type WalkError = (PathBuf, io::Error);

/// Lists the files that are not ignored, sorted by path (blocking). Links are not followed.
///
/// # Errors
/// The path that cannot be read.
pub(super) fn walk(root: &Path, ignore: &Ignore) -> Result<Vec<Entry>, WalkError> {
    let mut entries = Vec::new();
    add(root, Path::new(""), ignore, &ignore.root(), &mut entries)?;
    Ok(entries)
}

/// Adds the contents of `folder`, a subfolder of `root`.
fn add(
    root: &Path,
    folder: &Path,
    ignore: &Ignore,
    above: &Matched,
    entries: &mut Vec<Entry>,
) -> Result<(), WalkError> {
    let place = root.join(folder);
    let at = |error| (place.clone(), error);
    let mut names = fs::read_dir(&place)
        .and_then(|items| items.map(|item| item.map(|item| item.file_name())).collect::<io::Result<Vec<_>>>())
        .map_err(at)?;
    names.sort();
    for name in names {
        let path = folder.join(&name);
        let (ignored, matched) = ignore.check(&path.to_string_lossy(), above);
        let full = root.join(&path);
        if ignored && !ignore.may_readmit() {
            continue;
        }
        let metadata = fs::symlink_metadata(&full).map_err(|error| (full.clone(), error))?;
        if metadata.is_dir() {
            let before = entries.len();
            entries.push(entry(path.clone(), Kind::Folder, &metadata));
            add(root, &path, ignore, &matched, entries)?;
            // An ignored folder is only kept if something in it is included again.
            if ignored && entries.len() == before + 1 {
                entries.pop();
            }
        } else if !ignored {
            if metadata.is_symlink() {
                let target = fs::read_link(&full).map_err(|error| (full.clone(), error))?;
                entries.push(entry(path, Kind::Link { target }, &metadata));
            } else if metadata.is_file() {
                entries.push(entry(path, Kind::File { size: metadata.len() }, &metadata));
            }
            // Sockets, pipes and devices have no content to send.
        }
    }
    Ok(())
}

fn entry(path: PathBuf, kind: Kind, metadata: &Metadata) -> Entry {
    let modified = u64::try_from(metadata.mtime()).unwrap_or_default();
    Entry { path, kind, mode: metadata.permissions().mode() & 0o7777, modified }
}
