//! The built-in page: how everything stands, live, on this machine's loopback only.
//!
//! [`Source`] looks at engine and proxy, the feed does so once a second for all open pages and not at all without one,
//! the server hands out the page and what was seen. What the page shows is `/api/state`, a document for programs too.

mod answer;
mod feed;
mod flow;
mod guard;
mod server;

use std::future::Future;

use serde_json::Value;

pub use server::Dashboard;

use crate::model::RequestTotals;

/// What can be seen right now.
#[derive(Debug, Clone, Default)]
pub struct Sight {
    /// The fields of the document that are not the dashboard's own.
    pub fields: serde_json::Map<String, Value>,
    /// `None` when the proxy did not say.
    pub totals: Option<RequestTotals>,
    /// The same for people without a script, as lines.
    pub text: String,
}

/// Observes. It never fails: what cannot be observed is part of the answer.
pub trait Source: Send + Sync + 'static {
    fn look(&self) -> impl Future<Output = Sight> + Send;
}
