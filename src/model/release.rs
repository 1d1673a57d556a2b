//! A release: which image with which configuration.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{ContainerSpec, ReleaseNumber};

/// A release of one app as the plan fixes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    pub number: ReleaseNumber,
    /// Version text with the build number, such as `1.4.0+8`.
    pub version: String,
    /// The tag or id that its containers are made from.
    pub image: String,
    pub identity: String,
}

/// What makes two releases the same: the image and the effective configuration of its containers.
///
/// Replica count, routes and policies are left out: they change without new containers.
#[must_use]
pub fn identity(image: &str, spec: &ContainerSpec) -> String {
    // Field order is fixed by the struct and map order by the compose file, so equal specs give equal text.
    let files = &spec.files;
    let spec = serde_json::to_string(spec).unwrap_or_default();
    let mut hash = Sha256::new();
    for part in [image, "\0", &spec] {
        hash.update(part.as_bytes());
    }
    // A changed secret is a changed release. Its digest goes into the hash and nowhere else, so that no text has it.
    for file in files {
        hash.update(file.content.digest());
    }
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
