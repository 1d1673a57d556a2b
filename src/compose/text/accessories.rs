//! Which services are accessories, as the tree says before anything of it is read.

use super::node::{Entry, Node};

/// What has no block of ours is none of our apps; neither is what has one about backups alone.
pub(in crate::compose) fn is_accessory(service: &Node) -> bool {
    let block = service.as_map().and_then(|service| service.get("x-deploy-apps"));
    block.is_none_or(|block| is_of_accessory(&block.value))
}

/// Whether a block has what only an accessory has, and nothing else.
pub(in crate::compose) fn is_of_accessory(block: &Node) -> bool {
    let is_own = |entry: &Entry| entry.key == "backup" || entry.key.starts_with("x-");
    block.as_map().is_some_and(|map| map.get("backup").is_some() && map.entries.iter().all(is_own))
}
