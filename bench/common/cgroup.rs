//! Resource usage of a container from its cgroup: exact, without the sampling interval of a daemon.

use std::fs;
use std::path::PathBuf;

use super::Result;
use super::host::docker;

/// The cgroups of a running container, v1 or v2.
#[derive(Debug)]
pub struct Cgroup {
    memory: PathBuf,
    cpu: PathBuf,
}

impl Cgroup {
    pub async fn of(container: &str) -> Result<Self> {
        let pid = docker(&["inspect", "--format", "{{.State.Pid}}", container]).await?;
        let lines = fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
        // `4:memory:/docker/…` in version 1, `0::/…` in version 2.
        let path = |controller: &str| {
            let of = lines.lines().find_map(|line| {
                let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
                controllers.split(',').any(|name| name == controller).then_some(path.to_owned())
            })?;
            Some(PathBuf::from(format!("/sys/fs/cgroup/{controller}{of}"))).filter(|path| path.exists())
        };
        let unified = lines.lines().find_map(|line| line.strip_prefix("0::"));
        let unified = unified.map(|path| PathBuf::from(format!("/sys/fs/cgroup{path}")));
        let either = |controller| path(controller).or_else(|| unified.clone()).ok_or("the container has no cgroup");
        Ok(Self { memory: either("memory")?, cpu: either("cpuacct")? })
    }

    /// CPU time in seconds, of all its processes including finished ones.
    pub fn processor_seconds(&self) -> Result<f64> {
        if let Ok(nanos) = fs::read_to_string(self.cpu.join("cpuacct.usage")) {
            return Ok(nanos.trim().parse::<f64>()? / 1e9);
        }
        Ok(self.field(&self.cpu.join("cpu.stat"), "usage_usec")? / 1e6)
    }

    /// Memory of its processes, including shared memory, without the page cache.
    pub fn memory_bytes(&self) -> Result<f64> {
        let stat = self.memory.join("memory.stat");
        let own = self.field(&stat, "total_rss").or_else(|_| self.field(&stat, "anon"))?;
        let shared = self.field(&stat, "total_shmem").or_else(|_| self.field(&stat, "shmem")).unwrap_or(0.0);
        Ok(own + shared)
    }

    fn field(&self, file: &std::path::Path, name: &str) -> Result<f64> {
        let text = fs::read_to_string(file)?;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok(value.ok_or_else(|| format!("`{}` has no `{name}`", file.display()))?.trim().parse()?)
    }
}
