//! Carries a plan out.
//!
//! `deploy` is the whole of it: the proxy, the lease, and then observe, plan and execute until every app is at its end.
//! `AppRun` is one app's part of it, `Executor` keeps the order of the steps, `Performer` performs one, `Undo` leads back,
//! `LeaseKeeper` holds the lock. A step is one call of a port or one bounded wait; every polling loop stands in `wait`,
//! `gate`, `flip` or `lease`.

mod app_run;
mod atomic;
mod attempts;
mod canary;
mod certificates;
mod cleanup;
mod deploy;
mod disk;
mod events;
mod execute;
mod executor;
mod failure;
mod flip;
mod gate;
mod handover;
mod history;
mod hooks;
mod interrupt;
mod lease;
mod look;
mod look_back;
mod observe;
mod one_off;
mod order;
mod parts;
mod performer;
mod preview;
mod probed;
mod proxy;
mod prune;
mod remove;
mod repair;
mod request;
mod result;
mod run;
mod scope;
mod share;
mod stop;
mod takeover;
mod undo;
mod upgrade;
mod wait;

pub use certificates::upgrade_certificates;
pub use deploy::{deploy, deploy_saved};
pub use disk::DiskBudget;
pub use events::Sink;
pub use failure::{DeployError, StepFailure};
pub use interrupt::{InterruptRequest, interrupt};
pub use look::{Snapshot, look, restarting};
pub use observe::{Pulls, observe, observe_for};
pub use one_off::{make_one_off, remove_one_off};
pub use order::order;
pub use preview::preview;
pub use proxy::prepare_proxy;
pub use prune::{PruneRequest, Pruned, PrunedApp, prune};
pub use remove::{RemovalScope, RemoveRequest, Removed, look_at_removal, remove};
pub use repair::{Repaired, repair};
pub use request::DeployRequest;
pub use result::AppResult;
pub use run::{Run, StepHook};
pub use scope::Tally;
pub use upgrade::{Upgraded, await_retired, upgrade_proxy};
