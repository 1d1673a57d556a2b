//! The progress of a run: one row per app, and the blocks below.

use std::time::Duration;

use super::block::Block;
use super::row::Row;
use crate::event::{Event, Fact};
use crate::model::AppKey;

#[derive(Debug, Default)]
pub(super) struct Run {
    /// The host's row first, then the apps in the order of their first event.
    pub rows: Vec<Row>,
    pub blocks: Vec<Block>,
    /// Time of the last event.
    pub elapsed: Duration,
}

impl Run {
    pub fn apply(&mut self, event: &Event) {
        self.elapsed = event.elapsed;
        self.blocks.extend(Block::of(event));
        if matches!(event.fact, Fact::CancelRequested) {
            self.rows.iter_mut().filter(|row| row.end.is_none()).for_each(Row::cancel);
            return;
        }
        // The host gets a row with its first step; messages alone do not need one.
        let only_said = matches!(event.fact, Fact::Warned { .. } | Fact::PlanMade { .. });
        if event.app.is_none() && only_said {
            return;
        }
        self.row(event.app.as_ref()).apply(event.elapsed, &event.fact);
    }

    fn row(&mut self, app: Option<&AppKey>) -> &mut Row {
        let index = match self.rows.iter().position(|row| row.app.as_ref() == app) {
            Some(index) => index,
            None => {
                let index = if app.is_none() { 0 } else { self.rows.len() };
                self.rows.insert(index, Row::new(app.cloned()));
                index
            }
        };
        &mut self.rows[index]
    }

    /// Whether the output changes with time alone.
    pub fn is_moving(&self) -> bool {
        self.rows.iter().any(Row::is_moving)
    }
}
