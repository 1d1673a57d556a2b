//! A plan in a file: what was asked for, and by which marks a later run knows that it would do exactly the same.
//!
//! The steps themselves are not read back. They hold the environment of the apps, secrets included, and a step that was
//! right yesterday may be wrong today. So a run plans again, and goes on only when it comes to the same plan.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ask::DeployOptions;
use super::facts::{Facts, changed_facts, proxy_subject};
use super::plan::Plan;
use super::preview::Preview;
use super::stage::Stage;
use super::step::Step;
use crate::model::{AppName, ObservedState, Project, ProjectName, ProxyName, ProxySpec, Subnet};

/// The version of the form; it rises when a reader of the old one would misread the new one.
const VERSION: u64 = 1;
const KIND: &str = "deploy-apps plan";

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SavedPlan {
    pub v: u64,
    pub kind: String,
    /// Such as `deploy-apps 0.1.0`.
    pub made_by: String,
    /// RFC 3339, UTC.
    pub saved_at: String,
    pub project: ProjectName,
    pub proxy: ProxyName,
    pub apps: Vec<AppName>,
    pub options: DeployOptions,
    /// The one that was free for the proxy's network. `None` when that was there, or when the file names a subnet.
    #[serde(default)]
    pub subnet: Option<Subnet>,
    /// Of the proxy's steps and the plan.
    pub digest: String,
    /// Of the plan alone, for a run that holds the lease and has the proxy up.
    pub plan_digest: String,
    pub facts: Facts,
    /// For people, and for the lines that differ.
    pub text: Vec<String>,
}

/// Why a file is not a saved plan that this program can run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SavedPlanError {
    #[error("is not a saved plan")]
    Foreign,
    #[error("is a plan of form {found}, saved by a newer `{made_by}`; this deploy-apps reads form {VERSION}")]
    Newer { found: u64, made_by: String },
    #[error("is a saved plan that is damaged: {reason}")]
    Damaged { reason: String },
}

impl SavedPlan {
    #[must_use]
    pub fn new(
        preview: &Preview,
        project: &Project,
        apps: &[AppName],
        options: &DeployOptions,
        saved_at: String,
    ) -> Self {
        Self {
            v: VERSION,
            kind: KIND.to_owned(),
            made_by: concat!("deploy-apps ", env!("CARGO_PKG_VERSION")).to_owned(),
            saved_at,
            project: project.name.clone(),
            proxy: project.proxy.name.clone(),
            apps: apps.to_vec(),
            options: options.clone(),
            subnet: preview.new_subnet().filter(|_| project.proxy.subnet.is_none()),
            digest: preview.digest(),
            plan_digest: preview.plan.digest(),
            facts: preview.facts.clone(),
            text: preview.to_string().lines().map(str::to_owned).collect(),
        }
    }

    /// # Errors
    /// When `text` is not a saved plan of a form that is known.
    pub fn parse(text: &str) -> Result<Self, SavedPlanError> {
        let damaged = |error: serde_json::Error| SavedPlanError::Damaged { reason: error.to_string() };
        // A file that was cut off still begins like a plan.
        let looks_like_one = text.contains(KIND);
        let value: Value = match serde_json::from_str(text) {
            Ok(value) => value,
            Err(error) if looks_like_one => return Err(damaged(error)),
            Err(_) => return Err(SavedPlanError::Foreign),
        };
        if value["kind"] != KIND {
            return Err(SavedPlanError::Foreign);
        }
        match value["v"].as_u64() {
            Some(VERSION) => serde_json::from_value(value).map_err(damaged),
            Some(found) if found > VERSION => {
                let made_by = value["made_by"].as_str().unwrap_or("deploy-apps").to_owned();
                Err(SavedPlanError::Newer { found, made_by })
            }
            _ => Err(SavedPlanError::Damaged { reason: "`v` is not a version".to_owned() }),
        }
    }

    /// The project, as it was planned where its proxy had no network yet. Which subnet is free then is no part of what
    /// was asked for: another network may take it before the proxy does, and every address follows to the next one.
    #[must_use]
    pub fn with_subnet(&self, project: &Project) -> Project {
        let mut project = project.clone();
        project.proxy.subnet = project.proxy.subnet.or(self.subnet);
        project
    }

    /// Likewise, when the network has been made.
    #[must_use]
    pub fn with_network(&self, proxy: &ProxySpec, mut observed: ObservedState) -> ObservedState {
        let name = proxy.name.network();
        let network = observed.engine.networks.iter_mut().find(|network| network.name == name);
        if let (Some(network), Some(subnet)) = (network, self.subnet) {
            network.subnets = vec![subnet];
        }
        observed
    }

    /// What has changed since it was saved; empty when nothing has. `proxy_is_up`: the steps that set it up are done.
    #[must_use]
    pub fn changes(&self, now: &Preview, proxy_is_up: bool) -> Vec<String> {
        let same = if proxy_is_up { self.plan_digest == now.plan.digest() } else { self.digest == now.digest() };
        if same {
            return Vec::new();
        }
        let mut facts = changed_facts(&self.facts, &now.facts);
        if proxy_is_up {
            // This run may have started it itself, as the plan said.
            let proxy = proxy_subject(&self.proxy);
            facts.retain(|fact| fact.subject != proxy);
        }
        if !facts.is_empty() {
            return facts.iter().map(ToString::to_string).collect();
        }
        // Something that has no word of its own: the steps themselves have to say it.
        let now = now.to_string();
        let now: Vec<&str> = now.lines().map(without_number).collect();
        let before: Vec<&str> = self.text.iter().map(|line| without_number(line)).collect();
        let gone = before.iter().filter(|line| !now.contains(line)).map(|line| format!("- {line}"));
        let new = now.iter().filter(|line| !before.contains(line)).map(|line| format!("+ {line}"));
        let mut lines: Vec<String> = gone.chain(new).collect();
        if lines.is_empty() {
            lines.push("the settings of a step".to_owned());
        }
        lines
    }
}

/// A line of a plan without the number of its step, which moves with each step before it.
fn without_number(line: &str) -> &str {
    let line = line.trim();
    let step = line.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start();
    if step.starts_with('[') { step } else { line }
}

impl Preview {
    /// Of the network that the plan makes for the proxy.
    fn new_subnet(&self) -> Option<Subnet> {
        self.proxy.iter().flat_map(Stage::steps).find_map(|planned| match &planned.step {
            Step::CreateNetwork(network) => network.subnet,
            _ => None,
        })
    }
}

impl Plan {
    /// A preview of this plan with the proxy up, to be compared with a saved one.
    #[must_use]
    pub fn with_facts(&self, facts: Facts) -> Preview {
        Preview { proxy: Vec::new(), plan: self.clone(), unknowns: Vec::new(), orphans: Vec::new(), facts }
    }
}
