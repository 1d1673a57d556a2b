//! The lock: a lease at the proxy, held by a connection of its own.

use std::convert::Infallible;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::events::Events;
use super::stop::Stop;
use crate::event::Fact;
use crate::ports::{LeaseRequest, Proxy, ProxyError};

/// A freed lease is noticed within this.
const ASK_INTERVAL: Duration = Duration::from_millis(200);

/// Takes leases, and works under them.
pub(super) struct LeaseKeeper<'a, P> {
    proxy: &'a P,
    events: &'a Events,
    stop: &'a Stop,
}

impl<'a, P: Proxy> LeaseKeeper<'a, P> {
    pub(super) fn new(proxy: &'a P, events: &'a Events, stop: &'a Stop) -> Self {
        Self { proxy, events, stop }
    }

    /// Does `work`, and stops it where it can be stopped as soon as the lease is lost: before the flip all is undone,
    /// after it nothing more is done to what another run may have taken over.
    pub(super) async fn under<T>(&self, lease: &P::Lease, work: impl Future<Output = T>) -> T {
        let watch = async {
            self.proxy.lost(lease).await;
            self.events.warn(None, "the lease on the apps is lost: another run may change them from now on");
            self.stop.lose_lease();
            std::future::pending::<Infallible>().await
        };
        tokio::select! {
            biased;
            never = watch => match never {},
            done = work => done,
        }
    }

    /// Takes the lease on all the apps, waiting at most `patience` for another holder.
    pub(super) async fn acquire(&self, request: &LeaseRequest, patience: Duration) -> Result<P::Lease, ProxyError> {
        let (deadline, cancel) = (Instant::now() + patience, self.stop.by_user());
        let mut told = false;
        loop {
            let held = match self.proxy.acquire(request).await {
                Err(held @ ProxyError::LeaseHeld { .. }) => held,
                result => return result,
            };
            if Instant::now() >= deadline || cancel.is_cancelled() {
                return Err(held);
            }
            if let (ProxyError::LeaseHeld { app, owner, host, age, .. }, false) = (&held, told) {
                let fact = Fact::LeaseAwaited { owner: owner.clone(), host: host.clone(), age: *age };
                self.events.emit(Some(app), fact);
                told = true;
            }
            tokio::select! {
                () = sleep(ASK_INTERVAL) => {}
                () = cancel.cancelled() => {}
            }
        }
    }
}
