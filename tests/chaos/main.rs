//! The fault campaign: load without end, and a seeded schedule of deploys and faults that must not be felt.
//!
//! The short form is a test like any other. `tests/run --chaos` makes it long; docs/internals/chaos.md says how to read it.

mod actions;
mod api;
mod campaign;
#[path = "../durations.rs"]
mod durations;
mod faults;
mod fleet;
#[expect(dead_code, unused_imports, reason = "shared with the end-to-end tests; the campaign needs a part of it")]
#[path = "../e2e/harness/mod.rs"]
mod harness;
mod laws;
mod report;
mod schedule;
#[path = "../schema.rs"]
mod schema;

use std::time::Duration;

use campaign::Orders;

/// The short form leaves what it has not reached by then to the long one: a slow machine makes it shorter, never red.
const SHORT: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_campaign_of_faults_costs_no_request_but_those_it_kills() {
    let number = |name: &str| {
        let value = std::env::var(name).ok()?;
        Some(value.parse::<u64>().unwrap_or_else(|_| panic!("`{name}` is `{value}`, want a whole number")))
    };
    let minutes = number("CHAOS_MINUTES");
    let steps = number("CHAOS_STEPS");
    let limit = match (minutes, steps) {
        (Some(minutes), _) => Duration::from_secs(60 * minutes),
        // A replay goes as far as it is told to.
        (None, Some(_)) => Duration::MAX,
        (None, None) => SHORT,
    };
    let deck = if minutes.is_some() { usize::MAX } else { schedule::KINDS.len() };
    let steps = steps.map_or(deck, |steps| usize::try_from(steps).expect("a number of steps"));
    let from = number("CHAOS_FROM").map_or(1, |from| usize::try_from(from).expect("a number of a step"));
    Box::pin(campaign::run(&Orders { seed: number("CHAOS_SEED").unwrap_or(1), from, steps, limit })).await;
}
