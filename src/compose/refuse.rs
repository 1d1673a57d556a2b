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

pub(super) const TOP: Section = Section {
    name: "compose file",
    known: &["configs", "include", "name", "version", "services", "networks", "secrets", "volumes", "x-deploy-apps"],
    warned: &[],
    refused: &[("models", "run the model as a service, and give its address with `environment`")],
};

pub(super) const SERVICE: Section = Section {
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

/// The engine's own build call, which is all that a remote engine offers, has no place for what is refused here.
pub(super) const BUILD: Section = Section {
    name: "build",
    known: &[
        "args",
        "cache_from",
        "context",
        "dockerfile",
        "dockerfile_inline",
        "extra_hosts",
        "isolation",
        "labels",
        "network",
        "no_cache",
        "platforms",
        "pull",
        "shm_size",
        "tags",
        "target",
        "ulimits",
    ],
    warned: &[
        ("cache_to", "the engine keeps its own cache"),
        ("provenance", "the engine's own builder makes none"),
        ("sbom", "the engine's own builder makes none"),
    ],
    refused: &[
        (
            "additional_contexts",
            "put what is needed below `context`, or take it from an image: `COPY --from=image:tag` in the Dockerfile",
        ),
        ("entitlements", "remove it; a build on the engine has the rights of a container"),
        ("no_cache_filter", "use `no_cache`"),
        ("privileged", "remove it; a build on the engine has the rights of a container"),
        ("secrets", BUILT_BEFORE),
        ("ssh", BUILT_BEFORE),
    ],
};

const BUILT_BEFORE: &str = "build with `docker buildx build`, and name the result with `image` instead of `build`; \
     for secrets at run time use `secrets` of the service";

pub(super) const DEPLOY: Section = Section {
    name: "deploy",
    known: &["labels", "mode", "replicas", "resources", "restart_policy", "rollback_config", "update_config"],
    warned: &[("endpoint_mode", ONE_HOST), ("placement", ONE_HOST)],
    refused: &[],
};

const ONE_HOST: &str = "there is one host";

pub(super) const RESTART_POLICY: Section = Section {
    name: "restart_policy",
    known: &["condition", "max_attempts"],
    warned: &[("delay", ENGINE_WAITS), ("window", ENGINE_WAITS)],
    refused: &[],
};

const ENGINE_WAITS: &str = "the engine waits 100 ms, and twice as long before each next attempt";

pub(super) const UPDATE_CONFIG: Section = Section {
    name: "update_config",
    known: &["delay", "failure_action", "max_failure_ratio", "monitor", "order", "parallelism"],
    warned: &[],
    refused: &[],
};

pub(super) const RESOURCES: Section =
    Section { name: "resources", known: &["limits", "reservations"], warned: &[], refused: &[] };

pub(super) const LIMITS: Section =
    Section { name: "resources", known: &["cpus", "memory", "pids"], warned: &[], refused: &[] };

pub(super) const RESERVATIONS: Section = Section {
    name: "resources",
    known: &["cpus", "devices", "memory"],
    warned: &[("generic_resources", ONE_HOST)],
    refused: &[("pids", "use `limits.pids`")],
};

pub(super) const DEVICE_REQUEST: Section = Section {
    name: "devices",
    known: &["capabilities", "count", "device_ids", "driver", "options"],
    warned: &[],
    refused: &[],
};

pub(super) const DEVICE: Section =
    Section { name: "devices", known: &["permissions", "source", "target"], warned: &[], refused: &[] };

pub(super) const BLKIO: Section = Section {
    name: "blkio_config",
    known: &["device_read_bps", "device_read_iops", "device_write_bps", "device_write_iops", "weight", "weight_device"],
    warned: &[],
    refused: &[],
};

pub(super) const BLKIO_DEVICE: Section =
    Section { name: "blkio_config", known: &["path", "rate", "weight"], warned: &[], refused: &[] };

pub(super) const HOOK: Section = Section {
    name: "hook",
    known: &["command", "environment", "privileged", "user", "working_dir", "x-timeout"],
    warned: &[],
    refused: &[],
};

pub(super) const PRE_START: Section = Section {
    name: "pre_start",
    known: &["command", "environment", "image", "per_replica", "privileged", "user", "working_dir", "x-timeout"],
    warned: &[],
    refused: &[],
};

const NO_STORE: &str = "a single engine has no store for it: its value is taken from this machine";
const NO_DRIVER: &str = "give the value with `file: ./path` or `environment: NAME`";

pub(super) const SECRET: Section = Section {
    name: "secret",
    known: &["environment", "external", "file", "name"],
    warned: &[("labels", NO_STORE)],
    refused: &[("driver", NO_DRIVER), ("driver_opts", NO_DRIVER), ("template_driver", NO_DRIVER)],
};

pub(super) const CONFIG: Section = Section {
    name: "config",
    known: &["content", "environment", "external", "file", "name"],
    warned: &[("labels", NO_STORE)],
    refused: &[("template_driver", NO_DRIVER)],
};

/// Of `secrets` and `configs` of a service.
pub(super) const GRANT: Section =
    Section { name: "secrets", known: &["gid", "mode", "source", "target", "uid"], warned: &[], refused: &[] };

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
    known: &["bind", "consistency", "image", "read_only", "source", "target", "tmpfs", "type", "volume"],
    warned: &[],
    refused: &[],
};

pub(super) const MOUNT_BIND: Section = Section {
    name: "bind",
    known: &["create_host_path", "propagation", "recursive", "selinux"],
    warned: &[],
    refused: &[],
};

pub(super) const MOUNT_VOLUME: Section =
    Section { name: "volume", known: &["labels", "nocopy", "subpath"], warned: &[], refused: &[] };

pub(super) const MOUNT_IMAGE: Section = Section { name: "image", known: &["subpath"], warned: &[], refused: &[] };

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
    known: &["balance", "drain", "health", "metrics", "port", "release", "routes", "version"],
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
