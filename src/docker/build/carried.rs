//! Embedded build contexts: written to a temporary folder while they are read.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use super::context::bad;
use crate::model::Carried;
use crate::ports::EngineError;

/// Writes the files to a temporary folder, which is removed with the return value.
pub(super) fn unpack(files: Carried) -> Result<TempDir, EngineError> {
    let write = || -> io::Result<TempDir> {
        let folder = tempfile::Builder::new().prefix("deploy-apps-build-").tempdir()?;
        for (name, content) in files.0 {
            let path = folder.path().join(name);
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::write(&path, content)?;
            // A Dockerfile copies scripts with their mode, and embedded files have none.
            let mode = if path.extension().is_some_and(|extension| extension == "sh") { 0o755 } else { 0o644 };
            fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
        }
        Ok(folder)
    };
    write().map_err(|error| {
        let place = std::env::temp_dir();
        bad(format!("the files of the build cannot be written to a folder in `{}`: {error}", place.display()))
            .hint("free space there, or name another place: `TMPDIR=/path deploy-apps …`")
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::context::Context;
    use super::*;
    use crate::model::BuildSpec;

    #[test]
    fn embedded_files_are_a_context_while_it_is_read() {
        let carried = Carried(&[("Dockerfile", b"FROM a"), ("start.sh", b"#!/bin/sh"), ("lua/a.lua", b"return 1")]);
        let build =
            BuildSpec { carried: Some(carried), dockerfile: PathBuf::from("Dockerfile"), ..BuildSpec::default() };
        let context = Context::read(&build).unwrap();
        let modes: Vec<_> =
            context.entries.iter().map(|entry| (entry.path.to_string_lossy().into_owned(), entry.mode)).collect();
        assert!(modes.contains(&("start.sh".to_owned(), 0o755)), "{modes:?}");
        assert!(modes.contains(&("lua/a.lua".to_owned(), 0o644)), "{modes:?}");
        assert_eq!((context.dockerfile.as_str(), context.dockerfile_name.as_str()), ("FROM a", "Dockerfile"));
        let folder = context.folder.clone();
        assert!(folder.is_dir());
        drop(context);
        assert!(!folder.exists());
    }
}
