//! What was added to the proxy's control API since its first version.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// What one proxy knows, as it says itself; one of an older build knows less.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Features(BTreeSet<String>);

impl Features {
    /// It keeps releases, and the number that `scale` has set.
    pub const RELEASES: &'static str = "releases";
    /// It serves HTTPS, keeps certificates, and takes a route's `tls`.
    pub const CERTIFICATES: &'static str = "certificates";
    /// It answers a CA that asks whether a host is ours, and takes what the container for certificates has got.
    pub const ACME: &'static str = "acme";
    /// A record may carry a canary, and the proxy counts for its gate and ends it with its watcher.
    pub const CANARY: &'static str = "canary";
    /// A record may carry the number that `scale` has set.
    pub const SCALE: &'static str = "scale";
    /// It answers for an app that is in maintenance.
    pub const MAINTENANCE: &'static str = "maintenance";
    /// It lets requests of a paused app wait.
    pub const PAUSE: &'static str = "pause";

    #[must_use]
    pub fn knows(&self, feature: &str) -> bool {
        self.0.contains(feature)
    }
}

impl<S: Into<String>> FromIterator<S> for Features {
    fn from_iter<I: IntoIterator<Item = S>>(names: I) -> Self {
        Self(names.into_iter().map(Into::into).collect())
    }
}
