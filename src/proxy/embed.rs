//! The proxy's image, carried in the binary: any project on any engine gets the proxy that this version speaks to.

use std::io;
use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::model::BuildSpec;

/// Every file of the `nginx/` folder but its documentation, by its path in it.
const FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/proxy_files.rs"));

/// The digest of the embedded files: which build of the proxy this is. 16 hexadecimal digits.
#[must_use]
pub fn build_id() -> String {
    let mut hash = Sha256::new();
    for (name, content) in FILES {
        // Lengths keep two neighbours from passing for one.
        hash.update(format!("{name}\0{}\0", content.len()));
        hash.update(content);
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// The embedded files in a temporary folder, which goes when this is dropped.
#[derive(Debug)]
pub struct Unpacked {
    _folder: TempDir,
    build: BuildSpec,
}

impl Unpacked {
    /// How the engine builds the proxy from the folder.
    #[must_use]
    pub fn build(&self) -> &BuildSpec {
        &self.build
    }
}

/// Writes the embedded files to a temporary folder, to be built on top of `base_image`.
///
/// # Errors
/// When the temporary folder cannot be written.
pub fn unpack(base_image: &str) -> io::Result<Unpacked> {
    let folder = tempfile::Builder::new().prefix("deploy-apps-proxy-").tempdir()?;
    for (name, content) in FILES {
        write(&folder.path().join(name), content)?;
    }
    let args = IndexMap::from([("BASE_IMAGE".to_owned(), base_image.to_owned()), ("BUILD_ID".to_owned(), build_id())]);
    let build = BuildSpec {
        context: folder.path().to_owned(),
        dockerfile: PathBuf::from("Dockerfile"),
        dockerfile_inline: None,
        args,
        target: None,
        labels: IndexMap::new(),
        network: None,
        extra_hosts: Vec::new(),
        ..BuildSpec::default()
    };
    Ok(Unpacked { _folder: folder, build })
}

fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, content)?;
    // The Dockerfile copies scripts with the mode they have here, and `include_bytes!` forgets modes.
    if path.extension().is_some_and(|extension| extension == "sh") {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unpacked_is_the_folder_without_its_documentation() {
        let unpacked = unpack("debian:trixie-slim").expect("a temporary folder");
        let context = &unpacked.build().context;
        for name in ["Dockerfile", "nginx.conf", "lua/balancer.lua"] {
            let original = Path::new(env!("CARGO_MANIFEST_DIR")).join("nginx").join(name);
            assert_eq!(std::fs::read(context.join(name)).ok(), std::fs::read(original).ok(), "{name}");
        }
        assert!(!context.join("README.md").exists());
        assert_eq!(unpacked.build().args["BUILD_ID"], build_id());
    }

    #[test]
    fn the_folder_goes_with_its_owner() {
        let unpacked = unpack("debian:trixie-slim").expect("a temporary folder");
        let context = unpacked.build().context.clone();
        drop(unpacked);
        assert!(!context.exists());
    }
}
