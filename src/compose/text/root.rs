//! The root of a compose file, which must be a map with services.

use super::node::{Map, Node, Value};
use crate::compose::error::{Problem, Read};

/// The hint for a file without services.
pub(in crate::compose) const NEEDS_SERVICES: &str = "it needs `services:` with at least one service in it";

/// The root's entries, or the problem.
pub(in crate::compose) fn entries(node: &Node) -> Read<&Map> {
    match &node.value {
        Value::Map(map) => Ok(map),
        Value::Null => Err(Problem::at(node.span, "the file is empty").hint(NEEDS_SERVICES)),
        _ => {
            let message = format!("a compose file must be a map, not {}", node.describe());
            Err(Problem::at(node.span, message).hint(NEEDS_SERVICES))
        }
    }
}
