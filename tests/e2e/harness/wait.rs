//! The only polling loop of these tests.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// For what takes a second on a quiet machine. Long, because it is reached by bugs only.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Looks again and again until `look` has found something; panics with `what` at the deadline.
#[track_caller]
pub fn eventually<T>(
    what: &str,
    within: Duration,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> impl Future<Output = T> {
    // An async block forgets its caller, and the test's line is what the reader of a failure needs.
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
