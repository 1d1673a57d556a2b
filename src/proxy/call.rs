//! A call before it is sent: what it asks, how long it may take, and whether it may be asked twice.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Method, Request, header};
use serde::Serialize;

/// The proxy answers in under a millisecond; what takes this long will not come at all.
const DEADLINE: Duration = Duration::from_secs(5);

#[derive(Debug, Clone)]
pub(super) struct Call {
    method: Method,
    path: String,
    body: Bytes,
    pub deadline: Duration,
    /// Whether the answer waits for something outside the proxy, which may keep a channel busy for seconds.
    pub waits: bool,
    /// Whether a lost answer is asked for again. Never so for what changes something:
    /// the first call may have had its effect.
    pub repeatable: bool,
}

impl Call {
    pub fn get(path: impl Into<String>) -> Self {
        Self {
            method: Method::GET,
            path: path.into(),
            body: Bytes::new(),
            deadline: DEADLINE,
            waits: false,
            repeatable: true,
        }
    }

    pub fn post(path: &str, body: &impl Serialize) -> Self {
        // Our requests are plain structs with text keys, which always serialise.
        let body = serde_json::to_vec(body).unwrap_or_default();
        Self {
            method: Method::POST,
            path: path.to_owned(),
            body: body.into(),
            deadline: DEADLINE,
            waits: false,
            repeatable: false,
        }
    }

    pub fn repeatable(mut self) -> Self {
        self.repeatable = true;
        self
    }

    /// For calls that wait by themselves: the usual deadline starts when that wait is over.
    pub fn waiting(mut self, wait: Duration) -> Self {
        self.waits = true;
        self.deadline += wait;
        self
    }

    pub fn request(&self) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        // Paths are made of constants and of names, none of which needs escaping.
        *request.uri_mut() = self.path.parse().unwrap_or_default();
        let headers = request.headers_mut();
        headers.insert(header::HOST, header::HeaderValue::from_static("control"));
        if !self.body.is_empty() {
            headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
        }
        request
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}
