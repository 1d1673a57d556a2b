//! A release: which image with which configuration.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::container::ContainerSpec;
use super::names::ReleaseNumber;

/// A release of one app as the plan fixes it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    // The order in which variables and labels are written down means nothing.
    let mut spec = spec.clone();
    spec.environment.sort_keys();
    spec.labels.sort_keys();
    let text = serde_json::to_string(&spec).unwrap_or_default();
    let mut hash = Sha256::new();
    for part in [image, "\0", &text] {
        hash.update(part.as_bytes());
    }
    // A changed secret is a changed release. Its digest goes into the hash and nowhere else, so that no text has it.
    for file in &spec.files {
        hash.update(file.content.digest());
    }
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_variables_is_no_change_and_their_values_are() {
        let spec = |variables: [(&str, &str); 2]| ContainerSpec {
            environment: variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect(),
            ..ContainerSpec::default()
        };
        let first = identity("image", &spec([("A", "1"), ("B", "2")]));
        assert_eq!(first, identity("image", &spec([("B", "2"), ("A", "1")])));
        assert_ne!(first, identity("image", &spec([("A", "2"), ("B", "1")])));
    }
}
