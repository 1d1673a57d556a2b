//! Sends bounded load and counts every failure. Used by `drain-test` and the end-to-end tests.
//!
//! The clients write HTTP/1.1 to plain TCP streams. HTTP libraries retry a request when a keep-alive connection is
//! dead, and report a reset as "connection closed"; both would hide the failures that this product claims not to cause.
//! Here no request is sent twice, and each failure is counted by its own cause.
//!
//! ```no_run
//! # use std::time::Duration;
//! # use deploy_apps::load::{Expect, Load, LoadConfig, Phase, Traffic};
//! # async fn prove() -> Result<(), Box<dyn std::error::Error>> {
//! let config = LoadConfig::new("127.0.0.1:8080".parse()?, "go-app.localhost")
//!     .send(64, Traffic::post("/upload", Expect::ByteCount))
//!     .send(4, Traffic::sleeper("/sleep?for=25s"))
//!     .bounded(Duration::from_secs(60), 1_000_000);
//! let load = Load::start(config).await?;
//! load.set_phase(Phase::Deploying);
//! // … deploy …
//! load.set_phase(Phase::Steady);
//! let report = load.stop().await;
//! assert_eq!(report.failures(), 0, "{}", report.table());
//! # Ok(()) }
//! ```

mod clients;
mod config;
mod failure;
mod lane;
mod ledger;
mod report;
mod run;
mod table;
mod wire;

#[cfg(test)]
mod tests;

pub use config::{Expect, Group, Kind, LoadConfig, LoadRefused, Traffic};
pub use failure::{Cause, FailedRequest};
pub use ledger::{Phase, Progress};
pub use report::{Gap, KindReport, Latencies, Latency, Report};
pub use run::Load;
