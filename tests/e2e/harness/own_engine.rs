//! An engine of a test's own, in a network namespace of its own: it may be killed, cut off from power and filled up.

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

/// What is left to do for an engine whose test was killed, with Ctrl-C for one. Its arguments are the engine's address, its
/// name, where it runs and its folder. The last line may end this script too, which has that path among its arguments.
const ORPHANED: &str = r#"
cat
docker -H "$1" ps -aq | xargs -r docker -H "$1" rm -f
ip netns delete "$2"
umount -l "$4/data"
rm -rf "$4"
pkill -KILL -f -- "$3"
"#;

/// Ends with the test, and everything on it.
pub struct OwnEngine {
    /// Of the namespace and of both ends of the cable to it.
    name: String,
    folder: TempDir,
    /// Where published ports are reached from this machine.
    pub address: Ipv4Addr,
    options: &'static [&'static str],
    daemon: Option<Child>,
    /// Lives in the mount namespace of the engine, which has to outlive a daemon whose containers outlive it.
    mounts: Option<Child>,
    /// Containers that had processes when the daemon ended.
    alive: Vec<String>,
    /// Reads what we never write, so it cleans up when this process has been killed.
    guard: Option<Child>,
}

impl OwnEngine {
    /// `None`, as a skipped test, where such an engine cannot be made. Its disk has `megabytes`; the daemon gets `options`
    /// too, such as `--live-restore`.
    pub async fn start(test: &str, megabytes: u32, options: &'static [&'static str]) -> Option<Self> {
        let may =
            rustix::process::getuid().is_root() && ["ip", "nsenter", "unshare", "dockerd"].iter().all(|tool| has(tool));
        if !may {
            super::skipped(&format!("`{test}` needs root, dockerd, nsenter and ip for an engine of its own"));
            return None;
        }
        let shared = connect(|name| std::env::var(name).ok()).await.expect("an engine");
        // Boxed, like the start below: a test's own future would else be too large for its stack.
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

    /// In a process group of its own, like the daemon: Ctrl-C is for the test alone.
    fn guarded(&self) -> Child {
        let mut guard = Command::new("sh");
        guard.args(["-c", ORPHANED, "sh", &self.host(), &self.name]).arg(self.run()).arg(self.folder.path());
        guard.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        guard.spawn().expect("sh")
    }

    /// Starts the daemon and waits until it answers. A machine whose engine has forgotten a process of a container would
    /// give that one's address to another: such processes end here.
    pub async fn boot(&mut self) {
        self.boot_as_it_is().await;
        let running = self.docker(&["ps", "-q", "--no-trunc"]);
        let alive = std::mem::take(&mut self.alive);
        // What the daemon has begun to start since is none of these.
        let forgotten = |container: &String| alive.contains(container) && !running.contains(container);
        for (shim, _) in self.shims().into_iter().filter(|(_, container)| forgotten(container)) {
            children_of(shim).into_iter().chain([shim]).for_each(|pid| send(pid, Signal::KILL));
        }
    }

    /// The same, and what the daemon has forgotten lives on.
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

    /// Mounts in a namespace of their own: they go with the machine that this engine stands for. Its holder reads what we
    /// never write, so it also goes when this process is killed.
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

    /// Ends the daemon alone; with SIGTERM it stops its containers first, unless they are to outlive it.
    pub fn end(&mut self, signal: Signal) {
        let Some(mut daemon) = self.daemon.take() else { return };
        send(daemon.id(), signal);
        daemon.wait().expect("its end");
        self.alive = self.shims().into_iter().map(|(_, container)| container).collect();
    }

    /// What keeps the containers' processes, and the container of each.
    pub fn shims(&self) -> Vec<(u32, String)> {
        let run = self.run();
        let all = processes_with(&run).filter(|(_, command)| command.contains("containerd-shim"));
        all.filter_map(|(pid, command)| {
            Some((pid, command.split('\0').skip_while(|arg| *arg != "-id").nth(1)?.to_owned()))
        })
        .collect()
    }

    /// Everything dies at once, and what is not on disk is gone.
    pub fn cut_power(&mut self) {
        let ids = self.docker(&["ps", "-q"]);
        let ids: Vec<&str> = ids.lines().collect();
        let contained = self.docker(&[&["inspect", "--format", "{{.State.Pid}}"], &*ids].concat());
        self.end(Signal::KILL);
        let run = self.run();
        // containerd before its shims, or it would tidy up after them.
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

    /// The engine's own command.
    pub fn docker(&self, args: &[&str]) -> String {
        docker(&[&["-H", &*self.host()], args].concat())
    }

    /// For `DOCKER_HOST`.
    pub fn host(&self) -> String {
        format!("unix://{}", self.folder.path().join("sock").display())
    }

    /// The engine's disk, as this process sees it.
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

/// Processes that have this path among their arguments.
fn processes_with(path: &Path) -> impl Iterator<Item = (u32, String)> {
    let path = path.to_string_lossy().into_owned();
    let ids = std::fs::read_dir("/proc").expect("a process list").flatten();
    ids.filter_map(move |entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let command = String::from_utf8_lossy(&std::fs::read(entry.path().join("cmdline")).ok()?).into_owned();
        command.contains(&path).then_some((pid, command))
    })
}

/// The processes that it has started and that have not ended.
pub fn children_of(pid: u32) -> Vec<u32> {
    let listed = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    listed.split_whitespace().filter_map(|child| child.parse().ok()).collect()
}

fn send(pid: u32, signal: Signal) {
    // One that is gone already is as dead as it shall be.
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

/// How long containers may take to be back after their engine is.
pub const RESTART: Duration = Duration::from_secs(120);
