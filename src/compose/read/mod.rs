//! Converts the merged tree to a project: one reader for each part.

pub(super) mod app_block;
pub(super) mod backup;
pub(super) mod build;
pub(super) mod cgroup_limits;
pub(super) mod container;
pub(super) mod depends;
pub(super) mod deploy;
pub(super) mod healthcheck;
pub(super) mod hooks;
pub(super) mod host_access;
pub(super) mod image;
pub(super) mod image_reference;
pub(super) mod mounts;
pub(super) mod networks;
pub(super) mod notify_block;
pub(super) mod ports;
pub(super) mod project;
pub(super) mod proxy_block;
pub(super) mod references;
pub(super) mod resources;
pub(super) mod routes;
pub(super) mod secrets;
pub(super) mod service;
pub(super) mod update;
pub(super) mod variables;
pub(super) mod version;
