//! What the proxy stores of each release, so that it can run again without source, registry or compose file.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::container::ContainerSpec;
use super::names::ReleaseNumber;
use super::policy::{DrainPolicy, HealthPolicy, RolloutPolicy};
use super::project::ReleaseCommand;
use super::settings::Settings;

/// One release as planned. Its environment may contain secrets: neither commands nor `Debug` show it.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredRelease {
    #[serde(rename = "release")]
    pub number: ReleaseNumber,
    /// The version with the build number, such as `1.4.0+8`.
    pub version: String,
    /// The identity in the labels of its containers; see [`super::release::identity`].
    pub identity: String,
    /// The image part of the identity: the digest of its source, or its id when it was not built here.
    pub image: String,
    /// `None` for a worker.
    pub port: Option<u16>,
    pub health: HealthPolicy,
    /// The app's spec, without settings of single replicas.
    pub container: ContainerSpec,
    /// The release command. A rollback runs it only on request.
    #[serde(default, rename = "release_command")]
    pub release: Option<ReleaseCommand>,
    /// The digests of its bind-mounted files, by path.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub mounted: BTreeMap<String, String>,
    /// The rollout policy, for commands that run without the compose file. `None`: stored by an older build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<StoredPolicy>,
    /// How the proxy treated its requests when it served last. `None`: stored by an older build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<Settings>,
    /// When it was stored, in milliseconds since 1970, by the proxy's clock.
    #[serde(default, skip_serializing)]
    pub at: u64,
    /// User and machine that stored it. Set by the run, not by the plan.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub owner: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub host: String,
}

/// Settings of the compose file that are not part of a release, at the time it was stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredPolicy {
    /// The number in the file; `None`: not set.
    pub replicas: Option<u32>,
    pub drain: DrainPolicy,
    pub rollout: RolloutPolicy,
    pub rollback: RolloutPolicy,
}

impl fmt::Debug for StoredRelease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("StoredRelease");
        shown.field("number", &self.number).field("version", &self.version).field("identity", &self.identity);
        shown.finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_is_not_shown() {
        let mut container = ContainerSpec::default();
        container.environment.insert("PASSWORD".to_owned(), "hunter2".to_owned());
        let stored = StoredRelease {
            number: ReleaseNumber(7),
            version: "1.4.0+7".to_owned(),
            identity: "1f".to_owned(),
            image: "d".to_owned(),
            port: Some(8080),
            health: HealthPolicy::default(),
            container,
            release: None,
            mounted: BTreeMap::new(),
            policy: None,
            settings: None,
            at: 0,
            owner: String::new(),
            host: String::new(),
        };
        assert!(!format!("{stored:?}").contains("hunter2"), "{stored:?}");
        let text = serde_json::to_string(&stored).expect("JSON");
        assert!(text.contains("hunter2"), "a rollback needs it: {text}");
    }
}
