//! Free disk space of the engine, and the space used by its images.

use bytes::Bytes;
use futures_util::TryStreamExt;
use serde::Deserialize;
use tokio::io::AsyncReadExt;

use super::api::redirected;
use super::errors;
use super::exec::ExecDial;
use super::{CALL_LIMIT, DockerEngine, bounded};
use crate::model::{DiskSpace, ProxyName};
use crate::ports::{Dial, EngineError, EngineErrorKind};

/// Mount point of the proxy's state volume, which is on the engine's disk.
const STATE: &str = "/var/lib/deploy-apps";

/// For a local engine the file system is queried. For a remote engine, `df` runs in the proxy's container, whose state
/// volume is on the engine's disk. Without a proxy the answer is unknown.
pub(super) async fn disk(engine: &DockerEngine, proxy: &ProxyName) -> Result<Option<DiskSpace>, EngineError> {
    let info = engine.call("ask the engine where it keeps its data", engine.client.info()).await?;
    let root = info.docker_root_dir.unwrap_or_default();
    // A local socket may be forwarded: the engine is local only if host name and kernel match.
    let here = rustix::system::uname();
    let same =
        |known: Option<&str>, ours: &std::ffi::CStr| known.is_some_and(|known| ours.to_bytes() == known.as_bytes());
    let is_here = same(info.name.as_deref(), here.nodename()) && same(info.kernel_version.as_deref(), here.release());
    if is_here && let Ok(found) = rustix::fs::statvfs(root.as_str()) {
        return Ok(Some(DiskSpace {
            path: root,
            size: found.f_blocks * found.f_frsize,
            free: found.f_bavail * found.f_frsize,
        }));
    }
    Ok(through_the_proxy(engine, proxy).await.map(|(size, free)| DiskSpace { path: root, size, free }))
}

/// `None` when the proxy does not run, as before the first deploy.
async fn through_the_proxy(engine: &DockerEngine, proxy: &ProxyName) -> Option<(u64, u64)> {
    let command = ["df", "-P", "-B1", STATE].map(str::to_owned).to_vec();
    let dial = ExecDial::new(engine.clone(), proxy.container(), command);
    let mut text = String::new();
    let read = async {
        let mut output = dial.dial().await.ok()?;
        output.read_to_string(&mut text).await.ok()
    };
    tokio::time::timeout(CALL_LIMIT, read).await.ok()??;
    parse_df(&text)
}

/// Size and free bytes from the last line of `df -P -B1`.
fn parse_df(text: &str) -> Option<(u64, u64)> {
    let mut words = text.trim().lines().next_back()?.split_whitespace().skip(1);
    let size = words.next()?.parse().ok()?;
    let free = words.nth(1)?.parse().ok()?;
    Some((size, free))
}

/// The field of the engine's answer that bollard's type lacks.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Usage {
    layers_size: Option<u64>,
}

pub(super) async fn image_bytes(engine: &DockerEngine) -> Result<u64, EngineError> {
    let doing = "ask the engine what its images take";
    // Engines before 23 ignore `type` and count everything, which is slower but gives the same result.
    let client = redirected(engine, "/system/df?type=image");
    let answer = bounded(doing, CALL_LIMIT, async {
        let chunks: Vec<Bytes> =
            client.export_container("").try_collect().await.map_err(|error| errors::explain(doing, &error))?;
        Ok(chunks.concat())
    });
    let usage: Usage = serde_json::from_slice(&answer.await?).map_err(|error| {
        EngineError::new(EngineErrorKind::Other, format!("could not {doing}: its answer is not understood ({error})"))
    })?;
    Ok(usage.layers_size.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_from_dfs_last_line() {
        let text =
            "Filesystem 1-blocks Used Available Capacity Mounted on\n/dev/vda 42 30 12 71% /var/lib/deploy-apps\n";
        assert_eq!(parse_df(text), Some((42, 12)));
        assert_eq!(parse_df("df: /var/lib/deploy-apps: No such file or directory\n"), None);
    }
}
