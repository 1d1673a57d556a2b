//! Reads bind-mounted files on the engine's host.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read};

use sha2::{Digest, Sha256};

use super::DockerEngine;
use crate::model::HostFile;
use crate::ports::EngineError;

/// Configuration files are smaller. Larger files are data, and reading them would slow down every command.
const MOST_BYTES: u64 = 1 << 20;
/// More than any project mounts.
const MOST_FILES: usize = 256;

pub(super) async fn host_files(
    engine: &DockerEngine,
    paths: &BTreeSet<String>,
) -> Result<BTreeMap<String, HostFile>, EngineError> {
    // In a container with the engine's socket, the same path is a different file.
    if paths.is_empty() || engine.link.is_some() || !engine.host_facts().await?.is_here {
        return Ok(BTreeMap::new());
    }
    let paths: Vec<String> = paths.iter().take(MOST_FILES).cloned().collect();
    let look = move || paths.into_iter().filter_map(|path| Some((path.clone(), look(&path)?))).collect();
    // If the read is aborted, nothing was found; it changes nothing either.
    Ok(tokio::task::spawn_blocking(look).await.unwrap_or_default())
}

/// `None` when this user has no access.
fn look(path: &str) -> Option<HostFile> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Some(HostFile::Missing),
        Err(_) => None,
        // A FIFO could be read forever.
        Ok(meta) if !meta.is_file() => Some(HostFile::Other),
        Ok(meta) if meta.len() > MOST_BYTES => Some(HostFile::File(None)),
        Ok(_) => digest(path).ok().map(HostFile::File),
    }
}

/// `None` when it has grown beyond the limit meanwhile.
fn digest(path: &str) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
    let digest = || Sha256::digest(&bytes).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    Ok((bytes.len() as u64 <= MOST_BYTES).then(digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_compared_by_content_and_large_ones_skipped() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        fs::write(path("a"), "one").unwrap();
        let first = look(&path("a")).unwrap();
        assert!(matches!(first, HostFile::File(Some(_))));
        fs::write(path("a"), "two").unwrap();
        assert_ne!(look(&path("a")), Some(first));
        File::create(path("large")).unwrap().set_len(MOST_BYTES + 1).unwrap();
        assert_eq!(look(&path("large")), Some(HostFile::File(None)));
        assert_eq!(look(&path("none")), Some(HostFile::Missing));
        rustix::fs::mknodat(rustix::fs::CWD, path("fifo"), rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0)
            .unwrap();
        assert_eq!(look(&path("fifo")), Some(HostFile::Other));
        assert_eq!(look("/"), Some(HostFile::Other));
    }
}
