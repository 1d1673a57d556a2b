//! Finds processes of containers that the engine no longer knows.
//!
//! An engine that is killed while it starts a container treats it as never started, and removes it on request. The
//! process keeps running without being listed or reachable by any call. It is visible only on the engine's host.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::model::ForgottenProcess;

/// A start takes one or two seconds on a busy machine, and until its end the engine does not list the container as
/// running.
const OLD_ENOUGH_S: u64 = 10;

/// The containerd shim of a container; there is one per container.
struct Shim {
    pid: u32,
    container: String,
    engine: EngineMark,
}

/// Identifies the engine that a shim belongs to.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct EngineMark {
    /// The socket of its containerd. An engine in a container (Docker-in-Docker) has the same path in its own file
    /// system.
    address: String,
    /// Its mount and process namespaces; `None` when this user may not read them.
    namespaces: Option<[PathBuf; 2]>,
    /// The containers that it runs in, outermost first; empty for an engine on the host.
    inside: Vec<String>,
}

/// Lost processes of the engine that runs the containers `running` (full ids), from `/proc` at `root`. Without a known
/// running container the engine cannot be identified, and nothing is reported.
pub(super) fn forgotten(root: &Path, running: &BTreeSet<String>) -> Vec<ForgottenProcess> {
    let pids = || {
        let entries = fs::read_dir(root).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
    };
    let shims: Vec<Shim> = pids().filter_map(|pid| Shim::read(root, pid)).collect();
    let known = |shim: &&Shim| running.contains(&shim.container);
    let ours: BTreeSet<&EngineMark> = shims.iter().filter(known).map(|shim| &shim.engine).collect();
    let lost: Vec<&Shim> = shims
        .iter()
        .filter(|shim| ours.contains(&shim.engine) && !running.contains(&shim.container))
        // Processes inside of a container that the engine knows are not lost.
        .filter(|shim| !shim.engine.inside.iter().any(|outer| running.contains(outer)))
        .collect();
    if lost.is_empty() {
        return Vec::new();
    }
    let Some(now) = uptime(root) else { return Vec::new() };
    let of_known = |process: &ForgottenProcess| {
        containers_of(root, process.pid).is_none_or(|all| all.iter().any(|container| running.contains(container)))
    };
    let mut found: Vec<_> = pids().filter_map(|pid| first_process(root, pid, &lost, now)).collect();
    found.retain(|process| !of_known(process));
    found.sort_by_key(|process| process.pid);
    found
}

impl Shim {
    fn read(root: &Path, pid: u32) -> Option<Self> {
        let args = command_line(root, pid)?;
        let after = |name: &str| args.iter().skip_while(|arg| *arg != name).nth(1).cloned();
        let is_shim = args.first()?.contains("containerd-shim") && after("-namespace")? == "moby";
        is_shim.then_some(())?;
        let link = |name: &str| fs::read_link(root.join(pid.to_string()).join("ns").join(name)).ok();
        let namespaces = link("mnt").zip(link("pid")).map(|(mount, process)| [mount, process]);
        let engine = EngineMark { address: after("-address")?, namespaces, inside: containers_of(root, pid)? };
        Some(Self { pid, container: after("-id")?, engine })
    }
}

/// The process `pid`, if it is the first one of a container of these shims.
fn first_process(root: &Path, pid: u32, lost: &[&Shim], now_s: u64) -> Option<ForgottenProcess> {
    let stat = fs::read_to_string(file(root, pid, "stat")).ok()?;
    // The process name may contain spaces and brackets, so fields are counted from the last bracket.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let parent: u32 = fields.get(1)?.parse().ok()?;
    let shim = lost.iter().find(|shim| shim.pid == parent)?;
    let started_s = fields.get(19)?.parse::<u64>().ok()? / rustix::param::clock_ticks_per_second();
    if now_s.saturating_sub(started_s) < OLD_ENOUGH_S || fields.first() == Some(&"Z") {
        return None;
    }
    let program = command_line(root, pid)?.first()?.clone();
    Some(ForgottenProcess { pid, program, container: shim.container.clone() })
}

/// The containers that a process runs in, from the path of its cgroup, which every user may read: an engine names a
/// container's cgroup by its id of 64 digits. `None` when it cannot be read; the process is then not reported.
fn containers_of(root: &Path, pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(file(root, pid, "cgroup")).ok()?;
    let ids = |line: &str| -> Vec<String> {
        let path = line.splitn(3, ':').nth(2).unwrap_or_default();
        let words = path.split(|letter: char| !letter.is_ascii_alphanumeric());
        words.filter(|word| is_id(word)).map(str::to_owned).collect()
    };
    // Cgroups v1 have a line per controller, and a process may be in the root of some.
    text.lines().map(ids).max_by_key(Vec::len)
}

fn is_id(word: &str) -> bool {
    word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn command_line(root: &Path, pid: u32) -> Option<Vec<String>> {
    let bytes = fs::read(file(root, pid, "cmdline")).ok()?;
    let args = bytes.split(|byte| *byte == 0).filter(|arg| !arg.is_empty());
    Some(args.map(|arg| String::from_utf8_lossy(arg).into_owned()).collect())
}

/// Seconds since the machine started.
fn uptime(root: &Path) -> Option<u64> {
    let text = fs::read_to_string(root.join("uptime")).ok()?;
    text.split('.').next()?.parse().ok()
}

fn file(root: &Path, pid: u32, name: &str) -> PathBuf {
    root.join(pid.to_string()).join(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "/run/containerd/containerd.sock";

    fn process(root: &Path, pid: u32, parent: u32, started_s: u64, args: &[&str]) {
        fs::create_dir(root.join(pid.to_string())).unwrap();
        fs::write(file(root, pid, "cmdline"), args.join("\0") + "\0").unwrap();
        let started = started_s * rustix::param::clock_ticks_per_second();
        let stat = format!("{pid} (a) (b) S {parent} {}{started} 0 0", "0 ".repeat(17));
        fs::write(file(root, pid, "stat"), stat).unwrap();
        enclose(root, pid, "/", "host");
    }

    /// Puts a process into a cgroup and into namespaces of this name.
    fn enclose(root: &Path, pid: u32, group: &str, namespace: &str) {
        fs::write(file(root, pid, "cgroup"), format!("1:name=systemd:/\n0::{group}\n")).unwrap();
        let folder = root.join(pid.to_string()).join("ns");
        fs::create_dir_all(&folder).unwrap();
        for name in ["mnt", "pid"] {
            let link = folder.join(name);
            drop(fs::remove_file(&link));
            std::os::unix::fs::symlink(format!("{name}:[{namespace}]"), link).unwrap();
        }
    }

    fn shim(root: &Path, pid: u32, id: &str, address: &str) {
        let args = ["/usr/bin/containerd-shim-runc-v2", "-namespace", "moby", "-id", id, "-address", address];
        process(root, pid, 1, 0, &args);
    }

    /// A machine with an uptime of 100 s, one running container, and one container that the engine does not list.
    fn machine() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("uptime"), "100.52 190.00\n").unwrap();
        fs::create_dir(root.path().join("sys")).unwrap();
        shim(root.path(), 20, "aa", OURS);
        process(root.path(), 21, 20, 50, &["web"]);
        shim(root.path(), 30, "bb", OURS);
        process(root.path(), 31, 30, 50, &["worker", "--queue", "mail"]);
        process(root.path(), 32, 31, 50, &["its", "child"]);
        root
    }

    fn running() -> BTreeSet<String> {
        BTreeSet::from(["aa".to_owned()])
    }

    #[test]
    fn the_process_of_an_unlisted_container_is_found() {
        let root = machine();
        let expected = ForgottenProcess { pid: 31, program: "worker".to_owned(), container: "bb".to_owned() };
        assert_eq!(forgotten(root.path(), &running()), [expected]);
    }

    #[test]
    fn containers_of_an_engine_in_a_container_are_ignored() {
        let (outer, inner) = ("a".repeat(64), "b".repeat(64));
        // The same socket path in a running container: detected by cgroup only, by namespaces only, or by both.
        for (group, namespace) in [
            (format!("/docker/{outer}/x"), "host"),
            ("/".to_owned(), "dind"),
            (format!("/docker-{outer}.scope"), "dind"),
        ] {
            let root = machine();
            shim(root.path(), 60, &inner, OURS);
            process(root.path(), 61, 60, 50, &["inner"]);
            enclose(root.path(), 60, &group, namespace);
            enclose(root.path(), 61, &format!("{group}/docker/{inner}"), namespace);
            let running = BTreeSet::from(["aa".to_owned(), outer.clone()]);
            let pids: Vec<u32> = forgotten(root.path(), &running).into_iter().map(|process| process.pid).collect();
            assert_eq!(pids, [31], "{group} {namespace}");
            // If that container is not listed either, only its own processes may be reported.
            let pids: Vec<u32> =
                forgotten(root.path(), &super::tests::running()).into_iter().map(|found| found.pid).collect();
            assert_eq!(pids, [31], "{group} {namespace}");
        }
    }

    #[test]
    fn an_engine_in_a_container_finds_its_own() {
        let root = machine();
        let outer = "c".repeat(64);
        for pid in [20, 21, 30, 31] {
            enclose(root.path(), pid, &format!("/docker/{outer}"), "dind");
        }
        assert_eq!(forgotten(root.path(), &running()).len(), 1);
    }

    #[test]
    fn a_process_with_an_unreadable_cgroup_is_ignored() {
        let root = machine();
        fs::remove_file(file(root.path(), 31, "cgroup")).unwrap();
        assert!(forgotten(root.path(), &running()).is_empty());
    }

    #[test]
    fn containers_of_other_engines_and_new_ones_are_ignored() {
        let root = machine();
        shim(root.path(), 40, "cc", "/elsewhere/containerd.sock");
        process(root.path(), 41, 40, 50, &["another", "engine's"]);
        shim(root.path(), 50, "dd", OURS);
        process(root.path(), 51, 50, 95, &["just", "begun"]);
        let pids: Vec<u32> = forgotten(root.path(), &running()).into_iter().map(|process| process.pid).collect();
        assert_eq!(pids, [31]);
        assert!(forgotten(root.path(), &BTreeSet::new()).is_empty(), "whose they are is not known");
    }
}
