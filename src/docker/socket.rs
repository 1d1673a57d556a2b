//! Connects to a unix socket in a container: directly if the engine is local, else through a process in the container.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{Mode, OFlags, ResolveFlags, open, openat, openat2};
use tokio::net::UnixStream;

use super::DockerEngine;
use super::containers;
use super::exec::ExecDial;
use crate::ports::{Dial, Dialing, Duplex, EngineError};

/// Connects to a socket inside a container.
///
/// Starting a process in the container takes the engine about 100 ms; a direct connection takes none. The kernel allows
/// it to users who may inspect the process, usually root. In all other cases the process is used, which also reports
/// what is wrong if both fail.
#[derive(Clone)]
pub struct SocketDial {
    engine: DockerEngine,
    container: String,
    socket: &'static str,
    process: ExecDial,
    /// Cleared when the direct way has failed, so that it is not tried again.
    may_be_near: Arc<AtomicBool>,
}

impl SocketDial {
    /// `socket` is an absolute path in the container. The container needs `socat` for the connection through a process.
    #[must_use]
    pub fn new(engine: DockerEngine, container: impl Into<String>, socket: &'static str) -> Self {
        let container = container.into();
        let command = vec!["socat".to_owned(), "-".to_owned(), format!("UNIX-CONNECT:{socket}")];
        let process = ExecDial::new(engine.clone(), container.clone(), command);
        let may_be_near = Arc::new(AtomicBool::new(engine.link.is_none()));
        Self { engine, container, socket, process, may_be_near }
    }

    async fn open(&self) -> Result<Box<dyn Duplex>, EngineError> {
        if self.may_be_near.load(Ordering::Relaxed)
            && let Some(stream) = self.directly().await
        {
            return Ok(Box::new(stream));
        }
        self.process.dial().await
    }

    async fn directly(&self) -> Option<UnixStream> {
        let container = containers::inspect(&self.engine, &self.container).await.ok()??;
        let state = container.state?;
        // A paused process accepts connections but does not answer; the engine reports it when a process is to be
        // started.
        if state.running != Some(true) || state.paused == Some(true) {
            return None;
        }
        let Some(root) = root_of(state.pid?, &container.id?) else {
            self.may_be_near.store(false, Ordering::Relaxed);
            return None;
        };
        // Resolved as for the container's own processes: a symlink never leads out of it.
        let path = OFlags::PATH | OFlags::CLOEXEC;
        let socket = openat2(&root, self.socket, path, Mode::empty(), ResolveFlags::IN_ROOT).ok()?;
        UnixStream::connect(format!("/proc/self/fd/{}", socket.as_raw_fd())).await.ok()
    }
}

impl Dial for SocketDial {
    fn dial(&self) -> Dialing<'_> {
        Box::pin(self.open())
    }
}

/// The root folder of the container's process `pid`.
///
/// `None` when this machine has no such process of this container, or access is denied. The engine's socket may be
/// forwarded from another machine, or we may run in a container; then the pid is that of another process. The cgroup
/// identifies it: its path contains the container's full id.
fn root_of(pid: i64, container_id: &str) -> Option<OwnedFd> {
    let folder = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    // The open handle stays bound to this process: if it exits and the pid is reused, nothing is found in it.
    let process = open(format!("/proc/{pid}"), folder, Mode::empty()).ok()?;
    let mut groups = String::new();
    let file = openat(&process, "cgroup", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    File::from(file).read_to_string(&mut groups).ok()?;
    if container_id.is_empty() || !groups.contains(container_id) {
        return None;
    }
    openat(&process, "root", folder, Mode::empty()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_of_another_container_is_refused() {
        let own = i64::from(std::process::id());
        assert!(root_of(own, &"0123456789abcdef".repeat(4)).is_none(), "the group of this test has no such name");
        assert!(root_of(own, "").is_none(), "no name is in every group");
        assert!(root_of(0, "x").is_none() && root_of(-1, "x").is_none());
    }
}
