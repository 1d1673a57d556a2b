//! The proxy's image, carried in the binary: any project on any engine gets the proxy that this version speaks to.

use std::path::PathBuf;

use indexmap::IndexMap;
use sha2::{Digest, Sha256};

use crate::model::{BuildSpec, Carried};

/// Every file of the `nginx/` folder but its documentation, by its path in it.
const FILES: Carried = Carried(include!(concat!(env!("OUT_DIR"), "/proxy_files.rs")));

/// The digest of the embedded files: which build of the proxy this is. 16 hexadecimal digits.
#[must_use]
pub fn build_id() -> String {
    let mut hash = Sha256::new();
    for (name, content) in FILES.0 {
        // Lengths keep two neighbours from passing for one.
        hash.update(format!("{name}\0{}\0", content.len()));
        hash.update(content);
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// How the engine builds the proxy on top of `base_image`. Nothing is written before it does: most runs find the image there.
#[must_use]
pub fn build(base_image: &str) -> BuildSpec {
    let args = IndexMap::from([("BASE_IMAGE".to_owned(), base_image.to_owned()), ("BUILD_ID".to_owned(), build_id())]);
    BuildSpec { dockerfile: PathBuf::from("Dockerfile"), args, carried: Some(FILES), ..BuildSpec::default() }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn what_is_carried_is_the_folder_without_its_documentation() {
        for name in ["Dockerfile", "nginx.conf", "start.sh", "lua/traffic/balancer.lua"] {
            let original = Path::new(env!("CARGO_MANIFEST_DIR")).join("nginx").join(name);
            let carried = FILES.0.iter().find(|(carried, _)| *carried == name).map(|(_, content)| content.to_vec());
            assert_eq!(carried, std::fs::read(original).ok(), "{name}");
        }
        assert!(FILES.0.iter().all(|(name, _)| *name != "README.md"));
        assert_eq!(build("debian:trixie-slim").args["BUILD_ID"], build_id());
    }
}
