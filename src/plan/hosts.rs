//! The names under which services reach the proxy: apps get theirs in `replicas`, accessories here.

use std::borrow::Cow;

use crate::model::{AddressPool, AppName, Project};

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
        let Some(own) = filled.to_mut().accessories.get_mut(name) else { continue };
        let names = project.hosts.iter().map(AppName::as_str).chain([PROXY]);
        lead_to_proxy(&mut own.service.container.extra_hosts, names, pool);
    }
    filled
}

/// Adds an entry for each of these names, unless the compose file has one of its own.
pub(super) fn lead_to_proxy<'n>(entries: &mut Vec<String>, names: impl Iterator<Item = &'n str>, pool: AddressPool) {
    for name in names {
        let beginning = format!("{name}:");
        if !entries.iter().any(|entry| entry.starts_with(&beginning)) {
            entries.push(format!("{beginning}{}", pool.proxy()));
        }
    }
}

#[cfg(test)]
mod tests {
    use indexmap::IndexMap;

    use super::*;
    use crate::model::{
        AccessLog, Accessory, ContainerSpec, ImageSource, NetworkAttachment, ProxyName, ProxySpec, PullPolicy, Service,
    };

    /// With `prometheus` in the proxy's network and `redis` in another, and without any app that takes part.
    fn project(hosts: &[&str], own: &[&str]) -> Project {
        let accessory = |name: &str, network: &str, hosts: &[&str]| {
            let attachment = NetworkAttachment { network: network.to_owned(), ..NetworkAttachment::default() };
            let extra_hosts = hosts.iter().map(|&host| host.to_owned()).collect();
            let container = ContainerSpec { networks: vec![attachment], extra_hosts, ..ContainerSpec::default() };
            let image = ImageSource::Pull { reference: name.to_owned(), policy: PullPolicy::default() };
            let service = Service { name: name.parse().unwrap(), image, container, depends_on: Vec::new() };
            (service.name.clone(), Accessory { service, container_name: None, backup: None })
        };
        let proxy = ProxySpec {
            name: ProxyName::default(),
            http_port: 80,
            https_port: None,
            bind: None,
            subnet: None,
            base_image: String::new(),
            logging: None,
            trusted_proxies: Vec::new(),
            proxy_protocol: false,
            memory_bytes: ProxySpec::MEMORY,
            access_log: AccessLog::default(),
            connections_per_client: None,
            acme: None,
            upgrade: crate::model::UpgradePolicy::default(),
        };
        let network = proxy.name.network();
        Project {
            dormant: std::collections::BTreeSet::new(),
            name: "sample".parse().unwrap(),
            folder: "/sample".into(),
            remembered: false,
            proxy,
            notify: Vec::new(),
            apps: IndexMap::new(),
            accessories: [accessory("prometheus", &network, own), accessory("redis", "sample_default", &[])].into(),
            hosts: hosts.iter().map(|host| host.parse().unwrap()).collect(),
            networks: IndexMap::new(),
            volumes: Vec::new(),
            external_networks: vec![network],
            external_volumes: Vec::new(),
            certificates: std::collections::BTreeMap::new(),
            automatic: std::collections::BTreeSet::new(),
        }
    }

    fn hosts_of(project: &Project, name: &str) -> Vec<String> {
        let pool = AddressPool::new("10.0.0.0/20".parse().unwrap()).unwrap();
        let filled = with_hosts(project, pool);
        filled.accessories[&name.parse::<AppName>().unwrap()].service.container.extra_hosts.clone()
    }

    #[test]
    fn an_accessory_in_the_proxys_network_reaches_every_app_and_the_proxy_and_no_other_does() {
        let proxy = AddressPool::new("10.0.0.0/20".parse().unwrap()).unwrap().proxy();
        let project = project(&["web", "api"], &[]);
        let wanted = ["api", "web", PROXY].map(|name| format!("{name}:{proxy}"));
        assert_eq!(hosts_of(&project, "prometheus"), wanted);
        assert_eq!(hosts_of(&project, "redis"), [""; 0]);
    }

    #[test]
    fn an_entry_of_the_compose_file_wins_over_ours() {
        let project = project(&["web", "web2"], &["web:192.0.2.7", "web20:192.0.2.8"]);
        let hosts = hosts_of(&project, "prometheus");
        assert_eq!(hosts[..2], ["web:192.0.2.7", "web20:192.0.2.8"]);
        assert_eq!(hosts.iter().filter(|entry| entry.starts_with("web:")).count(), 1);
        assert!(hosts[2].starts_with("web2:10."), "{hosts:?}");
    }

    #[test]
    fn without_an_accessory_in_the_proxys_network_the_project_stays_as_it_is() {
        let mut project = project(&["web"], &[]);
        project.accessories.shift_remove(&"prometheus".parse::<AppName>().unwrap());
        let pool = AddressPool::new("10.0.0.0/20".parse().unwrap()).unwrap();
        assert!(matches!(with_hosts(&project, pool), Cow::Borrowed(_)));
    }
}
