//! Read-only queries of the engine.

use std::collections::BTreeMap;

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;

use super::{DockerEngine, access_log, containers, logs, observe, shell};
use crate::model::{Lifetime, ProxyName};
use crate::ports::{EngineError, InspectEngine, LogRequest, LogStream, Resident, Shell, ShellRequest, Starts};

/// Concurrent requests: enough to hide round trips, without slowing down the engine for others.
const AT_ONCE: usize = 16;

async fn lifetime(engine: &DockerEngine, id: String) -> Result<Option<(String, Lifetime)>, EngineError> {
    let Some(container) = containers::inspect(engine, &id).await? else { return Ok(None) };
    let state = container.state.unwrap_or_default();
    let runs = state.running.unwrap_or_default();
    let lifetime = Lifetime {
        created_at: container.created.and_then(|at| Timestamp::from_millisecond(at.timestamp_millis()).ok()),
        started_at: state.started_at.as_deref().and_then(time),
        finished_at: state.finished_at.as_deref().and_then(time).filter(|_| !runs),
        restarts: container.restart_count.and_then(|count| u64::try_from(count).ok()).unwrap_or_default(),
    };
    Ok(Some((id, lifetime)))
}

/// The engine reports `0001-01-01T00:00:00Z` for never.
fn time(text: &str) -> Option<Timestamp> {
    text.parse().ok().filter(|at| *at > Timestamp::UNIX_EPOCH)
}

impl InspectEngine for DockerEngine {
    async fn residents(&self) -> Result<Vec<Resident>, EngineError> {
        self.again(|| observe::residents(self)).await
    }

    async fn lifetimes(&self, ids: &[String]) -> Result<BTreeMap<String, Lifetime>, EngineError> {
        stream::iter(ids.to_vec())
            .map(|id| lifetime(self, id))
            .buffer_unordered(AT_ONCE)
            .try_filter_map(|found| std::future::ready(Ok(found)))
            .try_collect()
            .await
    }

    fn logs(&self, container: &str, request: &LogRequest) -> LogStream {
        logs::logs(self, container, request)
    }

    fn access_log(&self, proxy: &str, request: &LogRequest) -> LogStream {
        access_log::access_log(self, proxy, request)
    }

    fn starts(&self, proxy: &ProxyName, since: Timestamp) -> Starts {
        logs::starts(self, proxy, since)
    }

    async fn shell(&self, request: &ShellRequest) -> Result<Shell, EngineError> {
        shell::shell(self, request).await
    }

    async fn attach(&self, container: &str) -> Result<Shell, EngineError> {
        shell::attach(self, container).await
    }

    async fn resize_container(&self, container: &str, columns: u16, rows: u16) -> Result<(), EngineError> {
        shell::resize_container(self, container, columns, rows).await
    }

    async fn resize_shell(&self, id: &str, columns: u16, rows: u16) -> Result<(), EngineError> {
        shell::resize(self, id, columns, rows).await
    }

    async fn shell_exit(&self, id: &str) -> Result<i64, EngineError> {
        shell::exit(self, id).await
    }
}
