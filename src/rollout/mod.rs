//! Carries a plan out: observe, execute, perform, undo.
//!
//! `deploy` is the whole sentence. A step is performed by one call of a port or by one bounded wait; every polling
//! loop of the crate's core stands in `wait` or `gate`.

mod atomic;
mod cleanup;
mod deploy;
mod execute;
mod failure;
mod gate;
mod history;
mod lease;
mod look;
mod look_back;
mod observe;
mod one_off;
mod parts;
mod perform;
mod preview;
mod probed;
mod proxy;
mod prune;
mod remove;
mod repair;
mod request;
mod run;
mod share;
mod steps;
mod takeover;
mod undo;
mod wait;

pub use deploy::{deploy, deploy_saved};
pub use execute::AppResult;
pub use failure::{DeployError, StepFailure};
pub use look::{Snapshot, look, restarting};
pub use observe::{Pulls, observe, observe_for};
pub use one_off::{make_one_off, remove_one_off};
pub use preview::preview;
pub use proxy::{prepare_proxy, upgrade_proxy};
pub use prune::{PruneRequest, Pruned, PrunedApp, prune};
pub use remove::{RemovalScope, RemoveRequest, Removed, look_at_removal, remove};
pub use repair::{Repaired, repair};
pub use request::DeployRequest;
pub use run::{DiskBudget, Run, Sink, StepHook, Tally};
