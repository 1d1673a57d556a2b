//! Who runs a deploy, from where, and how it ended.

use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::model::{AppKey, ProjectName};

/// Who runs the deploy, for leases and history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    pub owner: String,
    pub host: String,
    pub project: ProjectName,
    /// Found out beside the run, which it must not hold up; empty while it is not known.
    pub origin: Arc<OnceLock<Origin>>,
}

/// Where a run comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Origin {
    /// Of the compose file's folder; `…+dirty` with changes that are not committed.
    pub commit: Option<String>,
    pub branch: Option<String>,
    /// Of the pipeline's run.
    pub url: Option<String>,
}

/// Who asks for a lease; shown to those who wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseRequest {
    pub apps: Vec<AppKey>,
    pub owner: String,
    pub host: String,
    pub purpose: String,
}

impl Operator {
    /// Who, from where and what for, as the fields of a history record. What is not known is left out.
    #[must_use]
    pub fn details(&self, purpose: &str) -> Map<String, Value> {
        let origin = self.origin.get().cloned().unwrap_or_default();
        let fields = [
            ("purpose", Some(purpose.to_owned())),
            ("owner", Some(self.owner.clone())),
            ("host", Some(self.host.clone())),
            ("commit", origin.commit),
            ("branch", origin.branch),
            ("url", origin.url),
        ];
        fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into()))).collect()
    }

    /// A lease on these apps, in the words that tell others who has it.
    #[must_use]
    pub fn lease(&self, apps: Vec<AppKey>, purpose: &str) -> LeaseRequest {
        LeaseRequest { apps, owner: self.owner.clone(), host: self.host.clone(), purpose: purpose.to_owned() }
    }
}

/// What is known of a run before its first event.
#[derive(Debug, Clone)]
pub struct RunInfo {
    /// Such as `deploy`.
    pub command: &'static str,
    pub project: String,
    pub owner: String,
    pub host: String,
    pub started: SystemTime,
}

/// How a run ended.
#[derive(Debug, Clone)]
pub struct Ending {
    pub exit_code: u8,
    /// Whether the exit code means that something was not done as desired.
    pub failed: bool,
    /// Why it ended before any app came to its own end.
    pub error: Option<String>,
    /// What started it; asked for while the run went on.
    pub origin: Origin,
    pub finished: SystemTime,
}
