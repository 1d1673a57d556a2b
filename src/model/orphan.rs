//! Services that are deployed but no longer in the compose file.

use std::fmt;

use serde::Serialize;

use super::names::AppName;

/// A service that exists on the host but not in the compose file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Orphan {
    pub service: AppName,
    pub kind: OrphanKind,
    /// Its containers, sorted; empty for an app that is scaled to zero.
    pub containers: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OrphanKind {
    App,
    /// An accessory, or a one-shot service.
    Accessory,
}

impl Orphan {
    /// The command that removes it.
    #[must_use]
    pub fn remedy(&self) -> String {
        format!("`deploy-apps remove {}` removes it", self.service)
    }
}

impl fmt::Display for Orphan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            OrphanKind::App => "app",
            OrphanKind::Accessory => "accessory",
        };
        write!(f, "orphan: {kind} `{}` is not in the compose file", self.service)?;
        match self.containers.as_slice() {
            [] => f.write_str(" and is still routed"),
            [one] => write!(f, " and `{one}` is still there"),
            several => write!(f, " and {} containers of it are still there", several.len()),
        }
    }
}
