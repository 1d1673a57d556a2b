//! From our own form of a container to the engine's.

use std::collections::HashMap;
use std::time::Duration;

use bollard::models::{
    ContainerCreateBody, EndpointIpamConfig, EndpointSettings, HealthConfig, HostConfig, HostConfigLogConfig,
    Mount as EngineMount, MountType, NetworkConnectRequest, NetworkingConfig, PortBinding as EnginePort, PortMap,
    ResourcesUlimits, RestartPolicy, RestartPolicyNameEnum,
};
use bollard::query_parameters::CreateContainerOptionsBuilder;

use super::api::ApiVersion;
use super::{DockerEngine, containers};
use crate::model::{
    ContainerSpec, Healthcheck, Mount, MountSource, NetworkAttachment, NewContainer, PortBinding, Restart,
};
use crate::ports::EngineError;

pub(super) async fn create_container(engine: &DockerEngine, container: &NewContainer) -> Result<(), EngineError> {
    let name = &container.name;
    let networks = &container.spec.networks;
    let at_once = if engine.api >= ApiVersion::SEVERAL_NETWORKS { networks.len() } else { networks.len().min(1) };
    let (first, later) = networks.split_at(at_once);

    let options = CreateContainerOptionsBuilder::default().name(name).build();
    let create = engine.client.create_container(Some(options), body(container, first));
    engine.call(&format!("create container `{name}`"), create).await?;
    for network in later {
        if let Err(error) = connect(engine, name, network).await {
            // Half connected it would start, and fail in ways that point elsewhere.
            let _ = containers::remove(engine, name).await;
            return Err(error);
        }
    }
    Ok(())
}

async fn connect(engine: &DockerEngine, name: &str, network: &NetworkAttachment) -> Result<(), EngineError> {
    let request = NetworkConnectRequest { container: name.to_owned(), endpoint_config: Some(endpoint(network)) };
    let doing = format!("connect container `{name}` to network `{}`", network.network);
    engine.call(&doing, engine.client.connect_network(&network.network, request)).await
}

fn body(container: &NewContainer, networks: &[NetworkAttachment]) -> ContainerCreateBody {
    let spec = &container.spec;
    // Ours win: a user's label must not make the next run mistake the container for another.
    let labels = spec.labels.clone().into_iter().chain(container.labels.to_map()).collect();
    ContainerCreateBody {
        image: Some(container.image.clone()),
        entrypoint: spec.entrypoint.clone(),
        cmd: spec.command.clone(),
        env: Some(spec.environment.iter().map(|(key, value)| format!("{key}={value}")).collect()),
        user: spec.user.clone(),
        working_dir: spec.working_dir.clone(),
        hostname: spec.hostname.clone(),
        labels: Some(labels),
        stop_signal: spec.stop_signal.clone(),
        stop_timeout: spec.stop_grace.map(|grace| i64::from(whole_seconds(grace))),
        healthcheck: spec.healthcheck.as_ref().map(health),
        exposed_ports: Some(spec.ports.iter().map(port_key).collect()),
        host_config: Some(host_config(spec, networks)),
        networking_config: Some(NetworkingConfig {
            endpoints_config: Some(
                networks.iter().map(|network| (network.network.clone(), endpoint(network))).collect(),
            ),
        }),
        ..ContainerCreateBody::default()
    }
}

fn host_config(spec: &ContainerSpec, networks: &[NetworkAttachment]) -> HostConfig {
    let (binds, mounts): (Vec<_>, Vec<_>) = spec.mounts.iter().partition(|mount| bind_text(mount).is_some());
    HostConfig {
        // Without it the engine would join its default bridge as well.
        network_mode: networks.first().map(|network| network.network.clone()),
        binds: Some(binds.into_iter().filter_map(bind_text).collect()),
        mounts: Some(mounts.into_iter().map(mount).collect()),
        tmpfs: Some(spec.tmpfs.iter().map(|tmpfs| (tmpfs.target.clone(), tmpfs.options.clone())).collect()),
        init: spec.init.then_some(true),
        readonly_rootfs: Some(spec.read_only),
        extra_hosts: Some(spec.extra_hosts.clone()),
        cap_add: Some(spec.cap_add.clone()),
        cap_drop: Some(spec.cap_drop.clone()),
        security_opt: Some(spec.security_opt.clone()),
        ulimits: Some(spec.ulimits.iter().map(ulimit).collect()),
        sysctls: Some(spec.sysctls.clone().into_iter().collect()),
        log_config: spec.logging.as_ref().map(|logging| HostConfigLogConfig {
            typ: Some(logging.driver.clone()),
            config: Some(logging.options.clone().into_iter().collect()),
        }),
        nano_cpus: spec.resources.nano_cpus,
        memory: spec.resources.memory_bytes,
        memory_reservation: spec.resources.memory_reservation_bytes,
        pids_limit: spec.resources.pids,
        restart_policy: Some(restart(spec.restart)),
        port_bindings: Some(port_bindings(&spec.ports)),
        ..HostConfig::default()
    }
}

/// The short form, which makes a missing folder on the host as compose does. It cannot hold a path with a colon.
fn bind_text(mount: &Mount) -> Option<String> {
    let MountSource::Bind(source) = &mount.source else { return None };
    let mode = if mount.read_only { ":ro" } else { "" };
    (!source.contains(':') && !mount.target.contains(':')).then(|| format!("{source}:{}{mode}", mount.target))
}

fn mount(mount: &Mount) -> EngineMount {
    let (typ, source) = match &mount.source {
        MountSource::Volume(name) => (MountType::VOLUME, Some(name.clone())),
        MountSource::Bind(path) => (MountType::BIND, Some(path.clone())),
        MountSource::Anonymous => (MountType::VOLUME, None),
    };
    EngineMount {
        typ: Some(typ),
        source,
        target: Some(mount.target.clone()),
        read_only: Some(mount.read_only),
        ..EngineMount::default()
    }
}

fn ulimit(limit: &crate::model::Ulimit) -> ResourcesUlimits {
    ResourcesUlimits { name: Some(limit.name.clone()), soft: Some(limit.soft), hard: Some(limit.hard) }
}

fn restart(restart: Restart) -> RestartPolicy {
    let (name, retries) = match restart {
        Restart::No => (RestartPolicyNameEnum::NO, None),
        Restart::Always => (RestartPolicyNameEnum::ALWAYS, None),
        Restart::UnlessStopped => (RestartPolicyNameEnum::UNLESS_STOPPED, None),
        Restart::OnFailure(retries) => (RestartPolicyNameEnum::ON_FAILURE, retries.map(i64::from)),
    };
    RestartPolicy { name: Some(name), maximum_retry_count: retries }
}

fn endpoint(network: &NetworkAttachment) -> EndpointSettings {
    EndpointSettings {
        aliases: Some(network.aliases.clone()),
        ipam_config: network.address.map(|address| EndpointIpamConfig {
            ipv4_address: Some(address.to_string()),
            ..EndpointIpamConfig::default()
        }),
        ..EndpointSettings::default()
    }
}

fn port_key(port: &PortBinding) -> String {
    format!("{}/{}", port.container_port, port.protocol)
}

/// One container port may be published at several addresses of the host.
fn port_bindings(ports: &[PortBinding]) -> PortMap {
    let mut bindings: PortMap = HashMap::new();
    for port in ports {
        let binding = EnginePort {
            host_ip: port.host_ip.clone(),
            host_port: Some(port.host_port.map(|port| port.to_string()).unwrap_or_default()),
        };
        bindings.entry(port_key(port)).or_default().get_or_insert_default().push(binding);
    }
    bindings
}

fn health(check: &Healthcheck) -> HealthConfig {
    match check {
        Healthcheck::Disabled => HealthConfig { test: Some(vec!["NONE".to_owned()]), ..HealthConfig::default() },
        Healthcheck::Test { test, interval, timeout, retries, start_period, start_interval } => HealthConfig {
            test: Some(test.clone()),
            interval: interval.map(nanoseconds),
            timeout: timeout.map(nanoseconds),
            retries: retries.map(i64::from),
            start_period: start_period.map(nanoseconds),
            start_interval: start_interval.map(nanoseconds),
        },
    }
}

fn nanoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// Rounded up: a grace of 500 ms must not become none.
pub(super) fn whole_seconds(duration: Duration) -> i32 {
    let seconds = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    i32::try_from(seconds).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grace_is_rounded_up_and_never_lost() {
        assert_eq!(whole_seconds(Duration::from_millis(500)), 1);
        assert_eq!(whole_seconds(Duration::from_secs(10)), 10);
        assert_eq!(whole_seconds(Duration::ZERO), 0);
    }

    #[test]
    fn binds_take_the_short_form_unless_a_path_has_a_colon() {
        let bind = |source: &str| Mount {
            source: MountSource::Bind(source.to_owned()),
            target: "/data".to_owned(),
            read_only: true,
        };
        assert_eq!(bind_text(&bind("/srv/data")).as_deref(), Some("/srv/data:/data:ro"));
        assert_eq!(bind_text(&bind("/srv/a:b")), None);
    }
}
