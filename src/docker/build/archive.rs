//! Streams the build context as a tar archive.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, stream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::context::{Context, OWN_DOCKERFILE};
use super::entries::Kind;
use crate::ports::{EngineError, EngineErrorKind};

/// Chunk size. A few chunks are the memory needed for a context of any size.
const CHUNK: usize = 256 * 1024;
const CHUNKS_AHEAD: usize = 4;
/// An upload ends right after its receiver, unless a file is on a hung network folder.
const END_LIMIT: Duration = Duration::from_secs(5);

/// The thread that writes an upload.
pub(super) struct Upload(JoinHandle<io::Result<()>>);

impl Upload {
    /// Starts to write; returns the stream to send.
    pub(super) fn begin(context: Context) -> (Self, impl Stream<Item = io::Result<Bytes>> + Send + 'static) {
        let (sender, receiver) = mpsc::channel(CHUNKS_AHEAD);
        let writing = tokio::task::spawn_blocking(move || {
            let chunks = Chunks { sender: sender.clone(), buffer: BytesMut::with_capacity(CHUNK) };
            let result = write_tar(&context, chunks);
            if let Err(error) = &result {
                // Without an error the archive would look complete, and its first part would be built.
                let _ = sender.blocking_send(Err(io::Error::new(error.kind(), error.to_string())));
            }
            result
        });
        let body = stream::unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) });
        (Self(writing), body)
    }

    /// Why the upload failed, unless the engine closed it. Call it after the stream is dropped.
    pub(super) async fn error(self) -> Option<EngineError> {
        match tokio::time::timeout(END_LIMIT, self.0).await {
            Ok(Ok(Err(error))) if error.kind() != io::ErrorKind::BrokenPipe => Some(
                EngineError::new(EngineErrorKind::BadBuild, format!("the build context cannot be read: {error}"))
                    .hint("make it readable, or list it in .dockerignore"),
            ),
            _ => None,
        }
    }
}

struct Chunks {
    sender: mpsc::Sender<io::Result<Bytes>>,
    buffer: BytesMut,
}

impl Write for Chunks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= CHUNK {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let chunk = self.buffer.split().freeze();
        self.sender.blocking_send(Ok(chunk)).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

/// Writes the archive (blocking). Keeps modification times, as web servers derive ETags from them.
pub(super) fn write_tar(context: &Context, to: impl Write) -> io::Result<()> {
    let mut archive = tar::Builder::new(to);
    for entry in &context.entries {
        let mut header = tar::Header::new_gnu();
        header.set_mode(entry.mode);
        header.set_mtime(entry.modified);
        header.set_size(0);
        match &entry.kind {
            Kind::Folder => {
                header.set_entry_type(tar::EntryType::Directory);
                archive.append_data(&mut header, &entry.path, io::empty())?;
            }
            Kind::Link { target } => {
                header.set_entry_type(tar::EntryType::Symlink);
                archive.append_link(&mut header, &entry.path, target)?;
            }
            Kind::File { size } => {
                header.set_size(*size);
                let path = context.folder.join(&entry.path);
                let content = Exactly { content: super::context::open(&path)?, left: *size, path: &path };
                archive.append_data(&mut header, &entry.path, content)?;
            }
        }
    }
    if context.dockerfile_name == OWN_DOCKERFILE {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(context.dockerfile.len() as u64);
        archive.append_data(&mut header, OWN_DOCKERFILE, context.dockerfile.as_bytes())?;
    }
    archive.into_inner()?.flush()
}

/// Reads exactly the announced size: a file that grows or shrinks while it is read would corrupt the archive.
struct Exactly<'a> {
    content: File,
    left: u64,
    path: &'a Path,
}

impl Read for Exactly<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let want = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let got = self.content.read(&mut buffer[..want])?;
        if got == 0 && want > 0 {
            return Err(io::Error::other(format!("`{}` changed while it was read", self.path.display())));
        }
        self.left -= got as u64;
        Ok(got)
    }
}
