//! The names under which services reach the proxy: apps get theirs in `replicas`, accessories here.

use std::borrow::Cow;

use crate::model::{AddressPool, Project};

/// The proxy itself, for who watches it; the name is the same whatever the proxy of this host is called.
const PROXY: &str = "deploy-apps-proxy";

/// The project with the apps' names and the proxy's own for each accessory that is in the proxy's network.
///
/// Such an accessory reaches an app as another app does: through the proxy, so that a deploy is not felt by it.
pub(super) fn with_hosts(project: &Project, pool: AddressPool) -> Cow<'_, Project> {
    let network = project.proxy.name.network();
    let mut filled = Cow::Borrowed(project);
    for (name, accessory) in &project.accessories {
        if !accessory.service.container.networks.iter().any(|attachment| attachment.network == network) {
            continue;
        }
        let routed = project.apps.iter().filter(|(_, app)| app.port.is_some()).map(|(name, _)| name.as_str());
        let Some(own) = filled.to_mut().accessories.get_mut(name) else { continue };
        let entries = &mut own.service.container.extra_hosts;
        for host in routed.chain([PROXY]) {
            let beginning = format!("{host}:");
            if !entries.iter().any(|entry| entry.starts_with(&beginning)) {
                entries.push(format!("{beginning}{}", pool.proxy()));
            }
        }
    }
    filled
}
