//! Files of bounded size. A named pipe or a device in the place of a file is refused before it is opened.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

/// Why a file was not read; a fragment that follows the file's name.
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

/// `1 MiB`, `64 KiB`: limits are whole numbers of these.
fn size(bytes: u64) -> String {
    match bytes {
        bytes if bytes >= 1 << 20 => format!("{} MiB", bytes >> 20),
        bytes => format!("{} KiB", bytes >> 10),
    }
}

/// A regular file, open for reading.
///
/// # Errors
/// When it is not there, no regular file, or not permitted.
pub fn open(path: &Path) -> Result<File, FileError> {
    // Opening some devices does something, so the kind is looked at before and, as it may have changed, after.
    regular(&std::fs::metadata(path)?)?;
    let file = OpenOptions::new().read(true).custom_flags(flags()).open(path)?;
    regular(&file.metadata()?)?;
    Ok(file)
}

/// As [`open`], also of what the shell hands over: `/dev/stdin`, or `/dev/fd/63` of `<(command)`.
///
/// # Errors
/// As [`open`].
pub fn open_stream(path: &Path) -> Result<File, FileError> {
    let handed_over = path == Path::new("/dev/stdin") || path.starts_with("/dev/fd") || path.starts_with("/proc");
    if handed_over && !std::fs::metadata(path)?.is_dir() { Ok(File::open(path)?) } else { open(path) }
}

/// The whole content, of at most `limit` bytes.
///
/// # Errors
/// As [`open`], and when there is more.
pub fn bytes(path: &Path, limit: u64) -> Result<Vec<u8>, FileError> {
    bounded(open(path)?, limit)
}

/// The whole content as text.
///
/// # Errors
/// As [`bytes`], and when it is not UTF-8.
pub fn text(path: &Path, limit: u64) -> Result<String, FileError> {
    decoded(bytes(path, limit)?)
}

/// All that a reader has, of at most `limit` bytes. What the size on record says may not be so.
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

/// Without it a named pipe that takes the place of the file in this moment would hold us up.
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

/// `/dev/null` is how people write an empty file.
fn is_null(found: &Metadata) -> bool {
    found.file_type().is_char_device() && (rustix::fs::major(found.rdev()), rustix::fs::minor(found.rdev())) == (1, 3)
}

/// All of a stream as text; see [`bounded`].
///
/// # Errors
/// As [`text`].
pub fn stream(reader: impl Read, limit: u64) -> Result<String, FileError> {
    decoded(bounded(reader, limit)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fails(path: &Path, why: &str) {
        assert_eq!(text(path, 1 << 20).expect_err("a refusal").to_string(), why, "{}", path.display());
    }

    /// Made by the command: there is no safe call for it in the standard library.
    pub(crate) fn fifo(folder: &Path, name: &str) -> std::path::PathBuf {
        let path = folder.join(name);
        let made = std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo");
        assert!(made.success());
        path
    }

    #[test]
    fn what_is_no_regular_file_is_named_and_never_waited_for() {
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
    fn the_limit_holds_whatever_the_size_on_record_says() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        std::fs::write(&path, [b'a'; 1024]).expect("a file");
        assert_eq!(bytes(&path, 1024).expect("just enough").len(), 1024);
        let error = bytes(&path, 1023).expect_err("one too many");
        assert!(matches!(error, FileError::TooLarge(1023)));
        let error = stream(io::repeat(b'a'), 64 << 10).expect_err("endless");
        assert_eq!(error.to_string(), "is larger than 64 KiB");
        // Files of /proc have no size on record, and are regular ones.
        assert!(!text(Path::new("/proc/self/status"), 1 << 20).expect("text").is_empty());
    }

    #[test]
    fn text_that_is_none_names_its_line() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        std::fs::write(&path, b"a\nb\xff\n").expect("a file");
        fails(&path, "is not UTF-8 text (line 2)");
    }
}
