//! What the proxy does to an app's requests and answers on their way: who may come, how much they may send, how long the app may
//! take, and the headers of its answers.

use serde::{Deserialize, Serialize};

use super::maintenance::Page;

/// A header field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderField {
    pub name: String,
    pub value: String,
}

/// Changes of the app's answers. The proxy's own answers stay as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResponseHeaders {
    /// These replace what the app sent under the same name.
    pub set: Vec<HeaderField>,
    pub remove: Vec<String>,
}

/// Networks in CIDR form. A client that is denied stays out; where any are allowed, so does everybody else.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientAccess {
    pub allow: Vec<String>,
    pub deny: Vec<String>,
}

/// A page in place of the proxy's own, for answers of one status that the proxy itself gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorPage {
    pub status: u16,
    #[serde(flatten)]
    pub page: Page,
}

impl ErrorPage {
    /// What the proxy itself answers for an app.
    pub const STATUSES: [u16; 8] = [401, 403, 413, 429, 500, 502, 503, 504];
}

/// A bucket of tokens for each client: it holds `burst` of them, and gets `requests` in `per_ms`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateLimit {
    pub requests: u32,
    pub per_ms: u64,
    pub burst: u32,
}

/// How long the proxy waits between two reads or two writes of a connection to the app, in milliseconds. `None` is a day.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeouts {
    pub read_ms: Option<u64>,
    pub send_ms: Option<u64>,
}
