//! deploy-apps replaces running versions of HTTP apps on a Docker host without dropping one request.
//!
//! Data flows one way through the crate; modules are listed in that order:
//!
//! compose.yaml → [`model::Project`] → (ask engine and proxy once) → [`model::ObservedState`] →
//! [`plan::Plan`] → execute, emitting [`event::Event`]s → reporters → [`event::Outcome`] → exit code.
//!
//! | layer | modules | may use |
//! |---|---|---|
//! | L0 | [`model`], [`local`] | nothing of the crate |
//! | L1 | [`plan`], [`event`], [`diagnosis`] | L0 |
//! | L2 | [`ports`] | L0, L1 |
//! | L3 | [`compose`], [`docker`], [`proxy`], [`load`], [`rollout`], [`report`], [`telemetry`], [`notify`], [`scaffold`], [`dashboard`] | L0–L2, never each other |
//! | L4 | [`cli`] | all |
//!
//! A test reads the `use` lines of every file and fails with the one that points upwards or sideways.

#![forbid(unsafe_code)]
// They end the process when nobody reads any more; `cli::output` has those that do not.
#![cfg_attr(not(test), deny(clippy::print_stdout, clippy::print_stderr))]

pub mod local;
pub mod model;

pub mod diagnosis;
pub mod event;
pub mod plan;

pub mod ports;

pub mod compose;
pub mod dashboard;
pub mod docker;
pub mod load;
pub mod notify;
pub mod proxy;
pub mod report;
pub mod rollout;
pub mod scaffold;
pub mod telemetry;

pub mod cli;
