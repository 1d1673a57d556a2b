//! A proxy in memory: hyper's server over duplex pipes, with answers that each test writes.

use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::HeaderValue;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc};

use super::client::ControlClient;
use crate::ports::{Dial, Dialing, EngineError, EngineErrorKind};

/// What the proxy does with a call.
pub enum Reply {
    Json(u16, Value),
    Text(u16, &'static str),
    /// Answers and closes the connection.
    Last(Value),
    /// Closes the connection without an answer.
    Close,
    /// Answers when the test says so.
    After(Arc<Notify>, Value),
    /// Never answers.
    Silence,
    /// The first line of an answer that stays open for as long as the sender or the client lives.
    Hold(Value, mpsc::Receiver<Bytes>),
}

/// A call as it arrived, with the number of the connection that brought it.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    pub connection: usize,
    pub call: String,
    pub body: Value,
}

type Answers = dyn FnMut(&Seen) -> Reply + Send;

/// The version calls that open each channel are answered and left out of the log.
#[derive(Clone)]
pub struct ProxyInMemory {
    api: u64,
    answers: Arc<Mutex<Answers>>,
    seen: Arc<Mutex<Vec<Seen>>>,
    dials: Arc<Mutex<usize>>,
    refuse_dials: Arc<Mutex<bool>>,
    dial_takes: Duration,
}

impl ProxyInMemory {
    pub fn new(answers: impl FnMut(&Seen) -> Reply + Send + 'static) -> Self {
        Self {
            api: 1,
            answers: Arc::new(Mutex::new(answers)),
            seen: Arc::default(),
            dials: Arc::default(),
            refuse_dials: Arc::default(),
            dial_takes: Duration::ZERO,
        }
    }

    pub fn with_api(mut self, api: u64) -> Self {
        self.api = api;
        self
    }

    pub fn with_slow_dials(mut self, dial_takes: Duration) -> Self {
        self.dial_takes = dial_takes;
        self
    }

    pub fn client(&self) -> ControlClient {
        ControlClient::new(&"deploy-apps".parse().expect("valid name"), Arc::new(self.clone()))
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("no panic").clone()
    }

    pub fn calls(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| seen.call).collect()
    }

    pub fn dials(&self) -> usize {
        *self.dials.lock().expect("no panic")
    }

    pub fn refuse_dials(&self, refuse: bool) {
        *self.refuse_dials.lock().expect("no panic") = refuse;
    }

    async fn answer(
        self,
        connection: usize,
        request: Request<Incoming>,
    ) -> io::Result<Response<BoxBody<Bytes, Infallible>>> {
        let call = format!("{} {}", request.method(), request.uri());
        let body = request.into_body().collect().await.map_err(io::Error::other)?.to_bytes();
        if call == "GET /version" {
            return Ok(json_answer(200, &json!({"api": self.api, "build": "b1", "nginx": "1.26.3", "workers": 2})));
        }
        let seen = Seen { connection, call, body: serde_json::from_slice(&body).unwrap_or_default() };
        self.seen.lock().expect("no panic").push(seen.clone());
        let reply = (self.answers.lock().expect("no panic"))(&seen);
        match reply {
            Reply::Json(status, body) => Ok(json_answer(status, &body)),
            Reply::Text(status, text) => Ok(answer(status, Full::new(text.into()).boxed())),
            Reply::Last(body) => {
                let mut last = json_answer(200, &body);
                last.headers_mut().insert(hyper::header::CONNECTION, HeaderValue::from_static("close"));
                Ok(last)
            }
            Reply::Close => Err(io::ErrorKind::ConnectionReset.into()),
            Reply::Silence => std::future::pending().await,
            Reply::After(go, body) => {
                go.notified().await;
                Ok(json_answer(200, &body))
            }
            Reply::Hold(first, rest) => Ok(answer(200, held(first, rest))),
        }
    }
}

impl Dial for ProxyInMemory {
    fn dial(&self) -> Dialing<'_> {
        Box::pin(async move {
            if *self.refuse_dials.lock().expect("no panic") {
                let message = "container `deploy-apps-proxy` is not running";
                return Err(EngineError::new(EngineErrorKind::NotFound, message));
            }
            let connection = {
                let mut dials = self.dials.lock().expect("no panic");
                *dials += 1;
                *dials
            };
            tokio::time::sleep(self.dial_takes).await;
            let (ours, theirs) = tokio::io::duplex(64 * 1024);
            let proxy = self.clone();
            tokio::spawn(async move {
                let service = service_fn(move |request| proxy.clone().answer(connection, request));
                // It ends in an error each time that a test closes it.
                drop(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(theirs), service).await);
            });
            Ok(Box::new(ours) as _)
        })
    }
}

fn json_answer(status: u16, body: &Value) -> Response<BoxBody<Bytes, Infallible>> {
    answer(status, Full::new(body.to_string().into()).boxed())
}

fn answer(status: u16, body: BoxBody<Bytes, Infallible>) -> Response<BoxBody<Bytes, Infallible>> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).expect("valid status");
    response
}

fn held(first: Value, rest: mpsc::Receiver<Bytes>) -> BoxBody<Bytes, Infallible> {
    let first = futures_util::stream::iter([Bytes::from(format!("{first}\n"))]);
    let rest = futures_util::stream::unfold(rest, |mut rest| async move { Some((rest.recv().await?, rest)) });
    let frames = futures_util::StreamExt::chain(first, rest);
    StreamBody::new(futures_util::StreamExt::map(frames, |bytes| Ok(Frame::data(bytes)))).boxed()
}

/// An error as the proxy gives it; `details` go beside code and message.
pub fn error(status: u16, code: &str, details: Value) -> Reply {
    let mut error = json!({"code": code, "message": format!("about `{code}`")});
    if let (Some(error), Value::Object(details)) = (error.as_object_mut(), details) {
        error.extend(details);
    }
    Reply::Json(status, json!({"error": error}))
}
