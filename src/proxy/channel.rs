//! One stream to the proxy with hyper's HTTP/1.1 on top.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio_util::task::AbortOnDropHandle;

use super::call::Call;
use super::client::CONTROL_API;
use super::error::understand;
use super::wire::VersionAnswer;
use crate::ports::{Dial, ProxyError};

/// From the dial to the first answer. Without a process in the container it is a few ms, with one 100 ms; over ssh
/// and on a busy host it can be seconds.
pub(super) const OPEN: Duration = Duration::from_secs(15);

/// Opens channels to one proxy.
#[derive(Clone)]
pub(super) struct Opener {
    pub proxy: String,
    pub dial: Arc<dyn Dial>,
}

impl Opener {
    /// A channel whose other end has told which API it speaks.
    pub async fn open(&self) -> Result<Channel, ProxyError> {
        tokio::time::timeout(OPEN, self.open_unbounded())
            .await
            .unwrap_or_else(|_| Err(self.unreachable(format!("no channel within {OPEN:?}"))))
    }

    async fn open_unbounded(&self) -> Result<Channel, ProxyError> {
        let stream = self.dial.dial().await.map_err(|error| self.unreachable(error.message))?;
        let (requests, connection) =
            handshake(TokioIo::new(stream)).await.map_err(|error| self.unreachable(error.to_string()))?;
        // How a connection ends shows in the call that was under way, so its own result says nothing new.
        let connection = AbortOnDropHandle::new(tokio::spawn(async move { drop(connection.await) }));
        let mut channel = Channel { requests, api: 0, connection };
        let call = Call::get("/version");
        let (status, body) = channel.exchange(&call).await.map_err(|broken| self.unreachable(broken.reason))?;
        channel.api = understand::<VersionAnswer>(&self.proxy, &call, status, &body)?.api;
        Ok(channel)
    }

    /// Refuses an API that this version does not know, rather than half-work with it.
    pub fn verify(&self, channel: &Channel) -> Result<(), ProxyError> {
        if channel.api == CONTROL_API {
            return Ok(());
        }
        Err(ProxyError::WrongVersion { proxy: self.proxy.clone(), found: channel.api, wanted: CONTROL_API })
    }

    pub fn unreachable(&self, reason: impl Into<String>) -> ProxyError {
        ProxyError::Unreachable { proxy: self.proxy.clone(), reason: reason.into() }
    }
}

/// Dropping it closes the stream, also in the middle of a call.
pub(super) struct Channel {
    requests: SendRequest<Full<Bytes>>,
    api: u64,
    #[expect(dead_code, reason = "held for its drop, which ends the connection")]
    connection: AbortOnDropHandle<()>,
}

/// Why a call got no answer.
pub(super) struct Broken {
    /// No byte of the request left, so it is safe to send it again whatever it does.
    pub unsent: bool,
    pub reason: String,
}

impl Channel {
    pub fn is_closed(&self) -> bool {
        self.requests.is_closed()
    }

    /// Sends a call and returns when the answer's head is there.
    pub async fn send(&mut self, call: &Call) -> Result<Response<Incoming>, Broken> {
        if let Err(error) = self.requests.ready().await {
            return Err(Broken { unsent: true, reason: error.to_string() });
        }
        self.requests.try_send_request(call.request()).await.map_err(|mut failed| {
            let unsent = failed.take_message().is_some();
            Broken { unsent, reason: failed.into_error().to_string() }
        })
    }

    /// Sends a call and reads the whole answer.
    pub async fn exchange(&mut self, call: &Call) -> Result<(StatusCode, Bytes), Broken> {
        let answer = self.send(call).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await;
        let body = body.map_err(|error| Broken { unsent: false, reason: error.to_string() })?;
        Ok((status, body.to_bytes()))
    }
}
