//! What the compose specification knows and deploy-apps does not honour, and what to do instead.
//!
//! Nothing is ignored silently: a key is read, warned about or refused here by name, or unknown.

use super::context::Context;
use super::error::Problem;
use super::node::{Entry, Value, clip};
use super::suggest::nearest;

/// The keys of one section of the file.
pub(super) struct Section {
    /// For messages, such as `service`.
    pub name: &'static str,
    /// Read by us.
    pub known: &'static [&'static str],
    /// Of the specification, without effect here and harmless, with why that is so.
    pub warned: &'static [(&'static str, &'static str)],
    /// Of the specification, with what to do instead.
    pub refused: &'static [(&'static str, &'static str)],
}

const LATER: &str = "remove it; it is planned for a later version";
const REMOVE: &str = "remove it";
const SWARM: &str = "remove it; it is for a cluster of hosts";
const RUN_LATER: &str = "remove it; for work before the flip use `x-deploy-apps.release`";

pub(super) const TOP: Section = Section {
    name: "compose file",
    known: &["include", "name", "version", "services", "networks", "volumes", "x-deploy-apps"],
    warned: &[],
    refused: &[
        ("configs", "mount a file with `volumes`, or build it into the image"),
        ("models", LATER),
        ("secrets", "mount a file with `volumes`, read-only"),
    ],
};

pub(super) const SERVICE: Section = Section {
    name: "service",
    known: &[
        "build",
        "cap_add",
        "cap_drop",
        "command",
        "cpus",
        "depends_on",
        "deploy",
        "entrypoint",
        "env_file",
        "environment",
        "expose",
        "extends",
        "extra_hosts",
        "healthcheck",
        "hostname",
        "image",
        "init",
        "labels",
        "logging",
        "mem_limit",
        "mem_reservation",
        "networks",
        "pids_limit",
        "ports",
        "profiles",
        "pull_policy",
        "read_only",
        "restart",
        "scale",
        "security_opt",
        "stop_grace_period",
        "stop_signal",
        "sysctls",
        "tmpfs",
        "ulimits",
        "user",
        "volumes",
        "working_dir",
        "x-deploy-apps",
    ],
    warned: &[("attach", "logs are read with `deploy-apps logs`"), ("develop", "it is for `docker compose watch`")],
    refused: &[
        ("annotations", "use `labels`"),
        ("blkio_config", LATER),
        ("cgroup", LATER),
        ("cgroup_parent", LATER),
        ("configs", "mount a file with `volumes`, or build it into the image"),
        (
            "container_name",
            "remove it: old and new replicas run beside each other and need names of their own; reach the service by its name",
        ),
        ("cpu_count", "use `cpus`"),
        ("cpu_percent", "use `cpus`"),
        ("cpu_period", "use `cpus`"),
        ("cpu_quota", "use `cpus`"),
        ("cpu_rt_period", LATER),
        ("cpu_rt_runtime", LATER),
        ("cpu_shares", "use `cpus`"),
        ("cpuset", "use `cpus`"),
        ("credential_spec", LATER),
        ("device_cgroup_rules", LATER),
        ("devices", LATER),
        ("dns", LATER),
        ("dns_opt", LATER),
        ("dns_search", LATER),
        ("domainname", "use `hostname`"),
        ("external_links", "use `networks` with `external: true`; services of a network reach each other by name"),
        ("gpus", LATER),
        ("group_add", LATER),
        ("ipc", LATER),
        ("isolation", LATER),
        ("label_file", "use `labels`"),
        ("links", "remove it; services of a network reach each other by name"),
        ("mac_address", LATER),
        ("mem_swappiness", LATER),
        ("memswap_limit", LATER),
        ("models", LATER),
        ("net", "use `networks`"),
        ("network_mode", "use `networks`; the proxy reaches each replica over a network of its own"),
        ("oom_kill_disable", LATER),
        ("oom_score_adj", LATER),
        ("pid", LATER),
        ("platform", "remove it; images are built and run for the engine's own platform"),
        ("post_start", RUN_LATER),
        ("pre_start", RUN_LATER),
        ("pre_stop", "remove it; a replica is drained before its `stop_signal`"),
        ("privileged", "use `cap_add` for what is really needed"),
        ("provider", LATER),
        ("runtime", LATER),
        ("secrets", "mount a file with `volumes`, read-only"),
        ("shm_size", "use `tmpfs: /dev/shm:size=…`"),
        ("stdin_open", REMOVE),
        ("storage_opt", LATER),
        ("tty", REMOVE),
        ("use_api_socket", LATER),
        ("userns_mode", LATER),
        ("uts", LATER),
        ("volume_driver", "use a volume that exists, with `external: true`"),
        ("volumes_from", "name the volume in each service that uses it"),
    ],
};

pub(super) const BUILD: Section = Section {
    name: "build",
    known: &[
        "args",
        "context",
        "dockerfile",
        "dockerfile_inline",
        "extra_hosts",
        "labels",
        "network",
        "no_cache",
        "pull",
        "target",
    ],
    warned: &[],
    refused: &[
        ("additional_contexts", LATER),
        ("cache_from", REMOVE),
        ("cache_to", REMOVE),
        ("entitlements", LATER),
        ("isolation", LATER),
        ("no_cache_filter", "use `no_cache`"),
        ("platforms", "remove it; images are built for the engine's own platform"),
        ("privileged", LATER),
        ("provenance", LATER),
        ("sbom", LATER),
        ("secrets", LATER),
        ("shm_size", LATER),
        ("ssh", LATER),
        ("tags", "remove it; each release has a tag of its own"),
        ("ulimits", LATER),
    ],
};

pub(super) const DEPLOY: Section = Section {
    name: "deploy",
    known: &["labels", "mode", "replicas", "resources", "update_config"],
    warned: &[],
    refused: &[
        ("endpoint_mode", SWARM),
        ("placement", SWARM),
        ("restart_policy", "use `restart` of the service, such as `restart: unless-stopped`"),
        ("rollback_config", "remove it; a rollback is rolled as `update_config` says"),
    ],
};

pub(super) const UPDATE_CONFIG: Section = Section {
    name: "update_config",
    known: &["delay", "failure_action", "max_failure_ratio", "monitor", "order", "parallelism"],
    warned: &[],
    refused: &[],
};

pub(super) const RESOURCES: Section =
    Section { name: "resources", known: &["limits", "reservations"], warned: &[], refused: &[] };

pub(super) const LIMITS: Section = Section {
    name: "resources",
    known: &["cpus", "memory", "pids"],
    warned: &[],
    refused: &[("devices", LATER), ("generic_resources", SWARM)],
};

pub(super) const HEALTHCHECK: Section = Section {
    name: "healthcheck",
    known: &["disable", "interval", "retries", "start_interval", "start_period", "test", "timeout"],
    warned: &[],
    refused: &[],
};

pub(super) const LOGGING: Section =
    Section { name: "logging", known: &["driver", "options"], warned: &[], refused: &[] };

pub(super) const ENV_FILE: Section =
    Section { name: "env_file", known: &["format", "path", "required"], warned: &[], refused: &[] };

pub(super) const DEPENDENCY: Section =
    Section { name: "depends_on", known: &["condition", "required", "restart"], warned: &[], refused: &[] };

pub(super) const ATTACHMENT: Section = Section {
    name: "networks",
    known: &["aliases"],
    warned: &[],
    refused: &[
        ("driver_opts", LATER),
        ("gw_priority", LATER),
        ("interface_name", LATER),
        ("ipv4_address", "remove it and reach the service by its name"),
        ("ipv6_address", "remove it and reach the service by its name"),
        ("link_local_ips", LATER),
        ("mac_address", LATER),
        ("priority", REMOVE),
    ],
};

pub(super) const NETWORK: Section = Section {
    name: "network",
    known: &[
        "attachable",
        "driver",
        "driver_opts",
        "enable_ipv4",
        "enable_ipv6",
        "external",
        "internal",
        "ipam",
        "labels",
        "name",
    ],
    warned: &[],
    refused: &[],
};

pub(super) const IPAM: Section =
    Section { name: "ipam", known: &["config", "driver", "options"], warned: &[], refused: &[] };

pub(super) const IPAM_CONFIG: Section = Section {
    name: "ipam.config",
    known: &["aux_addresses", "gateway", "ip_range", "subnet"],
    warned: &[],
    refused: &[],
};

pub(super) const VOLUME: Section = Section {
    name: "volume",
    known: &["driver", "driver_opts", "external", "labels", "name"],
    warned: &[],
    refused: &[],
};

pub(super) const MOUNT: Section = Section {
    name: "volumes",
    known: &["bind", "consistency", "read_only", "source", "target", "tmpfs", "type", "volume"],
    warned: &[],
    refused: &[("image", LATER)],
};

pub(super) const MOUNT_BIND: Section = Section {
    name: "bind",
    known: &["create_host_path"],
    warned: &[],
    refused: &[("propagation", LATER), ("recursive", LATER), ("selinux", LATER)],
};

pub(super) const MOUNT_VOLUME: Section = Section {
    name: "volume",
    known: &[],
    warned: &[],
    refused: &[("labels", REMOVE), ("nocopy", LATER), ("subpath", LATER)],
};

pub(super) const MOUNT_TMPFS: Section = Section { name: "tmpfs", known: &["mode", "size"], warned: &[], refused: &[] };

pub(super) const PORT: Section = Section {
    name: "ports",
    known: &["app_protocol", "host_ip", "mode", "name", "protocol", "published", "target"],
    warned: &[],
    refused: &[],
};

pub(super) const ULIMIT: Section = Section { name: "ulimits", known: &["hard", "soft"], warned: &[], refused: &[] };

pub(super) const INCLUDE: Section =
    Section { name: "include", known: &["env_file", "path", "project_directory"], warned: &[], refused: &[] };

pub(super) const EXTENDS: Section = Section { name: "extends", known: &["file", "service"], warned: &[], refused: &[] };

pub(super) const PROJECT_BLOCK: Section =
    Section { name: "x-deploy-apps", known: &["notify", "proxy"], warned: &[], refused: &[] };

pub(super) const NOTIFY: Section =
    Section { name: "notify", known: &["format", "headers", "on", "timeout", "url"], warned: &[], refused: &[] };

pub(super) const PROXY: Section =
    Section { name: "proxy", known: &["base_image", "bind", "http_port", "name", "subnet"], warned: &[], refused: &[] };

pub(super) const APP: Section = Section {
    name: "x-deploy-apps",
    known: &["balance", "drain", "health", "port", "release", "routes", "version"],
    warned: &[],
    refused: &[],
};

pub(super) const ROUTE: Section =
    Section { name: "routes", known: &["host", "path", "strip"], warned: &[], refused: &[] };

pub(super) const HEALTH: Section = Section {
    name: "health",
    known: &["interval", "path", "probe_timeout", "successes", "timeout"],
    warned: &[],
    refused: &[],
};

pub(super) const DRAIN: Section =
    Section { name: "drain", known: &["timeout", "websocket_timeout"], warned: &[], refused: &[] };

pub(super) const RELEASE: Section =
    Section { name: "release", known: &["command", "timeout"], warned: &[], refused: &[] };

impl Section {
    /// What a key that no reader took comes to: a warning, a refusal, or nothing for extensions (`x-…`).
    pub fn judge(&self, cx: &mut Context<'_>, entry: &Entry) {
        match self.warned.iter().find(|(warned, _)| *warned == entry.key) {
            Some((key, reason)) => {
                cx.warn(Problem::at(entry.key_span, format!("`{key}` has no effect: {reason}")));
            }
            None => {
                if let Some(problem) = self.refusal(entry) {
                    cx.refuse(problem);
                }
            }
        }
    }

    /// The problem with a key that no reader took; `None` for extensions (`x-…`), which mean nothing to anyone.
    pub fn refusal(&self, entry: &Entry) -> Option<Problem> {
        let key = entry.key.as_str();
        if let Some((_, instead)) = self.refused.iter().find(|(refused, _)| *refused == key) {
            // Switched off is the same as not there.
            let off = matches!(&entry.value.value, Value::Scalar(text) if text == "false");
            return (!off).then(|| {
                Problem::at(entry.key_span, format!("`{key}` is not supported")).hint(*instead).unsupported()
            });
        }
        let near = nearest(key, self.known.iter().copied());
        // A mistyped block of our own would make an app an accessory, silently.
        if key.starts_with("x-") && near != Some("x-deploy-apps") {
            return None;
        }
        let problem = Problem::at(entry.key_span, format!("unknown key `{}` in `{}`", clip(key), self.name));
        Some(match near {
            Some(near) => problem.hint(format!("did you mean `{near}`?")),
            None if self.known.is_empty() => problem.hint("remove it"),
            None => problem.hint("remove it, or start its name with `x-` if it is yours"),
        })
    }
}
