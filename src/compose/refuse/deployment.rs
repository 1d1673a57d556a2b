//! Keys of a service's `build` and `deploy`.

use super::section::Section;

/// The engine's build API, which is all that a remote engine offers, does not support the refused keys.
pub(in crate::compose) const BUILD: Section = Section {
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

pub(in crate::compose) const DEPLOY: Section = Section {
    name: "deploy",
    known: &["labels", "mode", "replicas", "resources", "restart_policy", "rollback_config", "update_config"],
    warned: &[("endpoint_mode", ONE_HOST), ("placement", ONE_HOST)],
    refused: &[],
};

const ONE_HOST: &str = "there is one host";

pub(in crate::compose) const RESTART_POLICY: Section = Section {
    name: "restart_policy",
    known: &["condition", "max_attempts"],
    warned: &[("delay", ENGINE_WAITS), ("window", ENGINE_WAITS)],
    refused: &[],
};

const ENGINE_WAITS: &str = "the engine waits 100 ms, and twice as long before each next attempt";

pub(in crate::compose) const UPDATE_CONFIG: Section = Section {
    name: "update_config",
    known: &["delay", "failure_action", "max_failure_ratio", "monitor", "order", "parallelism"],
    warned: &[],
    refused: &[],
};

pub(in crate::compose) const RESOURCES: Section =
    Section { name: "resources", known: &["limits", "reservations"], warned: &[], refused: &[] };

pub(in crate::compose) const LIMITS: Section =
    Section { name: "resources", known: &["cpus", "memory", "pids"], warned: &[], refused: &[] };

pub(in crate::compose) const RESERVATIONS: Section = Section {
    name: "resources",
    known: &["cpus", "devices", "memory"],
    warned: &[("generic_resources", ONE_HOST)],
    refused: &[("pids", "use `limits.pids`")],
};

pub(in crate::compose) const DEVICE_REQUEST: Section = Section {
    name: "devices",
    known: &["capabilities", "count", "device_ids", "driver", "options"],
    warned: &[],
    refused: &[],
};
