//! Detects accessories in the tree, before services are read.

use super::node::{Entry, Node};

/// A service without an `x-deploy-apps` block, or with a block that only configures backups.
pub(in crate::compose) fn is_accessory(service: &Node) -> bool {
    let block = service.as_map().and_then(|service| service.get("x-deploy-apps"));
    block.is_none_or(|block| is_of_accessory(&block.value))
}

/// Whether a block has only keys of accessories.
pub(in crate::compose) fn is_of_accessory(block: &Node) -> bool {
    let is_own = |entry: &Entry| entry.key == "backup" || entry.key.starts_with("x-");
    block.as_map().is_some_and(|map| map.get("backup").is_some() && map.entries.iter().all(is_own))
}
