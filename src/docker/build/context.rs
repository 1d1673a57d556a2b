//! The build context: its files, their digest, and the archive for the engine.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::carried::unpack;
use super::entries::{Entry, Kind, walk};
use super::ignore::Ignore;
use crate::local::{self, FileError};
use crate::model::BuildSpec;
use crate::ports::{EngineError, EngineErrorKind};

/// Version of the hashed data. Raise it when that changes, so that old and new digests are never equal.
const DIGEST_FORM: &str = "deploy-apps source 1";
/// The Dockerfile's name in the archive when it is not part of the context.
pub(super) const OWN_DOCKERFILE: &str = ".deploy-apps.Dockerfile";

/// All local inputs of a build.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) folder: PathBuf,
    /// Sorted by path, so that equal trees give equal archives and digests on every file system.
    pub(super) entries: Vec<Entry>,
    pub(super) dockerfile: String,
    /// The Dockerfile's path in the archive.
    pub(super) dockerfile_name: String,
    /// The temporary folder of embedded files.
    #[expect(dead_code, reason = "held for its drop, with which the folder goes")]
    unpacked: Option<TempDir>,
}

pub(super) fn bad(message: String) -> EngineError {
    EngineError::new(EngineErrorKind::BadBuild, message)
}

impl Context {
    /// Walks the folder once (blocking).
    ///
    /// # Errors
    /// [`EngineErrorKind::BadBuild`] with the path that is missing, unreadable or invalid.
    pub(super) fn read(build: &BuildSpec) -> Result<Self, EngineError> {
        let unpacked = build.carried.map(unpack).transpose()?;
        let folder = unpacked.as_ref().map_or(build.context.as_path(), TempDir::path).to_owned();
        let folder = &folder;
        if !folder.is_dir() {
            return Err(bad(format!("the build context `{}` is not a folder", folder.display()))
                .hint("check `build.context` in compose.yaml"));
        }
        let (dockerfile, place) = read_dockerfile(build, folder)?;
        let ignore = read_ignore(build, folder)?;
        let entries = walk(folder, &ignore).map_err(|(path, error)| unreadable(&path, &error))?;
        let mut context =
            Self { folder: folder.clone(), entries, dockerfile, dockerfile_name: String::new(), unpacked };
        context.dockerfile_name = match place {
            Some(place) if context.holds(&place) => place.to_string_lossy().into_owned(),
            _ => OWN_DOCKERFILE.to_owned(),
        };
        Ok(context)
    }

    fn holds(&self, path: &Path) -> bool {
        self.entries.iter().any(|entry| entry.path == path && matches!(entry.kind, Kind::File { .. }))
    }

    /// The digest of everything that determines the image, except base images and downloads.
    pub(super) fn digest(&self, build: &BuildSpec) -> Result<String, EngineError> {
        let mut hash = Sha256::new();
        // Each part has a length prefix: otherwise different trees could give the same bytes.
        let mut part = |bytes: &[u8]| {
            hash.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_le_bytes());
            hash.update(bytes);
        };
        part(DIGEST_FORM.as_bytes());
        part(self.dockerfile.as_bytes());
        part(build.target.as_deref().unwrap_or_default().as_bytes());
        for map in [&build.args, &build.labels] {
            let mut pairs: Vec<_> = map.iter().collect();
            pairs.sort();
            part(&pairs.len().to_le_bytes());
            for (key, value) in pairs {
                part(key.as_bytes());
                part(value.as_bytes());
            }
        }
        if let Some(platform) = &build.platform {
            part(platform.as_bytes());
        }
        for entry in &self.entries {
            part(entry.path.as_os_str().as_encoded_bytes());
            match &entry.kind {
                Kind::Folder => part(b"folder"),
                Kind::Link { target } => {
                    part(b"link");
                    part(target.as_os_str().as_encoded_bytes());
                }
                Kind::File { .. } => {
                    // Other mode bits differ between checkouts of the same commit.
                    part(if entry.mode & 0o111 == 0 { b"file" } else { b"executable" });
                    let path = self.folder.join(&entry.path);
                    part(&hash_file(&path).map_err(|error| unreadable(&path, &error))?);
                }
            }
        }
        Ok(hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect())
    }
}

fn hash_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 128 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hash.finalize().to_vec()),
            size => hash.update(&buffer[..size]),
        }
    }
}

/// Refuses a file that was replaced by a named pipe since the folder was read.
pub(super) fn open(path: &Path) -> io::Result<File> {
    local::open(path).map_err(|error| match error {
        FileError::Io(error) => error,
        other => io::Error::other(other.to_string()),
    })
}

/// Size limit of a Dockerfile and of an ignore file.
const LARGEST_TEXT: u64 = 4 << 20;

/// The Dockerfile's text, and its path in the context if it is part of it.
fn read_dockerfile(build: &BuildSpec, folder: &Path) -> Result<(String, Option<PathBuf>), EngineError> {
    if let Some(text) = &build.dockerfile_inline {
        return Ok((text.clone(), None));
    }
    let path = folder.join(&build.dockerfile);
    let text = local::text(&path, LARGEST_TEXT).map_err(|error| {
        let problem = bad(format!("the Dockerfile `{}` {error}", path.display()));
        match error {
            FileError::Missing => problem.hint("create it, or name another with `build.dockerfile` in compose.yaml"),
            _ => problem.hint("check that it is the right file"),
        }
    })?;
    let place = path.strip_prefix(folder).ok().map(|place| place.components().collect::<PathBuf>());
    Ok((text, place.filter(|place| place.components().all(|part| matches!(part, std::path::Component::Normal(_))))))
}

/// An ignore file named after the Dockerfile takes precedence over `.dockerignore`.
fn read_ignore(build: &BuildSpec, folder: &Path) -> Result<Ignore, EngineError> {
    let mut own = folder.join(&build.dockerfile).into_os_string();
    own.push(".dockerignore");
    for path in [PathBuf::from(own), folder.join(".dockerignore")] {
        match local::text(&path, LARGEST_TEXT) {
            Ok(text) => {
                return Ignore::parse(&text).map_err(|pattern| {
                    bad(format!("`{}:{}`: `{}` is not a pattern", path.display(), pattern.line, pattern.text))
                });
            }
            Err(FileError::Missing) => {}
            Err(error) => {
                return Err(bad(format!("`{}` {error}", path.display())).hint("make it a text file, or remove it"));
            }
        }
    }
    Ok(Ignore::default())
}

fn unreadable(path: &Path, error: &io::Error) -> EngineError {
    bad(format!("the build context's `{}` cannot be read: {error}", path.display()))
        .hint("make it readable, or list it in .dockerignore")
}

#[cfg(test)]
mod tests {
    use super::super::archive::write_tar;
    use super::*;
    use indexmap::IndexMap;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn spec(folder: &Path) -> BuildSpec {
        BuildSpec {
            context: folder.to_owned(),
            dockerfile: PathBuf::from("Dockerfile"),
            dockerfile_inline: None,
            args: IndexMap::new(),
            target: None,
            labels: IndexMap::new(),
            network: None,
            extra_hosts: Vec::new(),
            ..BuildSpec::default()
        }
    }

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    fn digest(folder: &Path) -> String {
        Context::read(&spec(folder)).unwrap().digest(&spec(folder)).unwrap()
    }

    fn names(build: &BuildSpec) -> Vec<String> {
        let mut bytes = Vec::new();
        write_tar(&Context::read(build).unwrap(), &mut bytes).unwrap();
        let mut archive = tar::Archive::new(bytes.as_slice());
        archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn equal_trees_give_equal_digests_and_any_change_another() {
        let files = [("Dockerfile", "FROM scratch"), ("b/x", "1"), ("a", "2")];
        let (one, other) = (tree(&files), tree(&files));
        assert_eq!(digest(one.path()), digest(other.path()));
        fs::write(other.path().join("a"), "3").unwrap();
        assert_ne!(digest(one.path()), digest(other.path()));
        fs::write(other.path().join("a"), "2").unwrap();
        assert_eq!(digest(one.path()), digest(other.path()));
        fs::set_permissions(other.path().join("a"), PermissionsExt::from_mode(0o755)).unwrap();
        assert_ne!(digest(one.path()), digest(other.path()));
        fs::set_permissions(other.path().join("a"), PermissionsExt::from_mode(0o600)).unwrap();
        assert_eq!(digest(one.path()), digest(other.path()));
        symlink("a", other.path().join("link")).unwrap();
        assert_ne!(digest(one.path()), digest(other.path()));
    }

    #[test]
    fn arguments_and_target_are_part_of_the_digest_but_not_their_order() {
        let folder = tree(&[("Dockerfile", "FROM scratch")]);
        let plain = spec(folder.path());
        let with = |args: &[(&str, &str)]| BuildSpec {
            args: args.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
            ..plain.clone()
        };
        let of = |build: &BuildSpec| Context::read(build).unwrap().digest(build).unwrap();
        assert_eq!(of(&with(&[("a", "1"), ("b", "2")])), of(&with(&[("b", "2"), ("a", "1")])));
        assert_ne!(of(&with(&[("a", "1")])), of(&plain));
        assert_ne!(of(&BuildSpec { target: Some("dev".to_owned()), ..plain.clone() }), of(&plain));
    }

    #[test]
    fn the_archive_is_sorted_complete_and_the_same_each_time() {
        let folder = tree(&[("Dockerfile", "FROM scratch"), ("src/b", "1"), ("src/a", "2"), ("z", "")]);
        let build = spec(folder.path());
        assert_eq!(names(&build), ["Dockerfile", "src", "src/a", "src/b", "z"].map(String::from));
        let tar = || {
            let mut bytes = Vec::new();
            write_tar(&Context::read(&build).unwrap(), &mut bytes).unwrap();
            bytes
        };
        assert_eq!(tar(), tar());
    }

    #[test]
    fn ignored_files_are_left_out_and_included_ones_keep_their_folder() {
        let folder = tree(&[
            ("Dockerfile", "FROM scratch"),
            (".dockerignore", "node_modules\n*.log\ndocs\n!docs/keep/me\nDockerfile"),
            ("node_modules/x/y", ""),
            ("a.log", ""),
            ("docs/keep/me", ""),
            ("docs/keep/not", ""),
            ("docs/drop/x", ""),
        ]);
        let build = spec(folder.path());
        let expected = [".dockerignore", "docs", "docs/keep", "docs/keep/me", OWN_DOCKERFILE];
        assert_eq!(names(&build), expected.map(String::from));
        fs::write(folder.path().join("Dockerfile.dockerignore"), "docs\nnode_modules").unwrap();
        let expected = [".dockerignore", "Dockerfile", "Dockerfile.dockerignore", "a.log"];
        assert_eq!(names(&build), expected.map(String::from));
    }

    #[test]
    fn long_paths_and_inline_dockerfiles_are_archived() {
        let deep = format!("{}/file", "long-folder-name/".repeat(20).trim_end_matches('/'));
        let folder = tree(&[(deep.as_str(), "x")]);
        let build = BuildSpec { dockerfile_inline: Some("FROM scratch".to_owned()), ..spec(folder.path()) };
        let names = names(&build);
        assert!(names.contains(&deep) && names.contains(&OWN_DOCKERFILE.to_owned()), "{names:?}");
    }

    #[test]
    fn missing_files_are_named() {
        let folder = tree(&[("x", "")]);
        let missing = Context::read(&spec(folder.path())).unwrap_err();
        assert_eq!(missing.kind, EngineErrorKind::BadBuild);
        assert!(missing.message.contains("/Dockerfile` does not exist") && missing.hint.is_some());
        let nowhere = Context::read(&spec(&folder.path().join("nope"))).unwrap_err();
        assert!(nowhere.message.contains("nope` is not a folder"));
        fs::write(folder.path().join("Dockerfile"), "FROM scratch").unwrap();
        fs::write(folder.path().join(".dockerignore"), "ok\n[").unwrap();
        let pattern = Context::read(&spec(folder.path())).unwrap_err();
        assert!(pattern.message.contains(".dockerignore:2`: `[` is not a pattern"), "{}", pattern.message);
    }
}
