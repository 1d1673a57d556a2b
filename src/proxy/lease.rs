//! A lease: apps that nobody else may change while one connection stays open.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::call::Call;
use super::channel::Channel;
use super::error::understand;
use super::pool::Pool;
use super::wire::{Granted, HeartbeatAnswer, HeartbeatRequest, LeaseCall};
use crate::ports::ProxyError;

/// Between two tries to resume; doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Held until it is dropped, or until [`Lease::lost`] says that it could not be kept.
pub struct Lease {
    token: String,
    lost: CancellationToken,
    #[expect(dead_code, reason = "held for its drop, which closes the connection and so ends the lease")]
    keeper: AbortOnDropHandle<()>,
}

impl Lease {
    pub(super) async fn acquire(pool: Arc<Pool>, mut call: LeaseCall) -> Result<Self, ProxyError> {
        let grant = Grant::open(&pool, &call).await?;
        let token = grant.terms.token.clone();
        call.token = Some(token.clone());
        let lost = CancellationToken::new();
        let keeper = tokio::spawn(keep(pool, call, grant, lost.clone()));
        Ok(Self { token, lost, keeper: AbortOnDropHandle::new(keeper) })
    }

    pub(super) fn token(&self) -> &str {
        &self.token
    }

    /// Returns when somebody else may have the apps.
    pub async fn lost(&self) {
        self.lost.cancelled().await;
    }

    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.lost.is_cancelled()
    }
}

/// An open answer: while it stays open, so does the lease.
struct Grant {
    terms: Granted,
    /// When the proxy last said that the lease holds.
    confirmed: Instant,
    body: Incoming,
    #[expect(dead_code, reason = "held for its drop, which closes the connection")]
    channel: Channel,
}

impl Grant {
    /// Over a channel of its own: one that others use could not stay in the middle of an answer.
    async fn open(pool: &Pool, lease: &LeaseCall) -> Result<Self, ProxyError> {
        let opener = &pool.opener;
        let mut channel = opener.open().await?;
        opener.verify(&channel)?;
        let call = Call::post("/v1/lease", lease);
        let granted = async {
            let answer = channel.send(&call).await.map_err(|broken| opener.unreachable(broken.reason))?;
            let (status, mut body) = (answer.status(), answer.into_body());
            let first = if status.is_success() { first_line(&mut body).await } else { whole(&mut body).await };
            let first = first.map_err(|error| opener.unreachable(error.to_string()))?;
            let terms = understand(&opener.proxy, &call, status, &first)?;
            Ok((terms, body))
        };
        let late = || opener.unreachable(format!("no answer to `{call}` within {:?}", call.deadline));
        let (terms, body) = timeout(call.deadline, granted).await.unwrap_or_else(|_| Err(late()))?;
        Ok(Self { terms, confirmed: Instant::now(), body, channel })
    }

    /// Sends heartbeats until the connection drops or the proxy disowns the lease. Returns when its term ends.
    async fn hold(mut self, pool: &Arc<Pool>) -> Instant {
        let mut next = self.confirmed + self.pause();
        loop {
            let answer = tokio::select! {
                () = ended(&mut self.body) => break,
                answer = heartbeat(pool, &self.terms.token, next) => answer,
            };
            match answer {
                Ok(answer) => {
                    self.confirmed = Instant::now();
                    self.terms.expires_ms = answer.expires_ms;
                    next = self.confirmed + self.pause();
                }
                // Perhaps only the connection's end has not reached us yet.
                Err(ProxyError::LeaseLost { .. } | ProxyError::Refused { .. }) => break,
                Err(_) => next = Instant::now() + LONGEST_PAUSE,
            }
            if next > self.term() {
                break;
            }
        }
        // A proxy that ends every grant at once is not to be asked in a tight loop.
        sleep_until(self.confirmed + FIRST_PAUSE).await;
        self.term()
    }

    /// Between two heartbeats. A proxy that asks for none at all would be asked again and again without a rest.
    fn pause(&self) -> Duration {
        Duration::from_millis(self.terms.heartbeat_ms).max(FIRST_PAUSE)
    }

    fn term(&self) -> Instant {
        self.confirmed + Duration::from_millis(self.terms.expires_ms)
    }
}

/// Returns when the answer is over. What the proxy may still say in it has no meaning in this API.
async fn ended(body: &mut Incoming) {
    while let Some(Ok(_)) = body.frame().await {}
}

async fn first_line(body: &mut Incoming) -> Result<BytesMut, hyper::Error> {
    let mut line = BytesMut::new();
    while !line.contains(&b'\n') {
        let Some(frame) = body.frame().await else { break };
        line.extend_from_slice(&frame?.into_data().unwrap_or_default());
    }
    Ok(line)
}

async fn whole(body: &mut Incoming) -> Result<BytesMut, hyper::Error> {
    Ok(body.collect().await?.to_bytes().into())
}

async fn keep(pool: Arc<Pool>, call: LeaseCall, mut grant: Grant, lost: CancellationToken) {
    loop {
        let term = grant.hold(&pool).await;
        match resume(&pool, &call, term).await {
            Some(again) => grant = again,
            None => return lost.cancel(),
        }
    }
}

/// Takes the lease up again with its own token, over a new connection, until its term is over.
///
/// Somebody may have held and freed the apps in between. A flip notices that: the generation has moved.
async fn resume(pool: &Pool, call: &LeaseCall, term: Instant) -> Option<Grant> {
    let mut pause = FIRST_PAUSE;
    while Instant::now() < term {
        match timeout_at(term, Grant::open(pool, call)).await {
            Ok(Ok(grant)) => return Some(grant),
            Ok(Err(ProxyError::Unreachable { .. } | ProxyError::Malformed { .. })) => sleep(pause).await,
            Ok(Err(_)) | Err(_) => return None,
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    None
}

async fn heartbeat(pool: &Arc<Pool>, token: &str, at: Instant) -> Result<HeartbeatAnswer, ProxyError> {
    sleep_until(at).await;
    pool.call(&Call::post("/v1/lease/heartbeat", &HeartbeatRequest { token }).repeatable()).await
}
