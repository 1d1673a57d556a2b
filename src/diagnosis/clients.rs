//! Whether clients of the published port reach the proxy with their own address.

use std::net::IpAddr;

use super::{Facts, Finding};
use crate::model::{ProxySpec, TrustedProxy};

/// The engine's IPv4 rules keep the client's address. The proxy's network has no IPv6, so IPv6 connections go through
/// the engine's userland proxy, which connects from the network's gateway.
pub(super) fn ipv6(facts: &Facts) -> Option<Finding> {
    let spec = facts.desired.as_ref().filter(|_| facts.published.is_some())?;
    if !takes_ipv6(spec) {
        return None;
    }
    let port = spec.http_port;
    Some(if spec.trusted_proxies.contains(&TrustedProxy::Host) {
        Finding::warning(
            "ports",
            format!(
                "IPv6 clients of port {port} come from the gateway, which `trusted_proxies: host` believes: any of them \
                 can choose the address that apps see"
            ),
            "set `x-deploy-apps.proxy.bind` to an IPv4 address, such as `127.0.0.1` or `0.0.0.0`",
        )
    } else {
        Finding::ok(
            "ports",
            format!(
                "apps see the gateway's address for IPv6 clients of port {port}, their own for IPv4; where that matters, a \
                 proxy in front that `trusted_proxies` names tells it, or `proxy.bind: 0.0.0.0` takes IPv4 alone"
            ),
        )
    })
}

/// Loopback does not count: its clients come from the gateway in any case.
fn takes_ipv6(spec: &ProxySpec) -> bool {
    let bind = spec.bind.as_deref().and_then(|bind| bind.parse::<IpAddr>().ok());
    bind.is_none_or(|address| address.is_ipv6() && !address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::Level;
    use crate::model::{AccessLog, PortAnswer, ProxyName};

    fn level(bind: Option<&str>, trusted: &[&str]) -> Option<Level> {
        finding(bind, trusted).map(|finding| finding.level)
    }

    fn finding(bind: Option<&str>, trusted: &[&str]) -> Option<Finding> {
        let spec = ProxySpec {
            name: ProxyName::default(),
            http_port: 8080,
            https_port: None,
            bind: bind.map(str::to_owned),
            subnet: None,
            base_image: String::new(),
            logging: None,
            trusted_proxies: trusted.iter().map(|text| text.parse().unwrap()).collect(),
            proxy_protocol: false,
            memory_bytes: ProxySpec::MEMORY,
            access_log: AccessLog::default(),
            connections_per_client: None,
            acme: None,
            upgrade: crate::model::UpgradePolicy::default(),
        };
        let published = Some(PortAnswer::Answers { address: "127.0.0.1:8080".to_owned() });
        ipv6(&Facts { desired: Some(spec), published, ..Facts::default() })
    }

    #[test]
    fn says_what_helps_where_it_matters() {
        let said = finding(None, &[]).expect("a finding").message;
        assert!(said.contains("`trusted_proxies`") && said.contains("`proxy.bind: 0.0.0.0`"), "{said}");
    }

    #[test]
    fn warns_where_every_ipv6_client_would_be_trusted() {
        assert_eq!(level(None, &["host"]), Some(Level::Warning));
        assert_eq!(level(Some("2001:db8::1"), &["10.0.0.0/8", "host"]), Some(Level::Warning));
        assert_eq!(level(None, &["10.0.0.0/8"]), Some(Level::Ok));
        assert_eq!(level(Some("0.0.0.0"), &["host"]), None);
        assert_eq!(level(Some("::1"), &["host"]), None);
        assert_eq!(ipv6(&Facts::default()), None);
    }
}
