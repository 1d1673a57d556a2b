//! Top-level keys and keys of shared resources: networks, volumes, secrets, configs, includes.

use super::section::Section;

pub(in crate::compose) const TOP: Section = Section {
    name: "compose file",
    known: &["configs", "include", "name", "version", "services", "networks", "secrets", "volumes", "x-deploy-apps"],
    warned: &[("jobs", "nothing is started by a schedule here; `docker compose` or cron runs a job")],
    refused: &[("models", "run the model as a service, and give its address with `environment`")],
};

const NO_STORE: &str = "a single engine has no store for it: its value is taken from this machine";
const NO_DRIVER: &str = "give the value with `file: ./path` or `environment: NAME`";

pub(in crate::compose) const SECRET: Section = Section {
    name: "secret",
    known: &["environment", "external", "file", "name"],
    warned: &[("labels", NO_STORE)],
    refused: &[("driver", NO_DRIVER), ("driver_opts", NO_DRIVER), ("template_driver", NO_DRIVER)],
};

pub(in crate::compose) const CONFIG: Section = Section {
    name: "config",
    known: &["content", "environment", "external", "file", "name"],
    warned: &[("labels", NO_STORE)],
    refused: &[("template_driver", NO_DRIVER)],
};

pub(in crate::compose) const NETWORK: Section = Section {
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

pub(in crate::compose) const IPAM: Section =
    Section { name: "ipam", known: &["config", "driver", "options"], warned: &[], refused: &[] };

pub(in crate::compose) const IPAM_CONFIG: Section = Section {
    name: "ipam.config",
    known: &["aux_addresses", "gateway", "ip_range", "subnet"],
    warned: &[],
    refused: &[],
};

pub(in crate::compose) const VOLUME: Section = Section {
    name: "volume",
    known: &["driver", "driver_opts", "external", "labels", "name"],
    warned: &[],
    refused: &[],
};

pub(in crate::compose) const INCLUDE: Section =
    Section { name: "include", known: &["env_file", "path", "project_directory"], warned: &[], refused: &[] };

pub(in crate::compose) const EXTENDS: Section =
    Section { name: "extends", known: &["file", "service"], warned: &[], refused: &[] };
