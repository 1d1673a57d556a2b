//! Channels that are kept open and shared: opening one may cost 100 ms, a call over it well under one.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;
use serde::de::DeserializeOwned;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{sleep, timeout};

use super::call::Call;
use super::channel::{Channel, OPEN, Opener};
use super::error::understand;
use crate::ports::ProxyError;

/// Each may be a process in the proxy's container.
const CHANNELS: usize = 32;
/// The most that calls which wait may have; the rest is left to flips and heartbeats.
const WAITING_CHANNELS: usize = 24;
/// Opened at the same time: twenty apps that want channels at once must not take the processor from their own start.
const OPENING: usize = 3;
/// How many calls that wait may stand in line for a channel, so that a flip behind them is soon served.
const WAITING_IN_LINE: usize = 2;
/// A call waits this long for a busy channel before another is opened: most calls are over by then.
const PATIENCE: Duration = Duration::from_millis(5);

pub(super) struct Pool {
    pub opener: Opener,
    /// Last in, first out, so that few channels do most of the work.
    idle: Mutex<Vec<Pooled>>,
    /// As many permits as there are idle channels.
    idle_count: Semaphore,
    capacity: Arc<Semaphore>,
    opening: Arc<Semaphore>,
    waiting: Semaphore,
    line: Semaphore,
}

struct Pooled {
    channel: Channel,
    #[expect(dead_code, reason = "its place in the pool, free again when it is dropped")]
    slot: OwnedSemaphorePermit,
}

impl Pool {
    pub fn new(opener: Opener) -> Arc<Self> {
        Arc::new(Self {
            opener,
            idle: Mutex::new(Vec::new()),
            idle_count: Semaphore::new(0),
            capacity: Arc::new(Semaphore::new(CHANNELS)),
            opening: Arc::new(Semaphore::new(OPENING)),
            waiting: Semaphore::new(WAITING_CHANNELS),
            line: Semaphore::new(WAITING_IN_LINE),
        })
    }

    /// One call whose answer is no JSON.
    pub async fn text(self: &Arc<Self>, call: &Call) -> Result<String, ProxyError> {
        let (status, body) = self.exchange(call, |channel| self.opener.verify(channel)).await?;
        if status.is_success() {
            return Ok(String::from_utf8_lossy(&body).into_owned());
        }
        // The body of an error is JSON all the same.
        understand(&self.opener.proxy, call, status, &body)
    }

    /// One call to a proxy of our API.
    pub async fn call<T: DeserializeOwned>(self: &Arc<Self>, call: &Call) -> Result<T, ProxyError> {
        self.answer(call, |channel| self.opener.verify(channel)).await
    }

    /// One call that every API knows.
    pub async fn call_any_api<T: DeserializeOwned>(self: &Arc<Self>, call: &Call) -> Result<T, ProxyError> {
        self.answer(call, |_| Ok(())).await
    }

    async fn answer<T: DeserializeOwned>(
        self: &Arc<Self>,
        call: &Call,
        verify: impl Fn(&Channel) -> Result<(), ProxyError>,
    ) -> Result<T, ProxyError> {
        let (status, body) = self.exchange(call, verify).await?;
        understand(&self.opener.proxy, call, status, &body)
    }

    /// A channel that breaks is replaced once, unless the call may have had an effect that must not be doubled.
    async fn exchange(
        self: &Arc<Self>,
        call: &Call,
        verify: impl Fn(&Channel) -> Result<(), ProxyError>,
    ) -> Result<(StatusCode, Bytes), ProxyError> {
        let _share = if call.waits { self.waiting.acquire().await.ok() } else { None };
        let mut pooled = {
            let _place = if call.waits { self.line.acquire().await.ok() } else { None };
            let late = || self.opener.unreachable(format!("no channel within {OPEN:?}"));
            timeout(OPEN, self.checkout()).await.unwrap_or_else(|_| Err(late()))?
        };
        let mut replaced = false;
        loop {
            verify(&pooled.channel)?;
            let broken = match timeout(call.deadline, pooled.channel.exchange(call)).await {
                Ok(Ok(answer)) => {
                    self.put(pooled);
                    return Ok(answer);
                }
                Ok(Err(broken)) => broken,
                Err(_) => {
                    let reason = format!("no answer to `{call}` within {:?}", call.deadline);
                    return Err(self.opener.unreachable(reason));
                }
            };
            if replaced || !(call.repeatable || broken.unsent) {
                return Err(self.opener.unreachable(format!("`{call}`: {}", broken.reason)));
            }
            // Not an idle one: what broke this channel has probably broken those too.
            drop(pooled);
            pooled = self.open().await?;
            replaced = true;
        }
    }

    async fn checkout(self: &Arc<Self>) -> Result<Pooled, ProxyError> {
        loop {
            let none_open = self.capacity.available_permits() == CHANNELS;
            let patience = if none_open { Duration::ZERO } else { PATIENCE };
            let another = async {
                sleep(patience).await;
                self.open().await
            };
            tokio::select! {
                biased;
                idle = self.next_idle() => if !idle.channel.is_closed() { return Ok(idle) },
                opened = another => return opened,
            }
        }
    }

    async fn next_idle(&self) -> Pooled {
        loop {
            match self.idle_count.acquire().await {
                Ok(permit) => permit.forget(),
                Err(_) => unreachable!("the semaphore is never closed"),
            }
            if let Some(idle) = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop() {
                return idle;
            }
        }
    }

    /// Opens a channel. When the caller does not wait for it any more, the next one gets it.
    async fn open(self: &Arc<Self>) -> Result<Pooled, ProxyError> {
        let slot = permit(&self.capacity).await;
        let opening = permit(&self.opening).await;
        let (hand_over, opened) = oneshot::channel();
        let pool = Arc::clone(self);
        tokio::spawn(async move {
            let opened = pool.opener.open().await.map(|channel| Pooled { channel, slot });
            if let Err(Ok(unwanted)) = hand_over.send(opened) {
                pool.put(unwanted);
            }
            // The new channel gets a moment to serve those in line before the next is opened for them.
            sleep(PATIENCE).await;
            drop(opening);
        });
        opened.await.unwrap_or_else(|_| Err(self.opener.unreachable("the dial was aborted")))
    }

    fn put(&self, pooled: Pooled) {
        if pooled.channel.is_closed() {
            return;
        }
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(pooled);
        self.idle_count.add_permits(1);
    }
}

async fn permit(semaphore: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    match Arc::clone(semaphore).acquire_owned().await {
        Ok(permit) => permit,
        Err(_) => unreachable!("the semaphore is never closed"),
    }
}
