//! The polling loop of these tests.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// For what takes a second on an idle machine. Long, because only bugs reach it.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Calls `look` until it returns a value; panics with `what` at the deadline.
#[track_caller]
pub fn eventually<T>(
    what: &str,
    within: Duration,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> impl Future<Output = T> {
    // An async block loses the caller's location, which the failure message needs.
    let caller = std::panic::Location::caller();
    let deadline = Instant::now() + within;
    async move {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            assert!(Instant::now() < deadline, "{caller}: {what}: not so within {within:?}");
            sleep(Duration::from_millis(20)).await;
        }
    }
}
