//! Swarm's start-first update is not measured; this tool only reports the reason.

use std::path::Path;

use crate::common::Result;

/// # Errors
/// Always, with the reason on this machine.
pub fn look() -> Result<String> {
    if Path::new("/proc/net/ip_vs").exists() {
        let why =
            "not measured: it would put the engine into a swarm, and a benchmark must not change the engine it finds";
        return Err(why.into());
    }
    Err("not here: the kernel has no IPVS, without which no address of a Swarm service answers".into())
}
