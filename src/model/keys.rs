//! The keys of a container that few services set. Each is left out of the serialised form where it is not set, so that
//! a new key changes the identity of those releases only that use it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::label::Label;
use super::names::ProjectName;

/// Whether a field may be left out of the serialised form.
pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// What a container shares with its host or with another container, and what it may touch there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HostAccess {
    #[serde(skip_serializing_if = "is_default")]
    pub privileged: bool,
    /// The cgroup namespace: `host` or `private`.
    #[serde(skip_serializing_if = "is_default")]
    pub cgroup: Option<String>,
    #[serde(skip_serializing_if = "is_default")]
    pub cgroup_parent: Option<String>,
    /// These four in the engine's own form, such as `host` or `container:name`.
    #[serde(skip_serializing_if = "is_default")]
    pub ipc: Option<String>,
    #[serde(skip_serializing_if = "is_default")]
    pub pid: Option<String>,
    #[serde(skip_serializing_if = "is_default")]
    pub uts: Option<String>,
    #[serde(skip_serializing_if = "is_default")]
    pub userns: Option<String>,
    /// Instead of networks: `none`, `host`, `bridge` or `container:name`. Never set for an app.
    #[serde(skip_serializing_if = "is_default")]
    pub network: Option<String>,
    /// The OCI runtime, by its name on the engine.
    #[serde(skip_serializing_if = "is_default")]
    pub runtime: Option<String>,
    #[serde(skip_serializing_if = "is_default")]
    pub devices: Vec<Device>,
    #[serde(skip_serializing_if = "is_default")]
    pub device_cgroup_rules: Vec<String>,
    #[serde(skip_serializing_if = "is_default")]
    pub device_requests: Vec<DeviceRequest>,
    /// More groups of the user, by name or number.
    #[serde(skip_serializing_if = "is_default")]
    pub group_add: Vec<String>,
    /// The size of `/dev/shm` in bytes.
    #[serde(skip_serializing_if = "is_default")]
    pub shm_bytes: Option<i64>,
    #[serde(skip_serializing_if = "is_default")]
    pub storage_opt: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "is_default")]
    pub oom_kill_disable: bool,
    #[serde(skip_serializing_if = "is_default")]
    pub oom_score_adj: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    pub source: String,
    pub target: String,
    /// Of `r`, `w` and `m`.
    pub permissions: String,
}

/// Devices by what they can do, as for GPUs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRequest {
    pub driver: String,
    /// -1 is all of them; 0 when `ids` names them.
    pub count: i64,
    pub ids: Vec<String>,
    pub capabilities: Vec<String>,
    pub options: BTreeMap<String, String>,
}

/// How names are looked up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Dns {
    #[serde(skip_serializing_if = "is_default")]
    pub servers: Vec<String>,
    #[serde(skip_serializing_if = "is_default")]
    pub options: Vec<String>,
    #[serde(skip_serializing_if = "is_default")]
    pub search: Vec<String>,
    /// The container's own.
    #[serde(skip_serializing_if = "is_default")]
    pub domainname: Option<String>,
    /// `container:alias` each, known to this container alone.
    #[serde(skip_serializing_if = "is_default")]
    pub links: Vec<String>,
}

/// Shares of processors and of the disk; the usual limits stand in [`super::container::Resources`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Shares {
    #[serde(skip_serializing_if = "is_default")]
    pub cpu_shares: Option<i64>,
    /// These four in microseconds.
    #[serde(skip_serializing_if = "is_default")]
    pub cpu_period: Option<i64>,
    #[serde(skip_serializing_if = "is_default")]
    pub cpu_quota: Option<i64>,
    #[serde(skip_serializing_if = "is_default")]
    pub cpu_rt_period: Option<i64>,
    #[serde(skip_serializing_if = "is_default")]
    pub cpu_rt_runtime: Option<i64>,
    /// Such as `0-3` or `0,1`.
    #[serde(skip_serializing_if = "is_default")]
    pub cpuset: Option<String>,
    /// Memory and swap together in bytes; -1 is unlimited swap.
    #[serde(skip_serializing_if = "is_default")]
    pub memory_swap_bytes: Option<i64>,
    /// From 0 to 100.
    #[serde(skip_serializing_if = "is_default")]
    pub swappiness: Option<i64>,
    #[serde(skip_serializing_if = "is_default")]
    pub blkio_weight: Option<u16>,
    #[serde(skip_serializing_if = "is_default")]
    pub blkio_weight_device: Vec<DeviceRate>,
    #[serde(skip_serializing_if = "is_default")]
    pub read_bps: Vec<DeviceRate>,
    #[serde(skip_serializing_if = "is_default")]
    pub write_bps: Vec<DeviceRate>,
    #[serde(skip_serializing_if = "is_default")]
    pub read_iops: Vec<DeviceRate>,
    #[serde(skip_serializing_if = "is_default")]
    pub write_iops: Vec<DeviceRate>,
}

/// A weight, or bytes or operations a second, of one device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRate {
    pub path: String,
    pub rate: i64,
}

/// What a mount is asked for besides its source and its target.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MountOptions {
    /// Such as `rslave`.
    #[serde(skip_serializing_if = "is_default")]
    pub propagation: Option<String>,
    #[serde(skip_serializing_if = "is_default")]
    pub recursive: Option<Recursive>,
    /// `z` or `Z`.
    #[serde(skip_serializing_if = "is_default")]
    pub selinux: Option<String>,
    /// A missing folder of the host is an error instead of being made.
    #[serde(skip_serializing_if = "is_default")]
    pub must_exist: bool,
    /// A new volume stays empty instead of taking what the image has there.
    #[serde(skip_serializing_if = "is_default")]
    pub no_copy: bool,
    /// Inside of the volume or image.
    #[serde(skip_serializing_if = "is_default")]
    pub subpath: Option<String>,
    /// Of a volume that is made for this mount.
    #[serde(skip_serializing_if = "is_default")]
    pub labels: BTreeMap<String, String>,
}

/// What becomes of mounts below a bind mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recursive {
    Enabled,
    Disabled,
    Writable,
    Readonly,
}

/// A container's place in a network besides its names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EndpointOptions {
    #[serde(skip_serializing_if = "is_default")]
    pub ipv6_address: Option<String>,
    #[serde(skip_serializing_if = "is_default")]
    pub link_local_ips: Vec<String>,
    #[serde(skip_serializing_if = "is_default")]
    pub mac_address: Option<String>,
    #[serde(skip_serializing_if = "is_default")]
    pub driver_opts: BTreeMap<String, String>,
    /// The highest of a container's networks has its default route.
    #[serde(skip_serializing_if = "is_default")]
    pub gw_priority: Option<i64>,
    #[serde(skip_serializing_if = "is_default")]
    pub interface_name: Option<String>,
}

/// How a project's own network is made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NetworkSettings {
    /// No way out of it.
    pub internal: bool,
    /// `None` is `bridge`.
    #[serde(skip_serializing_if = "is_default")]
    pub driver: Option<String>,
    #[serde(skip_serializing_if = "is_default")]
    pub driver_opts: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "is_default")]
    pub attachable: bool,
    #[serde(skip_serializing_if = "is_default")]
    pub enable_ipv4: Option<bool>,
    #[serde(skip_serializing_if = "is_default")]
    pub enable_ipv6: Option<bool>,
    #[serde(skip_serializing_if = "is_default")]
    pub labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "is_default")]
    pub ipam_driver: Option<String>,
    #[serde(skip_serializing_if = "is_default")]
    pub ipam_options: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "is_default")]
    pub pools: Vec<NetworkPool>,
}

/// Addresses of a network, in the engine's own form.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkPool {
    pub subnet: Option<String>,
    pub ip_range: Option<String>,
    pub gateway: Option<String>,
    pub aux_addresses: BTreeMap<String, String>,
}

/// A volume to create.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NewVolume {
    /// On the engine, project prefix included.
    pub name: String,
    /// `None` is `local`.
    #[serde(skip_serializing_if = "is_default")]
    pub driver: Option<String>,
    #[serde(skip_serializing_if = "is_default")]
    pub driver_opts: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "is_default")]
    pub labels: BTreeMap<String, String>,
}

impl NewVolume {
    /// The same, marked as this project's: only what is marked is ever removed with a project.
    #[must_use]
    pub fn made_for(&self, project: &ProjectName) -> Self {
        let mut volume = self.clone();
        volume.labels.insert(Label::PROJECT.to_owned(), project.to_string());
        volume
    }

    /// The project that it is marked with.
    #[must_use]
    pub fn project(&self) -> Option<ProjectName> {
        self.labels.get(Label::PROJECT)?.parse().ok()
    }
}

impl From<&str> for NewVolume {
    fn from(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }
}
