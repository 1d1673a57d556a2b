//! The containers of a proxy: one that has the published ports and keeps them, and the nginx that serves.

use std::collections::BTreeMap;
use std::time::Duration;

use indexmap::IndexMap;

use super::proxy_image::ProxyImage;
use crate::model::{
    AddressPool, ContainerSpec, LogLimit, Mount, MountSource, NetworkAttachment, NewContainer, ObservedContainer,
    ObservedEngine, OwnLabels, PortBinding, ProxyName, ProxySpec, Resources, Restart, Role, Tmpfs, identity,
};

/// Of its listeners, as `nginx/start.sh` writes them. Apps come to the first one, whatever the published port speaks.
const HTTP_PORT: u16 = 80;
const PROXY_PROTOCOL_PORT: u16 = 8081;
const HTTPS_PORT: u16 = 443;
const HTTPS_PROXY_PROTOCOL_PORT: u16 = 8443;
const METRICS_PORT: u16 = 9180;
/// The image's user, who is not root.
const PROXY_TMPFS: &str = "uid=10001,gid=10001,mode=0750";
/// A line for each request would fill the disk of a busy host within a day. This is some 300,000 of them.
const PROXY_LOG: LogLimit = LogLimit { files: 5, file_bytes: 20_000_000 };
/// Its own process needs less than one; commands that reach the control socket through it take some each.
const HOLDER_MEMORY: i64 = 128 << 20;
/// It has no request open.
pub(super) const HOLDER_STOP_GRACE: Duration = Duration::from_secs(2);
/// Long enough for open requests when the proxy itself is replaced.
pub(super) const PROXY_STOP_GRACE: Duration = Duration::from_secs(30);
/// The port of a proxy that has none yet: the engine chooses one.
pub(super) const INTERIM_PORT: u16 = 0;

/// The container with the published ports and the fixed address. It outlives every nginx.
pub(super) fn holder(spec: &ProxySpec, image: &ProxyImage, pool: AddressPool) -> NewContainer {
    let mut container = ContainerSpec {
        command: Some(std::iter::once("hold".to_owned()).chain(listeners(spec)).collect()),
        networks: vec![NetworkAttachment { address: Some(pool.proxy()), ..attachment(spec) }],
        ports: published(spec),
        stop_grace: Some(HOLDER_STOP_GRACE),
        ..hardened(spec)
    };
    let identity = identity("proxy-holder", &container);
    container.log_limit = Some(PROXY_LOG);
    container.resources = Resources { memory_bytes: Some(HOLDER_MEMORY), ..Resources::default() };
    let labels =
        OwnLabels { replica: Some(OwnLabels::HOLDER), tuning: None, ..labels(Role::Proxy, spec, image, identity) };
    NewContainer { name: spec.name.container(), image: image.tag(), spec: container, labels }
}

/// The nginx with this number.
pub(super) fn instance(spec: &ProxySpec, image: &ProxyImage, pool: AddressPool, number: u32) -> NewContainer {
    let mut container = ContainerSpec {
        networks: vec![attachment(spec)],
        stop_grace: Some(PROXY_STOP_GRACE),
        environment: trust(spec, pool),
        logging: spec.logging.clone(),
        ..hardened(spec)
    };
    // The build is left out: another build of the same control API goes on serving until it is upgraded.
    let identity = identity("proxy-instance", &container);
    tuned(&mut container, spec);
    container.environment.insert("INSTANCE".to_owned(), number.to_string());
    let labels = OwnLabels { replica: Some(number), ..labels(Role::ProxyInstance, spec, image, identity) };
    NewContainer { name: spec.name.instance(number), image: image.tag(), spec: container, labels }
}

/// What identified the only container of a proxy, before there was one for the ports.
pub(super) fn single_identity(spec: &ProxySpec, pool: AddressPool) -> String {
    let container = ContainerSpec {
        networks: vec![NetworkAttachment { address: Some(pool.proxy()), ..attachment(spec) }],
        ports: published(spec),
        stop_grace: Some(PROXY_STOP_GRACE),
        environment: trust(spec, pool),
        logging: spec.logging.clone(),
        ..hardened(spec)
    };
    identity("proxy", &container)
}

/// The nginx containers of the proxy, in order of their numbers.
pub(super) fn instances<'a>(proxy: &ProxyName, observed: &'a ObservedEngine) -> Vec<(u32, &'a ObservedContainer)> {
    let own = observed
        .containers
        .iter()
        .filter(|container| container.labels.role == Role::ProxyInstance && container.labels.proxy == *proxy);
    let mut found: Vec<_> = own.filter_map(|container| Some((container.labels.replica?, container))).collect();
    found.sort_by_key(|(number, _)| *number);
    found
}

/// The one whose settings count: of the container that serves, as far as the engine tells.
#[must_use]
pub fn nginx_container<'a>(proxy: &ProxyName, observed: &'a ObservedEngine) -> Option<&'a ObservedContainer> {
    let holder = observed.container(&proxy.container())?;
    if !holder.labels.is_holder() {
        return Some(holder);
    }
    instances(proxy, observed).last().map(|(_, container)| *container)
}

/// No capability, no writable file but its state and its sockets.
fn hardened(spec: &ProxySpec) -> ContainerSpec {
    ContainerSpec {
        read_only: true,
        cap_drop: vec!["ALL".to_owned()],
        security_opt: vec!["no-new-privileges:true".to_owned()],
        // Lets the unprivileged process listen on port 80, where apps expect each other.
        sysctls: BTreeMap::from([("net.ipv4.ip_unprivileged_port_start".to_owned(), "0".to_owned())]),
        tmpfs: vec![
            Tmpfs { target: "/run/deploy-apps".to_owned(), options: PROXY_TMPFS.to_owned() },
            Tmpfs { target: "/tmp".to_owned(), options: PROXY_TMPFS.to_owned() },
        ],
        mounts: vec![Mount {
            source: MountSource::Volume(spec.name.volume()),
            target: "/var/lib/deploy-apps".to_owned(),
            ..Mount::default()
        }],
        restart: Restart::UnlessStopped,
        ..ContainerSpec::default()
    }
}

fn attachment(spec: &ProxySpec) -> NetworkAttachment {
    NetworkAttachment { network: spec.name.network(), aliases: Vec::new(), ..NetworkAttachment::default() }
}

/// The ports that the nginx of this proxy wants of the container that holds them.
fn listeners(spec: &ProxySpec) -> impl Iterator<Item = String> + use<> {
    let https = spec.https_port.is_some();
    let optional = [
        (PROXY_PROTOCOL_PORT, spec.proxy_protocol),
        (HTTPS_PORT, https),
        (HTTPS_PROXY_PROTOCOL_PORT, https && spec.proxy_protocol),
    ];
    let asked = optional.into_iter().filter(|(_, is_asked)| *is_asked).map(|(port, _)| port);
    [HTTP_PORT, METRICS_PORT].into_iter().chain(asked).map(|port| port.to_string())
}

/// HTTP, and HTTPS where it is asked for. While another container has the port of the one, it may have that of the other.
fn published(spec: &ProxySpec) -> Vec<PortBinding> {
    let plain = if spec.proxy_protocol { PROXY_PROTOCOL_PORT } else { HTTP_PORT };
    let secure = if spec.proxy_protocol { HTTPS_PROXY_PROTOCOL_PORT } else { HTTPS_PORT };
    let is_interim = spec.http_port == INTERIM_PORT;
    let published = |host_port: u16, container_port: u16| PortBinding {
        host_ip: spec.bind.clone(),
        host_port: Some(host_port).filter(|_| !is_interim),
        container_port,
        protocol: "tcp".to_owned(),
        ..PortBinding::default()
    };
    let secure = spec.https_port.map(|port| published(port, secure));
    std::iter::once(published(spec.http_port, plain)).chain(secure).collect()
}

/// Only what is asked for, so that a proxy of before goes on as it is.
fn trust(spec: &ProxySpec, pool: AddressPool) -> IndexMap<String, String> {
    let mut environment = IndexMap::new();
    if !spec.trusted_proxies.is_empty() {
        let ranges: Vec<String> = spec.trusted_proxies.iter().map(|trusted| trusted.range(pool.gateway())).collect();
        environment.insert("TRUSTED_PROXIES".to_owned(), ranges.join(","));
    }
    if spec.proxy_protocol {
        environment.insert("PROXY_PROTOCOL".to_owned(), "on".to_owned());
    }
    if let Some(port) = spec.https_port {
        environment.insert("HTTPS_PORT".to_owned(), port.to_string());
    }
    environment
}

/// What makes no other proxy: one of before goes on without, and `proxy_drift` says so.
fn tuned(container: &mut ContainerSpec, spec: &ProxySpec) {
    container.log_limit = Some(PROXY_LOG);
    container.resources = Resources { memory_bytes: Some(spec.memory_bytes), ..Resources::default() };
    container.environment.insert("ACCESS_LOG".to_owned(), spec.access_log.to_string());
    if let Some(connections) = spec.connections_per_client {
        container.environment.insert("CONNECTIONS_PER_CLIENT".to_owned(), connections.to_string());
    }
}

fn labels(role: Role, spec: &ProxySpec, image: &ProxyImage, identity: String) -> OwnLabels {
    OwnLabels {
        role,
        proxy: spec.name.clone(),
        project: None,
        service: None,
        release: None,
        replica: None,
        version: Some(image.build_id.clone()),
        identity,
        tuning: Some(spec.tuning()),
    }
}
