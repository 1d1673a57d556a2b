//! The shared state of one client: request limit, results, end of the run, and its random generator.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::config::{Kind, LoadConfig};
use super::failure::Failure;
use super::ledger::{Begun, Ledger};
use super::wire::Wire;

/// Pause after a failure or the end of a stream. Without it, clients of a dead target would spin, and thousands of
/// refused connections would hide the first failures.
const BREATH: Duration = Duration::from_millis(20);

#[derive(Debug, Clone)]
pub(super) struct Lane {
    pub(super) config: Arc<LoadConfig>,
    pub(super) ledger: Arc<Ledger>,
    /// Cancelled when no further request may start. Requests in flight continue.
    pub(super) ended: CancellationToken,
    pub(super) kind: Kind,
    pub(super) client: usize,
    pub(super) gap: Duration,
    /// Delay from the load's start to this client's first request.
    pub(super) first_after: Duration,
}

impl Lane {
    /// Resolves when a stream that starts now has been open for the configured time, or when the run ends.
    pub(super) fn leaving(&self) -> impl Future<Output = ()> + use<> {
        let (ended, stream_for) = (self.ended.clone(), self.config.stream_for);
        async move {
            match stream_for {
                Some(time) => {
                    let _ = tokio::time::timeout(time, ended.cancelled()).await;
                }
                None => ended.cancelled().await,
            }
        }
    }

    pub(super) fn wire(&self) -> Wire {
        Wire::new(self.config.target, Arc::clone(&self.ledger))
    }

    /// Starts this client's next request; `None` once the run's time or request limit is reached.
    pub(super) fn begin(&self) -> Option<Begun> {
        if self.ended.is_cancelled() {
            return None;
        }
        let begun = self.ledger.begin();
        if begun.is_none() {
            self.ledger.end();
            self.ended.cancel();
        }
        begun
    }

    pub(super) fn succeed(&self, begun: Begun, release: &str) {
        self.ledger.succeed(self.kind, begun, release);
    }

    pub(super) async fn fail(&self, begun: Begun, failure: Failure) {
        self.ledger.fail(self.kind, self.client, begun, failure);
        self.pause(BREATH).await;
    }

    pub(super) async fn end_kindly(&self, by_server: bool) {
        self.ledger.end_kindly(self.kind, by_server);
        self.pause(BREATH).await;
    }

    /// Sleeps, but not past the run's end.
    pub(super) async fn pause(&self, time: Duration) {
        if !time.is_zero() {
            tokio::select! {
                () = tokio::time::sleep(time) => {}
                () = self.ended.cancelled() => {}
            }
        }
    }

    pub(super) fn dice(&self) -> Dice {
        Dice { state: self.client as u64 }
    }
}

/// A random generator seeded per client, so that a run can be repeated.
#[derive(Debug)]
pub(super) struct Dice {
    state: u64,
}

impl Dice {
    /// A random duration up to `limit`, from the splitmix64 generator.
    pub(super) fn up_to(&mut self, limit: Duration) -> Duration {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        let share = (bits >> 32) as u32;
        limit.mul_f64(f64::from(share) / f64::from(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_fills_its_range_and_repeats() {
        let limit = Duration::from_secs(5);
        let thrown = |state| {
            let mut dice = Dice { state };
            (0..1000).map(|_| dice.up_to(limit)).collect::<Vec<_>>()
        };
        let times = thrown(7);
        assert_eq!(times, thrown(7));
        assert_ne!(times, thrown(8));
        assert!(times.iter().all(|time| *time <= limit));
        assert!(times.iter().any(|time| *time < limit / 20) && times.iter().any(|time| *time > limit * 19 / 20));
    }
}
