//! Room on the engine's disk.

use super::failure::DeployError;
use crate::model::{Bytes, ProxyName};
use crate::plan::PlanRefused;
use crate::ports::Engine;

/// How much must be free on the engine's disk before a build or a pull begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskBudget {
    /// Whose container tells about a disk that is on another machine.
    pub proxy: ProxyName,
    /// In bytes; `None` is what the disk's size suggests.
    pub minimum: Option<u64>,
}

impl DiskBudget {
    /// A disk that nobody can ask about is taken as it is.
    pub(super) async fn check<E: Engine>(&self, engine: &E) -> Result<(), DeployError> {
        let Ok(Some(disk)) = engine.disk(&self.proxy).await else { return Ok(()) };
        let minimum = self.minimum.unwrap_or_else(|| disk.minimum());
        if disk.free >= minimum {
            return Ok(());
        }
        let (free, size, minimum) = (Bytes(disk.free), Bytes(disk.size), Bytes(minimum));
        Err(PlanRefused::DiskLow { path: disk.path, free, size, minimum }.into())
    }
}
