//! Decides. From what is wished and what there is to a complete list of steps, each with its reason.
//!
//! Pure and total: no async, clock, environment, prompt or log. Nothing is left for execution to choose.

mod accessories;
mod accessory;
mod accessory_container;
mod accessory_plan;
mod app;
mod as_it_is;
mod ask;
mod batches;
mod clash;
mod deploy;
mod display;
mod drift;
mod facts;
mod goal;
mod hooks;
mod hosts;
mod images;
mod laws;
mod mounted;
mod once;
mod one_off;
mod order;
mod orphans;
#[expect(clippy::module_inception, reason = "the plan itself is the main word of this folder")]
mod plan;
mod preview;
mod proxy;
mod prune;
mod refusal;
mod removal;
mod remove;
mod repair;
mod replicas;
mod rollback;
mod rollback_target;
mod routes;
mod saved;
mod situation;
mod stage;
mod standing;
mod step;
mod step_kind;
mod succession;
mod takeover;
mod undo;
mod way;

pub use accessories::lost_networks;
pub use ask::{DeployOptions, Intent};
pub use deploy::plan_deploy;
pub use drift::{Drift, drift};
pub use facts::{Facts, facts};
pub use images::{built_image, release_tag};
pub use laws::{Broken, check_laws};
pub use once::RUN_ONCE_LIMIT;
pub use one_off::{OneOff, idle_one_offs, one_off_key, plan_one_off};
pub use orphans::{accessories_on_host, deployed_apps, orphans, orphans_of_run};
pub use plan::{AppPlan, Plan, Verdict};
pub use preview::Preview;
pub use proxy::{ProxyImage, address_pool, plan_lost_network, plan_proxy, plan_proxy_upgrade, proxy_drift};
pub use prune::{AppPruning, plan_dangling, plan_prune};
pub use refusal::PlanRefused;
pub use removal::{DownOptions, Removal, RemoveOptions};
pub use remove::{plan_down, plan_remove};
pub use repair::plan_repair;
pub use rollback::rollback_targets;
pub use rollback_target::{NoTarget, RollbackTarget};
pub use saved::{SavedPlan, SavedPlanError};
pub use stage::{Because, Planned, Stage};
pub use standing::{
    AccessoryStanding, AppStanding, AppState, Part, ReplicaStanding, Seen, accessories_standing, apps_standing,
};
pub use step::{Comeback, Expect, FlipChange, Gate, Limits, Look, Step};
pub use takeover::{compose_lines, interim, is_begun, plan_hand_over, port_holders};
