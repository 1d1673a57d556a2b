//! Container keys that few services set. Unset keys are left out of the serialised form, so that adding a key here
//! changes only the identity of releases that use it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::label::Label;
use super::names::ProjectName;

/// Whether a field is left out of the serialised form.
pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Namespaces shared with the host or another container, and host resources.
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
    /// The following four as the engine expects them, such as `host` or `container:name`.
    #[serde(skip_serializing_if = "is_default")]
    pub ipc: Option<String>,
    #[serde(skip_serializing_if = "is_default")]
    pub pid: Option<String>,
    #[serde(skip_serializing_if = "is_default")]
    pub uts: Option<String>,
    #[serde(skip_serializing_if = "is_default")]
    pub userns: Option<String>,
    /// Replaces the networks: `none`, `host`, `bridge` or `container:name`. Never set for an app.
    #[serde(skip_serializing_if = "is_default")]
    pub network: Option<String>,
    /// The OCI runtime's name on the engine.
    #[serde(skip_serializing_if = "is_default")]
    pub runtime: Option<String>,
    #[serde(skip_serializing_if = "is_default")]
    pub devices: Vec<Device>,
    #[serde(skip_serializing_if = "is_default")]
    pub device_cgroup_rules: Vec<String>,
    #[serde(skip_serializing_if = "is_default")]
    pub device_requests: Vec<DeviceRequest>,
    /// Additional groups of the user, by name or number.
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
    /// A combination of `r`, `w` and `m`.
    pub permissions: String,
}

/// Devices requested by capability, such as GPUs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRequest {
    pub driver: String,
    /// -1: all; 0: the devices in `ids`.
    pub count: i64,
    pub ids: Vec<String>,
    pub capabilities: Vec<String>,
    pub options: BTreeMap<String, String>,
}

/// Name resolution.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Dns {
    #[serde(skip_serializing_if = "is_default")]
    pub servers: Vec<String>,
    #[serde(skip_serializing_if = "is_default")]
    pub options: Vec<String>,
    #[serde(skip_serializing_if = "is_default")]
    pub search: Vec<String>,
    /// The container's domain name.
    #[serde(skip_serializing_if = "is_default")]
    pub domainname: Option<String>,
    /// `container:alias` entries, resolved in this container only.
    #[serde(skip_serializing_if = "is_default")]
    pub links: Vec<String>,
}

/// CPU and disk shares; the common limits are in [`super::container::Resources`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Shares {
    #[serde(skip_serializing_if = "is_default")]
    pub cpu_shares: Option<i64>,
    /// The following four in microseconds.
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
    /// Memory and swap in bytes; -1: unlimited swap.
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

/// A weight or rate (bytes or operations per second) for one device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRate {
    pub path: String,
    pub rate: i64,
}

/// Options of a mount.
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
    /// A missing host folder is an error; otherwise it is created.
    #[serde(skip_serializing_if = "is_default")]
    pub must_exist: bool,
    /// A new volume stays empty; otherwise the image's files are copied into it.
    #[serde(skip_serializing_if = "is_default")]
    pub no_copy: bool,
    /// A path in the volume or image.
    #[serde(skip_serializing_if = "is_default")]
    pub subpath: Option<String>,
    /// Labels of a volume created for this mount.
    #[serde(skip_serializing_if = "is_default")]
    pub labels: BTreeMap<String, String>,
}

/// How mounts below a bind mount are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recursive {
    Enabled,
    Disabled,
    Writable,
    Readonly,
}

/// Settings of a container's endpoint in a network, without its aliases.
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
    /// The network with the highest priority is the default gateway.
    #[serde(skip_serializing_if = "is_default")]
    pub gw_priority: Option<i64>,
    #[serde(skip_serializing_if = "is_default")]
    pub interface_name: Option<String>,
}

/// Settings of a network that the project creates.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NetworkSettings {
    /// Without access to the outside.
    pub internal: bool,
    /// `None`: `bridge`.
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

/// An address pool of a network, as the engine expects it.
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
    /// The name on the engine, including the project prefix.
    pub name: String,
    /// `None`: `local`.
    #[serde(skip_serializing_if = "is_default")]
    pub driver: Option<String>,
    #[serde(skip_serializing_if = "is_default")]
    pub driver_opts: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "is_default")]
    pub labels: BTreeMap<String, String>,
}

impl NewVolume {
    /// Labels the volume with its project. Only labelled volumes are removed with a project.
    #[must_use]
    pub fn made_for(&self, project: &ProjectName) -> Self {
        let mut volume = self.clone();
        volume.labels.insert(Label::PROJECT.to_owned(), project.to_string());
        volume
    }

    /// The project in its labels.
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
