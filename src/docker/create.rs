//! Converts our description of a container to the engine's.

use std::collections::HashMap;
use std::time::Duration;

use bollard::models::{
    ContainerCreateBody, EndpointIpamConfig, EndpointSettings, HealthConfig, HostConfigLogConfig,
    NetworkConnectRequest, NetworkingConfig,
};
use bollard::query_parameters::CreateContainerOptionsBuilder;

use super::api::ApiVersion;
use super::host_config::{host_config, port_key};
use super::{DockerEngine, containers, files, healthcheck};
use crate::model::{ContainerSpec, Healthcheck, Label, LogLimit, MountSource, NetworkAttachment, NewContainer, Role};
use crate::ports::{EngineError, EngineErrorKind};

/// Driver option for compose's `interface_name`.
const INTERFACE_NAME: &str = "com.docker.network.endpoint.ifname";

pub(super) async fn create_container(engine: &DockerEngine, container: &NewContainer) -> Result<(), EngineError> {
    let name = &container.name;
    let container = &files::with_room(container)?;
    check_api(engine.api, container)?;
    let networks = if container.spec.host.network.is_some() { &[][..] } else { &container.spec.networks };
    let at_once = if engine.api >= ApiVersion::SEVERAL_NETWORKS { networks.len() } else { networks.len().min(1) };
    let (first, later) = networks.split_at(at_once);

    let mut options = CreateContainerOptionsBuilder::default().name(name);
    if let Some(platform) = &container.spec.platform {
        options = options.platform(platform);
    }
    let mut body = body(container, first);
    body.healthcheck = healthcheck::asked_early(engine, container, body.healthcheck.take()).await?;
    if let (Some(limit), Some(host)) = (container.spec.log_limit, &mut body.host_config)
        && host.log_config.is_none()
    {
        host.log_config = limited_log(engine, limit).await?;
    }
    let create = engine.client.create_container(Some(options.build()), body);
    engine.call(&format!("create container `{name}`"), create).await?;
    let rest = async {
        for network in later {
            connect(engine, container, network).await?;
        }
        files::put(engine, container).await
    };
    if let Err(error) = rest.await {
        // A half-created container would start and fail with misleading errors.
        let _ = containers::remove(engine, name).await;
        return Err(error);
    }
    Ok(())
}

/// Older engines silently drop unknown fields, so they are refused here.
fn check_api(api: ApiVersion, container: &NewContainer) -> Result<(), EngineError> {
    let spec = &container.spec;
    let mounts = || spec.mounts.iter();
    let endpoints = || spec.networks.iter().map(|network| &network.options);
    let starts_quicker = matches!(&spec.healthcheck, Some(Healthcheck::Test { start_interval: Some(_), .. }));
    let of_volume = |source: &MountSource| matches!(source, MountSource::Volume(_) | MountSource::Anonymous);
    let needs = [
        ("annotations", !spec.annotations.is_empty(), ApiVersion::ANNOTATIONS),
        ("healthcheck.start_interval", starts_quicker, ApiVersion::START_INTERVAL),
        ("bind.recursive", mounts().any(|mount| mount.options.recursive.is_some()), ApiVersion::RECURSIVE_BINDS),
        ("networks.mac_address", endpoints().any(|options| options.mac_address.is_some()), ApiVersion::MAC_PER_NETWORK),
        (
            "volume.subpath",
            mounts().any(|mount| of_volume(&mount.source) && mount.options.subpath.is_some()),
            ApiVersion::SUBPATH,
        ),
        ("type: image", mounts().any(|mount| matches!(mount.source, MountSource::Image(_))), ApiVersion::IMAGE_MOUNTS),
        ("gw_priority", endpoints().any(|options| options.gw_priority.is_some()), ApiVersion::GW_PRIORITY),
        ("interface_name", endpoints().any(|options| options.interface_name.is_some()), ApiVersion::GW_PRIORITY),
    ];
    let lacking = needs.into_iter().find(|(_, asked, since)| *asked && api < *since);
    lacking.map_or(Ok(()), |(key, _, since)| {
        let message = format!(
            "could not create container `{}`: `{key}` needs API {since}, the engine speaks {api}",
            container.name
        );
        Err(EngineError::new(EngineErrorKind::TooOld, message)
            .hint(format!("remove `{key}` from compose.yaml, or upgrade Docker Engine on that host")))
    })
}

async fn connect(
    engine: &DockerEngine,
    container: &NewContainer,
    network: &NetworkAttachment,
) -> Result<(), EngineError> {
    let endpoint = Some(endpoint(&container.spec, network));
    let request = NetworkConnectRequest { container: container.name.clone(), endpoint_config: endpoint };
    let doing = format!("connect container `{}` to network `{}`", container.name, network.network);
    engine.call(&doing, engine.client.connect_network(&network.network, request)).await
}

/// Options of the engine's default log driver, if that writes files: other drivers reject unknown options.
async fn limited_log(engine: &DockerEngine, limit: LogLimit) -> Result<Option<HostConfigLogConfig>, EngineError> {
    let info = engine.call("ask the engine how it keeps logs", engine.client.info()).await?;
    let keeps_files = |driver: &String| matches!(driver.as_str(), "json-file" | "local");
    Ok(info.logging_driver.filter(keeps_files).map(|driver| HostConfigLogConfig {
        typ: Some(driver),
        config: Some(HashMap::from([
            ("max-file".to_owned(), limit.files.to_string()),
            ("max-size".to_owned(), limit.file_bytes.to_string()),
        ])),
    }))
}

fn body(container: &NewContainer, networks: &[NetworkAttachment]) -> ContainerCreateBody {
    let spec = &container.spec;
    // Our labels override the user's: otherwise the next run could take the container for another.
    let hooks = spec.hooks.to_label().map(|text| (Label::HOOKS.to_owned(), text));
    let labels = spec.labels.clone().into_iter().chain(hooks).chain(container.labels.to_map()).collect();
    ContainerCreateBody {
        image: Some(container.image.clone()),
        entrypoint: spec.entrypoint.clone(),
        cmd: spec.command.clone(),
        env: Some(spec.environment.iter().map(|(key, value)| format!("{key}={value}")).collect()),
        user: spec.user.clone(),
        working_dir: spec.working_dir.clone(),
        hostname: spec.hostname.clone(),
        domainname: spec.dns.domainname.clone(),
        tty: spec.tty.then_some(true),
        open_stdin: spec.stdin_open.then_some(true),
        // Stdin closes when the attached client ends, also when it is killed.
        stdin_once: (spec.stdin_open && container.labels.role == Role::OneOff).then_some(true),
        labels: Some(labels),
        stop_signal: spec.stop_signal.clone(),
        stop_timeout: spec.stop_grace.map(|grace| i64::from(whole_seconds(grace))),
        healthcheck: spec.healthcheck.as_ref().map(health),
        exposed_ports: Some(spec.ports.iter().map(port_key).collect()),
        host_config: Some(host_config(spec, networks)),
        networking_config: Some(NetworkingConfig {
            endpoints_config: Some(
                networks.iter().map(|network| (network.network.clone(), endpoint(spec, network))).collect(),
            ),
        }),
        ..ContainerCreateBody::default()
    }
}

fn endpoint(spec: &ContainerSpec, network: &NetworkAttachment) -> EndpointSettings {
    let options = &network.options;
    let interface = options.interface_name.iter().map(|name| (INTERFACE_NAME.to_owned(), name.clone()));
    let driver_opts = options.driver_opts.clone().into_iter().chain(interface);
    let fixed = network.address.is_some() || options.ipv6_address.is_some() || !options.link_local_ips.is_empty();
    EndpointSettings {
        aliases: Some(network.aliases.clone()),
        links: (!spec.dns.links.is_empty()).then(|| spec.dns.links.clone()),
        mac_address: options.mac_address.clone(),
        driver_opts: Some(driver_opts.collect()),
        gw_priority: options.gw_priority,
        ipam_config: fixed.then(|| EndpointIpamConfig {
            ipv4_address: network.address.map(|address| address.to_string()),
            ipv6_address: options.ipv6_address.clone(),
            link_local_ips: (!options.link_local_ips.is_empty()).then(|| options.link_local_ips.clone()),
        }),
        ..EndpointSettings::default()
    }
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

/// Rounded up: a grace period of 500 ms must not become 0.
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
}
