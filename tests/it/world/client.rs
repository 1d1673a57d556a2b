//! One process that talks to the world: counts its calls, and suffers its faults.

use std::future::{Future, pending};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use deploy_apps::model::Generation;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::fault::Port;
use super::{Call, Error, Fault, Faults, World};

/// What every call costs: so that calls beside each other do interleave.
const CALL_TAKES: Duration = Duration::from_millis(1);

pub struct Client {
    pub world: Arc<World>,
    faults: Faults,
    pub cancel: CancellationToken,
    calls: Mutex<Vec<Call>>,
    next: AtomicUsize,
    crashed: Notify,
}

impl Client {
    pub fn new(world: &Arc<World>, faults: Faults) -> Arc<Self> {
        Arc::new(Self {
            world: Arc::clone(world),
            faults,
            cancel: CancellationToken::new(),
            calls: Mutex::default(),
            next: AtomicUsize::new(0),
            crashed: Notify::new(),
        })
    }

    /// Returns when a fault has killed this client.
    pub async fn crashed(&self) {
        self.crashed.notified().await;
    }

    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes `effect` happen as one call, with what goes wrong at it.
    pub(super) async fn call<T, E>(
        &self,
        port: Port,
        what: &'static str,
        subject: &str,
        fails: impl Fn(Error) -> E,
        effect: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let index = self.next.fetch_add(1, Ordering::Relaxed);
        let call = Call { index, what, subject: subject.to_owned(), port };
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(call.clone());
        sleep(CALL_TAKES).await;
        let fault = (self.faults)(&call);
        match fault {
            Some(Fault::Fail(error)) => return Err(fails(error)),
            Some(Fault::Crash) => self.die().await,
            Some(Fault::Cancel) => self.cancel.cancel(),
            Some(Fault::RestartProxy(down)) => self.world.change(|state| {
                state.proxy_down_until = Some(Instant::now() + down);
                state.open.clear();
                state.leases.clear();
            }),
            Some(Fault::Forget) => self.world.change(|state| {
                state.generation += 1;
                let generation = Generation(state.generation);
                for (key, record) in state.before_flip.clone() {
                    let app = state.apps.entry(key).or_default();
                    (app.record, app.generation) = (record, generation);
                }
            }),
            Some(Fault::LoseLease) => {
                self.world.change(|state| {
                    let apps: Vec<_> = state.leases.keys().cloned().collect();
                    state.leases.values_mut().for_each(|holder| *holder = 0);
                    state.end_canaries(&apps);
                });
            }
            Some(Fault::SlowAndFailAfterEffect(time, _)) => sleep(time).await,
            Some(Fault::FailAfterEffect(_) | Fault::CrashAfterEffect) | None => {}
        }
        let result = effect.await;
        match fault {
            Some(Fault::FailAfterEffect(error) | Fault::SlowAndFailAfterEffect(_, error)) => {
                result.and(Err(fails(error)))
            }
            Some(Fault::CrashAfterEffect) => self.die().await,
            _ => result,
        }
    }

    async fn die<T>(&self) -> T {
        self.crashed.notify_one();
        pending().await
    }
}
