//! Keys of a service and of its parts.

use super::section::Section;

pub(in crate::compose) const SERVICE: Section = Section {
    name: "service",
    known: &[
        "annotations",
        "blkio_config",
        "build",
        "cap_add",
        "cap_drop",
        "cgroup",
        "cgroup_parent",
        "command",
        "configs",
        "container_name",
        "cpu_period",
        "cpu_quota",
        "cpu_rt_period",
        "cpu_rt_runtime",
        "cpu_shares",
        "cpus",
        "cpuset",
        "depends_on",
        "deploy",
        "device_cgroup_rules",
        "devices",
        "dns",
        "dns_opt",
        "dns_search",
        "domainname",
        "entrypoint",
        "env_file",
        "environment",
        "expose",
        "extends",
        "external_links",
        "extra_hosts",
        "gpus",
        "group_add",
        "healthcheck",
        "hostname",
        "image",
        "init",
        "ipc",
        "isolation",
        "label_file",
        "labels",
        "links",
        "logging",
        "mac_address",
        "mem_limit",
        "mem_reservation",
        "mem_swappiness",
        "memswap_limit",
        "network_mode",
        "networks",
        "oom_kill_disable",
        "oom_score_adj",
        "pid",
        "pids_limit",
        "platform",
        "ports",
        "post_start",
        "pre_start",
        "pre_stop",
        "privileged",
        "profiles",
        "pull_policy",
        "read_only",
        "restart",
        "runtime",
        "scale",
        "secrets",
        "security_opt",
        "shm_size",
        "stdin_open",
        "stop_grace_period",
        "stop_signal",
        "storage_opt",
        "sysctls",
        "tmpfs",
        "tty",
        "ulimits",
        "user",
        "userns_mode",
        "uts",
        "volumes",
        "volumes_from",
        "working_dir",
        "x-deploy-apps",
    ],
    warned: &[
        ("attach", "logs are read with `deploy-apps logs`"),
        ("cpu_count", "it is for Windows containers"),
        ("cpu_percent", "it is for Windows containers"),
        ("develop", "it is for `docker compose watch`"),
        ("pull_refresh_after", "the registry is asked at each deploy"),
    ],
    refused: &[
        ("credential_spec", "remove it; it is for Windows containers"),
        ("models", "run the model as a service, and give its address with `environment`"),
        ("net", "use `networks`, or `network_mode`"),
        ("provider", "set up what it provides by its own tool, and give its address with `environment`"),
        (
            "use_api_socket",
            "mount the engine's socket, if it must be: `volumes: [\"/var/run/docker.sock:/var/run/docker.sock\"]`",
        ),
        ("volume_driver", "set the `driver` of the volume in the top-level `volumes`"),
    ],
};

pub(in crate::compose) const DEVICE: Section =
    Section { name: "devices", known: &["permissions", "source", "target"], warned: &[], refused: &[] };

pub(in crate::compose) const BLKIO: Section = Section {
    name: "blkio_config",
    known: &["device_read_bps", "device_read_iops", "device_write_bps", "device_write_iops", "weight", "weight_device"],
    warned: &[],
    refused: &[],
};

pub(in crate::compose) const BLKIO_DEVICE: Section =
    Section { name: "blkio_config", known: &["path", "rate", "weight"], warned: &[], refused: &[] };

pub(in crate::compose) const HOOK: Section = Section {
    name: "hook",
    known: &["command", "environment", "privileged", "user", "working_dir", "x-timeout"],
    warned: &[],
    refused: &[],
};

pub(in crate::compose) const PRE_START: Section = Section {
    name: "pre_start",
    known: &[
        "command",
        "env_file",
        "environment",
        "image",
        "networks",
        "per_replica",
        "privileged",
        "user",
        "working_dir",
        "x-timeout",
    ],
    warned: &[],
    refused: &[
        ("annotations", OF_THE_SERVICE),
        ("blkio_config", OF_THE_SERVICE),
        ("cap_add", OF_THE_SERVICE),
        ("cap_drop", OF_THE_SERVICE),
        ("cgroup", OF_THE_SERVICE),
        ("cgroup_parent", OF_THE_SERVICE),
        ("configs", OF_THE_SERVICE),
        ("cpu_count", OF_THE_SERVICE),
        ("cpu_percent", OF_THE_SERVICE),
        ("cpu_period", OF_THE_SERVICE),
        ("cpu_quota", OF_THE_SERVICE),
        ("cpu_rt_period", OF_THE_SERVICE),
        ("cpu_rt_runtime", OF_THE_SERVICE),
        ("cpu_shares", OF_THE_SERVICE),
        ("cpus", OF_THE_SERVICE),
        ("cpuset", OF_THE_SERVICE),
        ("credential_spec", OF_THE_SERVICE),
        ("device_cgroup_rules", OF_THE_SERVICE),
        ("devices", OF_THE_SERVICE),
        ("dns", OF_THE_SERVICE),
        ("dns_opt", OF_THE_SERVICE),
        ("dns_search", OF_THE_SERVICE),
        ("domainname", OF_THE_SERVICE),
        ("entrypoint", OF_THE_SERVICE),
        ("extra_hosts", OF_THE_SERVICE),
        ("gpus", OF_THE_SERVICE),
        ("group_add", OF_THE_SERVICE),
        ("hostname", OF_THE_SERVICE),
        ("init", OF_THE_SERVICE),
        ("ipc", OF_THE_SERVICE),
        ("isolation", OF_THE_SERVICE),
        ("label_file", OF_THE_SERVICE),
        ("labels", OF_THE_SERVICE),
        ("logging", OF_THE_SERVICE),
        ("mac_address", OF_THE_SERVICE),
        ("mem_limit", OF_THE_SERVICE),
        ("mem_reservation", OF_THE_SERVICE),
        ("mem_swappiness", OF_THE_SERVICE),
        ("memswap_limit", OF_THE_SERVICE),
        ("models", OF_THE_SERVICE),
        ("network_mode", OF_THE_SERVICE),
        ("oom_kill_disable", OF_THE_SERVICE),
        ("oom_score_adj", OF_THE_SERVICE),
        ("pid", OF_THE_SERVICE),
        ("pids_limit", OF_THE_SERVICE),
        ("platform", OF_THE_SERVICE),
        ("pull_policy", OF_THE_SERVICE),
        ("pull_refresh_after", OF_THE_SERVICE),
        ("read_only", OF_THE_SERVICE),
        ("runtime", OF_THE_SERVICE),
        ("secrets", OF_THE_SERVICE),
        ("security_opt", OF_THE_SERVICE),
        ("shm_size", OF_THE_SERVICE),
        ("stop_grace_period", OF_THE_SERVICE),
        ("stop_signal", OF_THE_SERVICE),
        ("storage_opt", OF_THE_SERVICE),
        ("sysctls", OF_THE_SERVICE),
        ("tmpfs", OF_THE_SERVICE),
        ("ulimits", OF_THE_SERVICE),
        ("use_api_socket", OF_THE_SERVICE),
        ("userns_mode", OF_THE_SERVICE),
        ("uts", OF_THE_SERVICE),
        ("volumes", OF_THE_SERVICE),
        ("volumes_from", OF_THE_SERVICE),
    ],
};

const OF_THE_SERVICE: &str = "set it for the service, of which the step has everything else";

/// Keys in `secrets` and `configs` of a service.
pub(in crate::compose) const GRANT: Section =
    Section { name: "secrets", known: &["gid", "mode", "source", "target", "uid"], warned: &[], refused: &[] };

pub(in crate::compose) const HEALTHCHECK: Section = Section {
    name: "healthcheck",
    known: &["disable", "interval", "retries", "start_interval", "start_period", "test", "timeout"],
    warned: &[],
    refused: &[],
};

pub(in crate::compose) const LOGGING: Section =
    Section { name: "logging", known: &["driver", "options"], warned: &[], refused: &[] };

pub(in crate::compose) const ENV_FILE: Section =
    Section { name: "env_file", known: &["format", "path", "required"], warned: &[], refused: &[] };

pub(in crate::compose) const DEPENDENCY: Section =
    Section { name: "depends_on", known: &["condition", "required", "restart"], warned: &[], refused: &[] };

pub(in crate::compose) const ATTACHMENT: Section = Section {
    name: "networks",
    known: &[
        "aliases",
        "driver_opts",
        "gw_priority",
        "interface_name",
        "ipv4_address",
        "ipv6_address",
        "link_local_ips",
        "mac_address",
        "priority",
    ],
    warned: &[],
    refused: &[],
};

pub(in crate::compose) const MOUNT: Section = Section {
    name: "volumes",
    known: &["bind", "consistency", "image", "read_only", "source", "target", "tmpfs", "type", "volume"],
    warned: &[],
    refused: &[],
};

pub(in crate::compose) const MOUNT_BIND: Section = Section {
    name: "bind",
    known: &["create_host_path", "propagation", "recursive", "selinux"],
    warned: &[],
    refused: &[],
};

pub(in crate::compose) const MOUNT_VOLUME: Section =
    Section { name: "volume", known: &["labels", "nocopy", "subpath"], warned: &[], refused: &[] };

pub(in crate::compose) const MOUNT_IMAGE: Section =
    Section { name: "image", known: &["subpath"], warned: &[], refused: &[] };

pub(in crate::compose) const MOUNT_TMPFS: Section =
    Section { name: "tmpfs", known: &["mode", "size"], warned: &[], refused: &[] };

pub(in crate::compose) const PORT: Section = Section {
    name: "ports",
    known: &["app_protocol", "host_ip", "mode", "name", "protocol", "published", "target"],
    warned: &[],
    refused: &[],
};

pub(in crate::compose) const ULIMIT: Section =
    Section { name: "ulimits", known: &["hard", "soft"], warned: &[], refused: &[] };
