//! Steps with their reasons, and which of them run beside each other.

use serde::Serialize;

use super::step::Step;
use crate::model::StepId;

/// Why a step is in the plan, in a few words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Because(pub String);

impl From<&str> for Because {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for Because {
    fn from(text: String) -> Self {
        Self(text)
    }
}

/// A step with its reason.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Planned {
    /// Its number in the plan; 0 until the plan is complete. Where a step stands changes nothing of what it does.
    #[serde(skip)]
    pub id: StepId,
    #[serde(flatten)]
    pub step: Step,
    pub because: Because,
}

impl Planned {
    #[must_use]
    pub fn new(step: Step, because: impl Into<Because>) -> Self {
        Self { id: StepId::default(), step, because: because.into() }
    }
}

/// Lanes of steps. The lanes run beside each other, the steps of a lane one after the other,
/// and the next stage begins when every lane is done.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Stage {
    pub lanes: Vec<Vec<Planned>>,
}

impl Stage {
    /// A stage of one lane.
    #[must_use]
    pub fn line(steps: Vec<Planned>) -> Self {
        Self { lanes: vec![steps] }
    }

    /// A stage of several lanes; empty ones are left out.
    #[must_use]
    pub fn beside(lanes: Vec<Vec<Planned>>) -> Self {
        Self { lanes: lanes.into_iter().filter(|lane| !lane.is_empty()).collect() }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lanes.iter().all(Vec::is_empty)
    }

    /// Every step, lane by lane.
    pub fn steps(&self) -> impl Iterator<Item = &Planned> {
        self.lanes.iter().flatten()
    }

    pub(super) fn steps_mut(&mut self) -> impl Iterator<Item = &mut Planned> {
        self.lanes.iter_mut().flatten()
    }
}

/// Numbers the steps in this order, from 1.
pub(super) fn number<'p>(steps: impl IntoIterator<Item = &'p mut Planned>) {
    let mut last = StepId::default();
    for planned in steps {
        last = last.next();
        planned.id = last;
    }
}

/// The same stages, their steps numbered: a plan of its own.
pub(super) fn numbered(mut stages: Vec<Stage>) -> Vec<Stage> {
    number(stages.iter_mut().flat_map(Stage::steps_mut));
    stages
}
