//! What a deploy would do right now, complete with the proxy's own steps, seen without touching anything.

use std::fmt;

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::facts::Facts;
use super::plan::{AppPlan, Plan, Verdict, write_stages};
use super::stage::{Planned, Stage};
use super::unknown::Unknown;
use crate::model::Orphan;

/// The plan and everything that it was made from which a reader has to know.
#[derive(Debug, Clone, PartialEq)]
pub struct Preview {
    /// Brings the host's proxy up. Empty when it runs.
    pub proxy: Vec<Stage>,
    pub plan: Plan,
    /// Why a deploy might find something else than this plan: what is not known before it has begun.
    pub unknowns: Vec<Unknown>,
    /// What the file does not have any more, of a plan for everything in it.
    pub orphans: Vec<Orphan>,
    /// What the plan stands on, for whoever compares two of them.
    pub facts: Facts,
}

impl Preview {
    #[must_use]
    pub fn changes_nothing(&self) -> bool {
        self.proxy.iter().all(Stage::is_empty) && self.plan.changes_nothing()
    }

    /// Every step: the proxy's, what the parts share, then each part's.
    pub fn steps(&self) -> impl Iterator<Item = &Planned> {
        let stages = self.proxy.iter().chain(&self.plan.shared).flat_map(Stage::steps);
        stages.chain(self.plan.apps.iter().flat_map(AppPlan::steps))
    }

    /// How many apps get a new release, an old one again, are adjusted, go, and are as they shall be; in this order.
    #[must_use]
    pub fn counts(&self) -> [usize; 5] {
        [Verdict::Deploy, Verdict::Rollback, Verdict::Adjust, Verdict::Remove, Verdict::UpToDate]
            .map(|verdict| self.plan.apps.iter().filter(|app| app.verdict == verdict).count())
    }

    /// Two plans of one digest do the same to the same world.
    #[must_use]
    pub fn digest(&self) -> String {
        digest(&(&self.proxy, &self.plan))
    }
}

impl Plan {
    /// Like [`Preview::digest`], of the apps' part alone.
    #[must_use]
    pub fn digest(&self) -> String {
        digest(self)
    }
}

fn digest(plan: &impl Serialize) -> String {
    // Structs with text keys always serialise.
    let mut value = serde_json::to_value(plan).unwrap_or_default();
    forget_places(&mut value);
    Sha256::digest(value.to_string()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A build is known by the digest of what it reads. Where on this machine that lies is another matter: a pipeline
/// plans in one checkout and deploys from the next. Likewise an image that we built is known by its source: when two
/// projects build the same one beside each other, the engine has it twice.
fn forget_places(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if let Some(build) = fields.get_mut("build").and_then(Value::as_object_mut) {
                build.remove("context");
            }
            if fields.get("step").is_some_and(|step| step == "tag_image") && !fields["source"].is_null() {
                fields.remove("image");
            }
            fields.values_mut().for_each(forget_places);
        }
        Value::Array(items) => items.iter_mut().for_each(forget_places),
        _ => {}
    }
}

impl fmt::Display for Preview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.proxy.iter().all(Stage::is_empty) {
            writeln!(f, "proxy")?;
            write_stages(f, &self.proxy, &mut 0)?;
        }
        write!(f, "{}", self.plan)
    }
}
