//! Kills the process after a given step, for tests that prove that a crash at any point is harmless.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::plan::Step;
use crate::rollout::StepHook;

/// The step after which the process kills itself with SIGKILL: its number from 1, or the beginning of its text.
pub const CRASH_AFTER: &str = "DEPLOY_APPS_CRASH_AFTER";

/// `None` unless the variable is set.
pub fn crash_hook() -> Option<StepHook> {
    let place = std::env::var(CRASH_AFTER).ok().filter(|place| !place.is_empty())?;
    let done = AtomicU64::new(0);
    Some(Arc::new(move |step: &Step| {
        let number = done.fetch_add(1, Ordering::SeqCst) + 1;
        let is_here =
            place.parse() == Ok(number) || (place.parse::<u64>().is_err() && step.to_string().starts_with(&place));
        if is_here {
            // SIGKILL: no destructor runs, and no connection is closed properly.
            let killed = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
            if let Err(error) = killed {
                errln!("{CRASH_AFTER}: {error}");
            }
        }
    }))
}
