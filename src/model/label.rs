//! Labels of our objects on the engine.

/// The keys of our labels on containers, images and networks.
///
/// The engine is the only storage, so these names are a file format: labels are added, never changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Label;

impl Label {
    pub const PROJECT: &str = "deploy-apps.project";
    pub const SERVICE: &str = "deploy-apps.service";
    pub const ROLE: &str = "deploy-apps.role";
    pub const PROXY: &str = "deploy-apps.proxy";
    pub const RELEASE: &str = "deploy-apps.release";
    pub const REPLICA: &str = "deploy-apps.replica";
    pub const VERSION: &str = "deploy-apps.version";
    pub const IDENTITY: &str = "deploy-apps.identity";
    /// On images: the digest of the source they were built from.
    pub const SOURCE: &str = "deploy-apps.source";
    /// On images: the name that the build gave to its image. An image built from that one does not match it.
    pub const BUILT: &str = "deploy-apps.built";
    /// On the proxy's image and container: the digest of the embedded `nginx/` folder.
    pub const PROXY_BUILD: &str = "deploy-apps.proxy-build";
    /// On containers: [`Hooks::to_label`].
    pub const HOOKS: &str = "deploy-apps.hooks";
    /// On the proxy's container: [`ProxyTuning`](super::tuning::ProxyTuning).
    pub const TUNING: &str = "deploy-apps.tuning";
}
