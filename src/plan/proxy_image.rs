//! The image of the proxy.

use crate::model::BuildSpec;

/// The embedded proxy image: its id and how it is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyImage {
    /// The digest of the `nginx/` folder.
    pub build_id: String,
    pub build: BuildSpec,
}

impl ProxyImage {
    #[must_use]
    pub fn tag(&self) -> String {
        format!("deploy-apps/proxy:{}", self.build_id)
    }
}
