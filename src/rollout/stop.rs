//! What ends a run before its time: its user, or the loss of its lease.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio_util::sync::CancellationToken;

use super::events::Events;
use super::failure::{FailureKind, StepFailure};
use crate::event::Fact;

/// The two reasons to stop, and what each of them ends.
pub(super) struct Stop {
    /// The user's cancellation.
    by_user: CancellationToken,
    /// Also the loss of the lease: a child of the user's.
    any: CancellationToken,
    lease_lost: AtomicBool,
}

impl Stop {
    pub(super) fn new(by_user: CancellationToken) -> Self {
        Self { any: by_user.child_token(), by_user, lease_lost: AtomicBool::new(false) }
    }

    /// The first cancellation; before the last flip it leads to an undo, after it the rest is left.
    pub(super) fn by_user(&self) -> &CancellationToken {
        &self.by_user
    }

    /// Ends what waits and lets no step begin: by a cancellation, or because the lease was lost.
    pub(super) fn any(&self) -> &CancellationToken {
        &self.any
    }

    /// Somebody else may have the apps from now on.
    pub(super) fn lose_lease(&self) {
        self.lease_lost.store(true, Ordering::Relaxed);
        self.any.cancel();
    }

    /// What a stop means for the step that it ended: only the user's own is a cancellation.
    pub(super) fn explain(&self, failure: StepFailure) -> StepFailure {
        let by_loss = self.lease_lost.load(Ordering::Relaxed) && !self.by_user.is_cancelled();
        if by_loss && failure.kind == FailureKind::Cancelled {
            return StepFailure::failed("not done without the lease, which was lost")
                .hint("run the same command again: it finishes or undoes what was begun");
        }
        failure
    }

    /// Does `work`, and tells the reporters of a cancellation meanwhile: an undo may take a while, and looks like hanging
    /// otherwise.
    pub(super) async fn tell_during<T>(&self, events: &Events, work: impl Future<Output = T>) -> T {
        let tell = async {
            self.by_user.cancelled().await;
            events.emit(None, Fact::CancelRequested);
            std::future::pending::<Infallible>().await
        };
        tokio::select! {
            biased;
            never = tell => match never {},
            done = work => done,
        }
    }
}
