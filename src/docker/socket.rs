//! A unix socket inside a container: opened directly where the engine is on this machine, else through a process in there.

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

/// Dials a socket inside a container.
///
/// Starting a process in there takes the engine about 100 ms; opening the socket itself takes none. The kernel allows that
/// to whom it would allow to look into the process, most often root. Everybody else takes the longer way, which also says what is wrong
/// where there is no way at all.
#[derive(Clone)]
pub struct SocketDial {
    engine: DockerEngine,
    container: String,
    socket: &'static str,
    process: ExecDial,
    /// Until it was seen that it cannot be, so that each dial does not ask again.
    may_be_near: Arc<AtomicBool>,
}

impl SocketDial {
    /// `socket` is an absolute path in the container, in which there must be `socat` for the way through a process.
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
        // One that is paused takes connections and answers none; the engine says so to who starts a process in it.
        if state.running != Some(true) || state.paused == Some(true) {
            return None;
        }
        let Some(root) = root_of(state.pid?, &container.id?) else {
            self.may_be_near.store(false, Ordering::Relaxed);
            return None;
        };
        // Resolved as the container's own processes would: a link in there never leads out of it.
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
/// `None` when this machine has no such process of this container, or does not show it to us. A socket to the engine may be
/// forwarded from another machine, or we may be in a container ourselves; then the number is that of a stranger. Its
/// control group tells: there the engine writes the container's whole random id.
fn root_of(pid: i64, container_id: &str) -> Option<OwnedFd> {
    let folder = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    // Held open, it stays this process's: when that ends and another gets its number, nothing is found in it.
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
    fn a_process_of_another_container_or_machine_is_not_looked_into() {
        let own = i64::from(std::process::id());
        assert!(root_of(own, &"0123456789abcdef".repeat(4)).is_none(), "the group of this test has no such name");
        assert!(root_of(own, "").is_none(), "no name is in every group");
        assert!(root_of(0, "x").is_none() && root_of(-1, "x").is_none());
    }
}
