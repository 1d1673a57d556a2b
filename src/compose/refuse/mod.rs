//! Keys of the compose specification that deploy-apps does not support, each with an alternative.
//!
//! No key is ignored silently: it is read, warned about, refused by name, or unknown.

mod deployment;
mod own;
mod project;
mod section;
mod service;

pub(super) use deployment::{
    BUILD, DEPLOY, DEVICE_REQUEST, LIMITS, RESERVATIONS, RESOURCES, RESTART_POLICY, UPDATE_CONFIG,
};
pub(super) use own::{
    ACCESS, ACME, ACME_DNS, APP, BACKUP, BASIC_AUTH, CANARY, CANARY_GATE, CANARY_MATCH, CANARY_STEP, DRAIN, HEALTH,
    NOTIFY, PROJECT_BLOCK, PROXY, RATE_LIMIT, REDIRECT, RELEASE, RESPONSE_HEADERS, ROUTE, TIMEOUTS, TLS,
};
pub(super) use project::{CONFIG, EXTENDS, INCLUDE, IPAM, IPAM_CONFIG, NETWORK, SECRET, TOP, VOLUME};
pub(super) use section::Section;
pub(super) use service::{
    ATTACHMENT, BLKIO, BLKIO_DEVICE, DEPENDENCY, DEVICE, ENV_FILE, GRANT, HEALTHCHECK, HOOK, LOGGING, MOUNT,
    MOUNT_BIND, MOUNT_IMAGE, MOUNT_TMPFS, MOUNT_VOLUME, PORT, PRE_START, SERVICE, ULIMIT,
};
