//! The built-in web page: live state of apps and engine, on loopback only.
//!
//! [`Source`] observes engine and proxy. The feed calls it once a second for all open pages, and not at all without
//! one. The server sends the page and the observations. The page shows `/api/state`, a JSON document that programs can
//! read too.

mod answer;
mod feed;
mod flow;
mod guard;
mod server;

use std::future::Future;

use serde_json::Value;

pub use server::Dashboard;

use crate::model::RequestTotals;

/// One observation.
#[derive(Debug, Clone, Default)]
pub struct Sight {
    /// Fields of the document that the source defines.
    pub fields: serde_json::Map<String, Value>,
    /// `None` when the proxy did not answer.
    pub totals: Option<RequestTotals>,
    /// The same as plain text, for browsers without JavaScript.
    pub text: String,
}

/// Observes engine and proxy. It never fails: errors are part of the observation.
pub trait Source: Send + Sync + 'static {
    fn look(&self) -> impl Future<Output = Sight> + Send;
}
