//! A release: an image with a configuration.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::container::ContainerSpec;
use super::names::ReleaseNumber;

/// A release of one app in a plan.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    pub number: ReleaseNumber,
    /// The version with the build number, such as `1.4.0+8`.
    pub version: String,
    /// The tag or id that its containers use.
    pub image: String,
    pub identity: String,
}

/// A release's identity: the hash of its image and the effective configuration of its containers.
///
/// Replica count, routes and policies are left out: they change without new containers.
#[must_use]
pub fn identity(image: &str, spec: &ContainerSpec) -> String {
    // The struct fixes the order of fields and the compose file that of maps, so equal specs serialise equally. The
    // order of variables and labels is not significant.
    let mut spec = spec.clone();
    spec.environment.sort_keys();
    spec.labels.sort_keys();
    let text = serde_json::to_string(&spec).unwrap_or_default();
    let mut hash = Sha256::new();
    for part in [image, "\0", &text] {
        hash.update(part.as_bytes());
    }
    // A changed secret is a changed release. Its digest is only added to the hash, so that it appears in no text.
    for file in &spec.files {
        hash.update(file.content.digest());
    }
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_variables_does_not_change_the_identity() {
        let spec = |variables: [(&str, &str); 2]| ContainerSpec {
            environment: variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect(),
            ..ContainerSpec::default()
        };
        let first = identity("image", &spec([("A", "1"), ("B", "2")]));
        assert_eq!(first, identity("image", &spec([("B", "2"), ("A", "1")])));
        assert_ne!(first, identity("image", &spec([("A", "2"), ("B", "1")])));
    }
}
