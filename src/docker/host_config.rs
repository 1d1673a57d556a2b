//! Converts access to host resources to the engine's form.

use std::collections::{BTreeMap, HashMap};

use bollard::models::{
    DeviceMapping, DeviceRequest as EngineDeviceRequest, HostConfig, HostConfigCgroupnsModeEnum, HostConfigLogConfig,
    Mount as EngineMount, MountBindOptions, MountBindOptionsPropagationEnum, MountImageOptions, MountType,
    MountVolumeOptions, PortBinding as EnginePort, PortMap, ResourcesBlkioWeightDevice, ResourcesUlimits,
    RestartPolicy, RestartPolicyNameEnum, ThrottleDevice,
};

use crate::model::{
    ContainerSpec, DeviceRate, DeviceRequest, Mount, MountSource, NetworkAttachment, PortBinding, Recursive, Restart,
    Ulimit,
};

pub(super) fn host_config(spec: &ContainerSpec, networks: &[NetworkAttachment]) -> HostConfig {
    let (binds, mounts): (Vec<_>, Vec<_>) = spec.mounts.iter().partition(|mount| bind_text(mount).is_some());
    let (host, shares, dns) = (&spec.host, &spec.shares, &spec.dns);
    let own_network = || networks.first().map(|network| network.network.clone());
    HostConfig {
        // Without it the engine would also connect its default bridge.
        network_mode: host.network.clone().or_else(own_network),
        binds: Some(binds.into_iter().filter_map(bind_text).collect()),
        mounts: Some(mounts.into_iter().map(mount).collect()),
        tmpfs: Some(spec.tmpfs.iter().map(|tmpfs| (tmpfs.target.clone(), tmpfs.options.clone())).collect()),
        volumes_from: some(&spec.volumes_from),
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
        annotations: some_map(&spec.annotations),
        restart_policy: Some(restart(spec.restart)),
        port_bindings: Some(port_bindings(&spec.ports)),

        nano_cpus: spec.resources.nano_cpus,
        memory: spec.resources.memory_bytes,
        memory_reservation: spec.resources.memory_reservation_bytes,
        pids_limit: spec.resources.pids,
        cpu_shares: shares.cpu_shares,
        cpu_period: shares.cpu_period,
        cpu_quota: shares.cpu_quota,
        cpu_realtime_period: shares.cpu_rt_period,
        cpu_realtime_runtime: shares.cpu_rt_runtime,
        cpuset_cpus: shares.cpuset.clone(),
        memory_swap: shares.memory_swap_bytes,
        memory_swappiness: shares.swappiness,
        blkio_weight: shares.blkio_weight,
        blkio_weight_device: some(&shares.blkio_weight_device).map(|all| all.iter().map(weight).collect()),
        blkio_device_read_bps: rates(&shares.read_bps),
        blkio_device_write_bps: rates(&shares.write_bps),
        blkio_device_read_iops: rates(&shares.read_iops),
        blkio_device_write_iops: rates(&shares.write_iops),

        dns: some(&dns.servers),
        dns_options: some(&dns.options),
        dns_search: some(&dns.search),

        privileged: host.privileged.then_some(true),
        cgroupns_mode: host.cgroup.as_deref().and_then(|mode| mode.parse::<HostConfigCgroupnsModeEnum>().ok()),
        cgroup_parent: host.cgroup_parent.clone(),
        ipc_mode: host.ipc.clone(),
        pid_mode: host.pid.clone(),
        uts_mode: host.uts.clone(),
        userns_mode: host.userns.clone(),
        runtime: host.runtime.clone(),
        devices: some(&host.devices).map(|devices| {
            let mapping = |device: crate::model::Device| DeviceMapping {
                path_on_host: Some(device.source),
                path_in_container: Some(device.target),
                cgroup_permissions: Some(device.permissions),
            };
            devices.into_iter().map(mapping).collect()
        }),
        device_cgroup_rules: some(&host.device_cgroup_rules),
        device_requests: some(&host.device_requests).map(|all| all.into_iter().map(device_request).collect()),
        group_add: some(&host.group_add),
        shm_size: host.shm_bytes,
        storage_opt: some_map(&host.storage_opt),
        oom_kill_disable: host.oom_kill_disable.then_some(true),
        oom_score_adj: host.oom_score_adj,
        ..HostConfig::default()
    }
}

/// An empty list is omitted: for some keys the engine gives it a special meaning.
fn some<T: Clone>(list: &[T]) -> Option<Vec<T>> {
    (!list.is_empty()).then(|| list.to_vec())
}

fn some_map(map: &BTreeMap<String, String>) -> Option<HashMap<String, String>> {
    (!map.is_empty()).then(|| map.clone().into_iter().collect())
}

fn weight(device: &DeviceRate) -> ResourcesBlkioWeightDevice {
    ResourcesBlkioWeightDevice { path: Some(device.path.clone()), weight: usize::try_from(device.rate).ok() }
}

fn rates(devices: &[DeviceRate]) -> Option<Vec<ThrottleDevice>> {
    let throttle = |device: DeviceRate| ThrottleDevice { path: Some(device.path), rate: Some(device.rate) };
    some(devices).map(|devices| devices.into_iter().map(throttle).collect())
}

fn device_request(request: DeviceRequest) -> EngineDeviceRequest {
    EngineDeviceRequest {
        driver: Some(request.driver),
        count: Some(request.count),
        device_ids: some(&request.ids),
        // The outer list is "or", the inner one "and".
        capabilities: Some(vec![request.capabilities]),
        options: some_map(&request.options),
    }
}

/// The short form, which creates a missing host folder like compose does. It cannot express a path with a colon or
/// options for mounts below it.
fn bind_text(mount: &Mount) -> Option<String> {
    let MountSource::Bind(source) = &mount.source else { return None };
    let options = &mount.options;
    let read_only = mount.read_only.then_some("ro");
    let words = [read_only, options.selinux.as_deref(), options.propagation.as_deref()];
    let mode: Vec<&str> = words.into_iter().flatten().collect();
    let mode = if mode.is_empty() { String::new() } else { format!(":{}", mode.join(",")) };
    let fits = !source.contains(':') && !mount.target.contains(':');
    (fits && !options.must_exist && options.recursive.is_none()).then(|| format!("{source}:{}{mode}", mount.target))
}

fn mount(mount: &Mount) -> EngineMount {
    let options = &mount.options;
    let (typ, source) = match &mount.source {
        MountSource::Volume(name) => (MountType::VOLUME, Some(name.clone())),
        MountSource::Bind(path) => (MountType::BIND, Some(path.clone())),
        MountSource::Image(reference) => (MountType::IMAGE, Some(reference.clone())),
        MountSource::Anonymous => (MountType::VOLUME, None),
    };
    let of_volume = options.no_copy || options.subpath.is_some() || !options.labels.is_empty();
    EngineMount {
        typ: Some(typ),
        source,
        target: Some(mount.target.clone()),
        read_only: Some(mount.read_only),
        bind_options: (typ == MountType::BIND).then(|| MountBindOptions {
            propagation: options
                .propagation
                .as_deref()
                .and_then(|mode| mode.parse::<MountBindOptionsPropagationEnum>().ok()),
            create_mountpoint: (!options.must_exist).then_some(true),
            non_recursive: (options.recursive == Some(Recursive::Disabled)).then_some(true),
            read_only_non_recursive: (options.recursive == Some(Recursive::Writable)).then_some(true),
            read_only_force_recursive: (options.recursive == Some(Recursive::Readonly)).then_some(true),
        }),
        volume_options: (typ == MountType::VOLUME && of_volume).then(|| MountVolumeOptions {
            no_copy: options.no_copy.then_some(true),
            labels: some_map(&options.labels),
            subpath: options.subpath.clone(),
            ..MountVolumeOptions::default()
        }),
        image_options: (typ == MountType::IMAGE && options.subpath.is_some())
            .then(|| MountImageOptions { subpath: options.subpath.clone() }),
        ..EngineMount::default()
    }
}

fn ulimit(limit: &Ulimit) -> ResourcesUlimits {
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

pub(super) fn port_key(port: &PortBinding) -> String {
    format!("{}/{}", port.container_port, port.protocol)
}

/// One container port may be published at several host addresses.
fn port_bindings(ports: &[PortBinding]) -> PortMap {
    let mut bindings: PortMap = HashMap::new();
    for port in ports {
        let binding = EnginePort {
            host_ip: port.host_ip.clone(),
            host_port: Some(match (port.host_port, port.host_port_end) {
                (Some(first), Some(last)) => format!("{first}-{last}"),
                (Some(port), None) => port.to_string(),
                (None, _) => String::new(),
            }),
        };
        bindings.entry(port_key(port)).or_default().get_or_insert_default().push(binding);
    }
    bindings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::MountOptions;

    #[test]
    fn binds_use_the_short_form_if_possible() {
        let bind = |source: &str, options: MountOptions| Mount {
            source: MountSource::Bind(source.to_owned()),
            target: "/data".to_owned(),
            read_only: true,
            options,
        };
        let text = |source: &str, options: MountOptions| bind_text(&bind(source, options));
        let plain = MountOptions::default;
        assert_eq!(text("/srv/data", plain()).as_deref(), Some("/srv/data:/data:ro"));
        let shared = MountOptions { propagation: Some("rslave".into()), selinux: Some("z".into()), ..plain() };
        assert_eq!(text("/srv/data", shared).as_deref(), Some("/srv/data:/data:ro,z,rslave"));
        assert_eq!(text("/srv/a:b", plain()), None);
        assert_eq!(text("/srv/data", MountOptions { must_exist: true, ..plain() }), None);
        assert_eq!(text("/srv/data", MountOptions { recursive: Some(Recursive::Disabled), ..plain() }), None);
    }
}
