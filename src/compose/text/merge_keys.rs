//! YAML's merge key: `<<: *defaults` adds the anchor's entries that the map does not have itself.

use std::collections::HashSet;

use super::node::{Entry, Node, Span, Value};
use crate::compose::error::{Problem, Read};

/// Adds the entries of `node` (a map or a list of maps) whose keys are missing; returns how many nodes were added.
///
/// Entries of the map itself take precedence over merged ones, and earlier maps of a list over later ones.
pub(super) fn into(entries: &mut Vec<Entry>, key: Span, node: Node) -> Read<usize> {
    match node.value {
        Value::Map(map) => {
            let present: HashSet<String> = entries.iter().map(|entry| entry.key.clone()).collect();
            let missing: Vec<Entry> = map.entries.into_iter().filter(|entry| !present.contains(&entry.key)).collect();
            let added = missing.iter().map(|entry| 1 + entry.value.size()).sum();
            entries.extend(missing);
            Ok(added)
        }
        Value::List(maps) if maps.iter().all(|map| matches!(map.value, Value::Map(_))) => {
            maps.into_iter().try_fold(0, |sum, map| Ok(sum + into(entries, key, map)?))
        }
        _ => {
            let message = format!("`<<` takes a map or a list of maps, not {}", node.describe());
            Err(Problem::at(key, message).hint("use an alias of a map: `<<: *defaults`"))
        }
    }
}
