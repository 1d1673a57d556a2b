//! A private engine in its own network namespace, which a test may kill, power off or fill up.

use std::fs::File;
use std::net::Ipv4Addr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use deploy_apps::docker::connect;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::{DEADLINE, FAULT_APP, docker, eventually, images, sweep};

/// Cleans up after an engine whose test was killed, such as by Ctrl-C. The arguments are the engine's address, its
/// name, its working directory and its folder. The last line may also end this script, which has that path in its
/// arguments.
const ORPHANED: &str = r#"
cat
docker -H "$1" ps -aq | xargs -r docker -H "$1" rm -f
ip netns delete "$2"
umount -l "$4/data"
rm -rf "$4"
pkill -KILL -f -- "$3"
"#;

/// Removed at the end of the test, with everything on it.
pub struct OwnEngine {
    /// Name of the namespace and of both ends of the veth pair.
    name: String,
    folder: TempDir,
    /// The address of published ports, as seen from this machine.
    pub address: Ipv4Addr,
    options: &'static [&'static str],
    daemon: Option<Child>,
    /// Holds the engine's mount namespace, which must outlive a daemon whose containers outlive it.
    mounts: Option<Child>,
    /// Containers that had processes when the daemon ended.
    alive: Vec<String>,
    /// Blocks on a read without data, so it cleans up when this process has been killed.
    guard: Option<Child>,
}

impl OwnEngine {
    /// `None` (test skipped) if such an engine cannot be created. Its disk has `megabytes`; `options` are added to the
    /// daemon's arguments, such as `--live-restore`.
    pub async fn start(test: &str, megabytes: u32, options: &'static [&'static str]) -> Option<Self> {
        let may =
            rustix::process::getuid().is_root() && ["ip", "nsenter", "unshare", "dockerd"].iter().all(|tool| has(tool));
        if !may {
            super::skipped(&format!("`{test}` needs root, dockerd, nsenter and ip for an engine of its own"));
            return None;
        }
        let shared = connect(|name| std::env::var(name).ok()).await.expect("an engine");
        // Boxed, like the start below: a test's future would otherwise be too large for its stack.
        Box::pin(images::prepare(&shared)).await;
        let number = super::scenario::random();
        let [third, fourth] = [number as u8, (number >> 8) as u8 & 0xfc];
        let folder = tempfile::Builder::new().prefix("e2e-engine-").tempdir().expect("a folder");
        let address = Ipv4Addr::new(10, 198, third, fourth | 2);
        let name = format!("e2e{:06x}", number >> 40);
        let mut engine =
            Self { name, folder, address, options, daemon: None, mounts: None, alive: Vec::new(), guard: None };
        engine.plug_in(Ipv4Addr::new(10, 198, third, fourth | 1), megabytes);
        engine.guard = Some(engine.guarded());
        Box::pin(engine.boot()).await;
        engine.load(&[FAULT_APP, &images::proxy_tag()]);
        Some(engine)
    }

    fn plug_in(&self, gateway: Ipv4Addr, megabytes: u32) {
        let (name, inside) = (&self.name, format!("{}b", self.name));
        let (gateway, address) = (format!("{gateway}/30"), format!("{}/30", self.address));
        sh(&["ip", "netns", "add", name]);
        sh(&["ip", "link", "add", name, "type", "veth", "peer", "name", &inside, "netns", name]);
        sh(&["ip", "address", "add", &gateway, "dev", name]);
        sh(&["ip", "link", "set", name, "up"]);
        for link in ["lo", &inside] {
            sh(&["ip", "-n", name, "link", "set", link, "up"]);
        }
        sh(&["ip", "-n", name, "address", "add", &address, "dev", &inside]);
        std::fs::create_dir(self.data()).expect("a folder");
        sh(&["mount", "-t", "tmpfs", "-o", &format!("size={megabytes}m"), name, &self.data().to_string_lossy()]);
    }

    /// In a new process group, like the daemon: Ctrl-C is for the test only.
    fn guarded(&self) -> Child {
        let mut guard = Command::new("sh");
        guard.args(["-c", ORPHANED, "sh", &self.host(), &self.name]).arg(self.run()).arg(self.folder.path());
        guard.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        guard.spawn().expect("sh")
    }

    /// Starts the daemon and waits until it answers. Kills processes of containers that the engine has lost, since it
    /// would assign their addresses to other containers.
    pub async fn boot(&mut self) {
        self.boot_as_it_is().await;
        let running = self.docker(&["ps", "-q", "--no-trunc"]);
        let alive = std::mem::take(&mut self.alive);
        // Containers that the daemon has started since are not affected.
        let forgotten = |container: &String| alive.contains(container) && !running.contains(container);
        for (shim, _) in self.shims().into_iter().filter(|(_, container)| forgotten(container)) {
            children_of(shim).into_iter().chain([shim]).for_each(|pid| send(pid, Signal::KILL));
        }
    }

    /// The same without killing lost processes.
    pub async fn boot_as_it_is(&mut self) {
        let log = File::options().create(true).append(true).open(self.folder.path().join("log")).expect("a log");
        let [data, run, pid] = [self.data(), self.run(), self.folder.path().join("pid")];
        let mounts = match &self.mounts {
            Some(holder) => holder.id(),
            None => self.hold_mounts().await,
        };
        let daemon = Command::new("nsenter")
            .arg(format!("--net=/var/run/netns/{}", self.name))
            .arg(format!("--mount=/proc/{mounts}/ns/mnt"))
            .args(["dockerd", "--data-root"])
            .arg(data)
            .arg("--exec-root")
            .arg(run)
            .arg("--pidfile")
            .arg(pid)
            .args(["--host", &self.host(), "--bip", "172.31.250.1/24"])
            .args(self.options)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn();
        self.daemon = Some(daemon.expect("nsenter"));
        let host = self.host();
        let answers = async || connect(|name| (name == "DOCKER_HOST").then(|| host.clone())).await.ok();
        eventually("the engine answers", DEADLINE, answers).await;
    }

    /// A mount namespace for the engine, which is removed with it. Its holder blocks on a read without data, so it also
    /// exits when this process is killed.
    async fn hold_mounts(&mut self) -> u32 {
        let mut holder = Command::new("unshare");
        holder.args(["-m", "cat"]).process_group(0).stdin(Stdio::piped()).stdout(Stdio::null());
        let holder = holder.spawn().expect("unshare");
        let id = holder.id();
        self.mounts = Some(holder);
        let namespace = |process: &str| std::fs::read_link(format!("/proc/{process}/ns/mnt")).expect("a process");
        let is_apart = async || (namespace(&id.to_string()) != namespace("self")).then_some(());
        eventually("a mount namespace of its own", DEADLINE, is_apart).await;
        id
    }

    /// Ends only the daemon. With SIGTERM it stops its containers first, unless live restore is on.
    pub fn end(&mut self, signal: Signal) {
        let Some(mut daemon) = self.daemon.take() else { return };
        send(daemon.id(), signal);
        daemon.wait().expect("its end");
        self.alive = self.shims().into_iter().map(|(_, container)| container).collect();
    }

    /// The shims of the containers, with their container ids.
    pub fn shims(&self) -> Vec<(u32, String)> {
        let run = self.run();
        let all = processes_with(&run).filter(|(_, command)| command.contains("containerd-shim"));
        all.filter_map(|(pid, command)| {
            Some((pid, command.split('\0').skip_while(|arg| *arg != "-id").nth(1)?.to_owned()))
        })
        .collect()
    }

    /// Kills everything at once and discards unsynced data.
    pub fn cut_power(&mut self) {
        let ids = self.docker(&["ps", "-q"]);
        let ids: Vec<&str> = ids.lines().collect();
        let contained = self.docker(&[&["inspect", "--format", "{{.State.Pid}}"], &*ids].concat());
        self.end(Signal::KILL);
        let run = self.run();
        // containerd before its shims, as it would clean up after them.
        for helper in ["containerd\0", "shim"] {
            processes_with(&run)
                .filter(|(_, command)| command.contains(helper))
                .for_each(|(pid, _)| send(pid, Signal::KILL));
        }
        contained.lines().filter_map(|pid| pid.parse().ok()).for_each(|pid| send(pid, Signal::KILL));
        self.alive.clear();
        drop(std::fs::remove_dir_all(run));
        drop(std::fs::remove_file(self.folder.path().join("pid")));
        if let Some(mut holder) = self.mounts.take() {
            drop(holder.stdin.take());
            holder.wait().expect("its end");
        }
    }

    /// Copies images from the shared engine.
    pub fn load(&self, images: &[&str]) {
        let images = sweep::with_built(images);
        let mut save = Command::new("docker").arg("save").args(images).stdout(Stdio::piped()).spawn().expect("docker");
        let archive = save.stdout.take().expect("piped");
        let mut load = Command::new("docker");
        load.args(["-H", &self.host(), "load", "-q"]).stdin(archive).stdout(Stdio::null());
        assert!(load.status().expect("docker").success(), "the images were not loaded");
        assert!(save.wait().expect("docker").success(), "the images were not saved");
    }

    /// Runs the docker CLI on this engine.
    pub fn docker(&self, args: &[&str]) -> String {
        docker(&[&["-H", &*self.host()], args].concat())
    }

    /// For `DOCKER_HOST`.
    pub fn host(&self) -> String {
        format!("unix://{}", self.folder.path().join("sock").display())
    }

    /// The engine's data folder, as seen by this process.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn run(&self) -> PathBuf {
        self.folder.path().join("run")
    }
}

impl Drop for OwnEngine {
    fn drop(&mut self) {
        if let Some(mut guard) = self.guard.take() {
            drop(guard.kill());
            drop(guard.wait());
        }
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("--- last lines of the engine\n{}", lines[lines.len().saturating_sub(30)..].join("\n"));
        }
        if self.daemon.is_some() {
            let ids = self.docker(&["ps", "-aq"]);
            self.docker(&[&["rm", "-f"], &*ids.lines().collect::<Vec<_>>()].concat());
            self.cut_power();
        }
        drop(Command::new("umount").arg("-l").arg(self.data()).status());
        drop(Command::new("ip").args(["netns", "delete", &self.name]).status());
    }
}

fn has(tool: &str) -> bool {
    Command::new(tool).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

fn sh(command: &[&str]) {
    let status = Command::new(command[0]).args(&command[1..]).status().expect("a command that was found before");
    assert!(status.success(), "{command:?}");
}

/// Processes with this path in their arguments.
fn processes_with(path: &Path) -> impl Iterator<Item = (u32, String)> {
    let path = path.to_string_lossy().into_owned();
    let ids = std::fs::read_dir("/proc").expect("a process list").flatten();
    ids.filter_map(move |entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let command = String::from_utf8_lossy(&std::fs::read(entry.path().join("cmdline")).ok()?).into_owned();
        command.contains(&path).then_some((pid, command))
    })
}

/// The running child processes.
pub fn children_of(pid: u32) -> Vec<u32> {
    let listed = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    listed.split_whitespace().filter_map(|child| child.parse().ok()).collect()
}

fn send(pid: u32, signal: Signal) {
    // A process that has already exited is fine.
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

/// The time limit for containers to restart with their engine.
pub const RESTART: Duration = Duration::from_secs(120);
