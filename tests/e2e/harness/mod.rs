//! The test harness: a [`Scenario`] of [`App`]s starts as a [`Host`], on which commands and load run.
//!
//! ```ignore
//! let host = Scenario::new("one-redeploy").app(App::new("web").replicas(2)).start().await;
//! host.deploy(&["web"]).await.succeeded();
//! let load = host.start(host.load("web").send(8, Traffic::get("/"))).await;
//! host.deploy(&["web", "--force"]).await.succeeded();
//! none_lost(&load.stop().await);
//! ```

mod app;
mod browser;
mod checks;
mod cli;
mod far_host;
mod host;
mod http2;
mod images;
mod jaeger;
mod mails;
mod own_engine;
mod pebble;
mod private_registry;
mod raw;
mod receiver;
mod redact;
mod registry;
mod sample;
mod scenario;
mod skip;
mod sweep;
mod terminal;
mod wait;
mod wire;

pub use app::App;
pub use browser::Browser;
pub use cli::{Cli, Output, Running, binary};
pub use far_host::FarHost;
pub use host::{Answer, Host};
pub use http2::Http2Client;
pub use images::{FAULT_APP, of_sample};
pub use jaeger::Jaeger;
pub use mails::{forget_mails, hurry, mailed, over, told};
pub use own_engine::{OwnEngine, RESTART, children_of};
pub use pebble::{Pebble, TOKEN};
pub use private_registry::{LOGIN, PrivateRegistry};
pub use raw::Connection;
pub use receiver::{Receiver, Reply, nobody};
pub use registry::Registry;
pub use sample::{sample, sample_in};
pub use scenario::Scenario;
pub use skip::skipped;
pub use sweep::{docker, remove_image};
pub use wait::{DEADLINE, eventually};
pub use wire::{Cable, End, Wire};

use deploy_apps::load::Report;
use serde_json::Value;

/// The final assertion of most tests.
#[track_caller]
pub fn none_lost(report: &Report) {
    assert!(report.ok > 0, "no request was answered, so none could be lost\n{}", report.table());
    assert_eq!(report.failures(), 0, "requests were lost\n{}", report.table());
}

/// The sum of the number at `pointer` over all events.
pub fn sum(events: &[Value], pointer: &str) -> u64 {
    events.iter().filter_map(|event| event.pointer(pointer)?.as_u64()).sum()
}
