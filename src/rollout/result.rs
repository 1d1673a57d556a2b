//! How one app's run ended.

use std::time::Duration;

use serde::Serialize;

use super::scope::Tally;
use crate::event::Outcome;
use crate::model::{AccessoryChange, AppKey, Release, ReleaseNumber};

/// How one app's run ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AppResult {
    pub app: AppKey,
    pub from: Option<ReleaseNumber>,
    pub release: Release,
    /// How many serve at the end of the plan.
    pub replicas: u32,
    pub outcome: Outcome,
    /// Why it did not come to its end.
    pub reason: Option<String>,
    /// It is no app, and this is what became of it.
    pub accessory: Option<AccessoryChange>,
    /// What the plan was made from has changed under it; nothing is left of the attempt, and planning again may help.
    pub world_moved: bool,
    pub took: Duration,
    pub tally: Tally,
}

impl AppResult {
    /// Whether nothing is left of this attempt and another, with a new plan, may succeed.
    pub(super) fn plan_again(&self) -> bool {
        self.world_moved && self.outcome == Outcome::RolledBack
    }
}
