//! Reads files with a size limit. Named pipes and devices are refused before they are opened.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

/// Why a file was not read. The text follows the file's name.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("does not exist")]
    Missing,
    #[error("is a folder")]
    Folder,
    #[error("is a {0}, not a regular file")]
    Irregular(&'static str),
    #[error("is larger than {}", size(*.0))]
    TooLarge(u64),
    #[error("is not UTF-8 text (line {0})")]
    NotText(usize),
    #[error("may not be read by you")]
    Forbidden,
    #[error("cannot be read: {0}")]
    Io(io::Error),
}

impl From<io::Error> for FileError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Missing,
            io::ErrorKind::PermissionDenied => Self::Forbidden,
            _ => Self::Io(error),
        }
    }
}

/// Limits are whole numbers of MiB or KiB: `1 MiB`, `64 KiB`.
fn size(bytes: u64) -> String {
    match bytes {
        bytes if bytes >= 1 << 20 => format!("{} MiB", bytes >> 20),
        bytes => format!("{} KiB", bytes >> 10),
    }
}

/// Opens a regular file for reading.
///
/// # Errors
/// When it does not exist, is not a regular file, or is not readable.
pub fn open(path: &Path) -> Result<File, FileError> {
    // Opening some devices has side effects, so the type is checked before, and again after, as it may have changed.
    regular(&std::fs::metadata(path)?)?;
    let file = OpenOptions::new().read(true).custom_flags(flags()).open(path)?;
    regular(&file.metadata()?)?;
    Ok(file)
}

/// Like [`open`], and also accepts what a shell passes: `/dev/stdin`, or `/dev/fd/63` of `<(command)`.
///
/// # Errors
/// Like [`open`].
pub fn open_stream(path: &Path) -> Result<File, FileError> {
    let handed_over = path == Path::new("/dev/stdin") || path.starts_with("/dev/fd") || path.starts_with("/proc");
    if handed_over && !std::fs::metadata(path)?.is_dir() { Ok(File::open(path)?) } else { open(path) }
}

/// Reads the whole file, at most `limit` bytes.
///
/// # Errors
/// Like [`open`], and when the file is larger.
pub fn bytes(path: &Path, limit: u64) -> Result<Vec<u8>, FileError> {
    bounded(open(path)?, limit)
}

/// Reads the whole file as text.
///
/// # Errors
/// Like [`bytes`], and when it is not UTF-8.
pub fn text(path: &Path, limit: u64) -> Result<String, FileError> {
    decoded(bytes(path, limit)?)
}

/// Reads to the end, at most `limit` bytes. The size in the metadata is not trusted.
pub(super) fn bounded(reader: impl Read, limit: u64) -> Result<Vec<u8>, FileError> {
    let mut bytes = Vec::new();
    reader.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit { Err(FileError::TooLarge(limit)) } else { Ok(bytes) }
}

fn decoded(bytes: Vec<u8>) -> Result<String, FileError> {
    String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        FileError::NotText(1 + before.iter().filter(|byte| **byte == b'\n').count())
    })
}

/// Non-blocking, so that a named pipe that replaces the file after the check does not block the open.
fn flags() -> i32 {
    i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default()
}

fn regular(found: &Metadata) -> Result<(), FileError> {
    let kind = found.file_type();
    if kind.is_file() || is_null(found) {
        return Ok(());
    }
    Err(match () {
        () if kind.is_dir() => FileError::Folder,
        () if kind.is_fifo() => FileError::Irregular("named pipe"),
        () if kind.is_socket() => FileError::Irregular("socket"),
        () => FileError::Irregular("device"),
    })
}

/// `/dev/null` is a common way to pass an empty file.
fn is_null(found: &Metadata) -> bool {
    found.file_type().is_char_device() && (rustix::fs::major(found.rdev()), rustix::fs::minor(found.rdev())) == (1, 3)
}

/// Reads a whole stream as text; see [`bounded`].
///
/// # Errors
/// Like [`text`].
pub fn stream(reader: impl Read, limit: u64) -> Result<String, FileError> {
    decoded(bounded(reader, limit)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fails(path: &Path, why: &str) {
        assert_eq!(text(path, 1 << 20).expect_err("a refusal").to_string(), why, "{}", path.display());
    }

    /// Calls `mkfifo`: the standard library has no safe call for it.
    pub(crate) fn fifo(folder: &Path, name: &str) -> std::path::PathBuf {
        let path = folder.join(name);
        let made = std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo");
        assert!(made.success());
        path
    }

    #[test]
    fn only_regular_files_are_opened() {
        let folder = tempfile::tempdir().expect("a folder");
        fails(&fifo(folder.path(), "pipe"), "is a named pipe, not a regular file");
        fails(Path::new("/dev/zero"), "is a device, not a regular file");
        fails(folder.path(), "is a folder");
        fails(&folder.path().join("none"), "does not exist");
        let socket = folder.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
        fails(&socket, "is a socket, not a regular file");
        std::os::unix::fs::symlink("/dev/zero", folder.path().join("link")).expect("a link");
        fails(&folder.path().join("link"), "is a device, not a regular file");
        assert_eq!(text(Path::new("/dev/null"), 1).expect("empty"), "");
    }

    #[test]
    fn the_limit_holds_whatever_the_metadata_says() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        std::fs::write(&path, [b'a'; 1024]).expect("a file");
        assert_eq!(bytes(&path, 1024).expect("just enough").len(), 1024);
        let error = bytes(&path, 1023).expect_err("one too many");
        assert!(matches!(error, FileError::TooLarge(1023)));
        let error = stream(io::repeat(b'a'), 64 << 10).expect_err("endless");
        assert_eq!(error.to_string(), "is larger than 64 KiB");
        // Files in /proc are regular files with size 0.
        assert!(!text(Path::new("/proc/self/status"), 1 << 20).expect("text").is_empty());
    }

    #[test]
    fn invalid_utf8_is_reported_with_its_line() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        std::fs::write(&path, b"a\nb\xff\n").expect("a file");
        fails(&path, "is not UTF-8 text (line 2)");
    }
}
