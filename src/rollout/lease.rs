//! The lock: a lease at the proxy, held by a connection of its own.

use std::convert::Infallible;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::run::Run;
use crate::event::Fact;
use crate::ports::{Engine, LeaseRequest, Proxy, ProxyError};

/// A freed lease is noticed within this.
const ASK_INTERVAL: Duration = Duration::from_millis(200);

impl<E: Engine, P: Proxy> Run<E, P> {
    /// Does `work`, and stops it where it can be stopped as soon as the lease is lost: before the flip all is undone,
    /// after it nothing more is done to what another run may have taken over.
    pub(super) async fn under<T>(&self, lease: &P::Lease, work: impl Future<Output = T>) -> T {
        let watch = async {
            self.proxy.lost(lease).await;
            self.lose_lease();
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
        let deadline = Instant::now() + patience;
        let mut told = false;
        loop {
            let held = match self.proxy.acquire(request).await {
                Err(held @ ProxyError::LeaseHeld { .. }) => held,
                result => return result,
            };
            if Instant::now() >= deadline || self.cancel.is_cancelled() {
                return Err(held);
            }
            if let (ProxyError::LeaseHeld { app, owner, host, age, .. }, false) = (&held, told) {
                let fact = Fact::LeaseAwaited { owner: owner.clone(), host: host.clone(), age: *age };
                self.emit(Some(app), fact);
                told = true;
            }
            tokio::select! {
                () = sleep(ASK_INTERVAL) => {}
                () = self.cancel.cancelled() => {}
            }
        }
    }
}
