//! Alerts about what the apps stand on: databases, containers, disks and certificates fail for real, and the mails say so.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{DEADLINE, Host, docker, eventually, forget_mails, hurry, over, sample, told};

/// Serves the certificate that lies there now, so that a renewal needs no restart.
const TLS_SERVER: &str = "
import socket, ssl
server = socket.create_server(('', 443))
while True:
    client, _ = server.accept()
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain('/certificate/both.pem')
        context.wrap_socket(client, server_side=True).close()
    except OSError:
        client.close()
";

/// Locks a table and does not come to an end, as the exporter finds when it asks how large it is.
const STUCK_MIGRATION: [&str; 4] =
    ["-c", "CREATE TABLE large (id int)", "-c", "BEGIN; LOCK TABLE large; SELECT pg_sleep(600)"];
const END_OF_MIGRATION: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)' \
    AND pid <> pg_backend_pid()";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_apps_stand_on_breaks_and_the_mails_say_so_and_say_when_it_is_over() {
    let host = sample("alerts-data").await;
    hurry(&host);
    let prometheus = "prometheus.yml";
    edit(&host, prometheus, "targets: []", "targets: [\"certificate:443\"]");
    edit(&host, prometheus, "scrape_interval: 2m", "scrape_interval: 1s");
    // The exporter takes a second to say that there is no PostgreSQL: it asks twice.
    let patient = "job_name: postgres\n    scrape_interval: 5s\n    scrape_timeout: 5s\n";
    edit(&host, prometheus, "job_name: postgres\n", patient);
    // The engine waits longer before each new start, and a busy machine adds to that.
    edit(&host, "rules/alerts-apps.yml", "container_restarts_total[15s]", "container_restarts_total[45s]");
    // Before node-exporter: it sees what was mounted when it started.
    let disk = SmallDisk::mount(host.name());
    certificate(&host, 2);
    let databases = ["redis", "redis-exporter", "postgres", "postgres-exporter"];
    let watchers = ["container-metrics", "node-exporter", "blackbox-exporter", "mail", "alertmanager", "prometheus"];
    host.deploy(&[&["go-app"], &databases[..], &watchers].concat()).await.succeeded();
    let container = |name: &str| format!("{}-{name}-1", host.name());

    // Three at once: each of them takes its time.
    let redis = container("redis");
    let script = "until [ -e /data/quick ]; do redis-cli eval 'for i=1,3e6 do end return 1' 0; done";
    let mut slow = spawn(&["exec", &redis, "sh", "-c", script]);
    let postgres = container("postgres");
    let in_visitors = ["exec", &postgres, "psql", "-q", "--dbname=visitors"];
    let mut migration = spawn(&[&in_visitors[..], &STUCK_MIGRATION].concat());
    serve_certificate(&host);
    told(&host, "CertificateExpires", "page", "The certificate of `certificate:443` is about to expire").await;
    certificate(&host, 90);
    over(&host, "CertificateExpires").await;
    told(&host, "RedisSlow", "ticket", "Redis answers slowly").await;
    docker(&["exec", &redis, "touch", "/data/quick"]);
    slow.wait().expect("its end");
    over(&host, "RedisSlow").await;
    told(&host, "PostgresSlow", "ticket", "PostgreSQL answers slowly").await;
    docker(&["exec", &postgres, "psql", "-q", "-c", END_OF_MIGRATION]);
    migration.wait().expect("its end");
    over(&host, "PostgresSlow").await;

    // Half a minute until that is told; meanwhile something falls again and again.
    docker(&["stop", &postgres]);
    falls_again_and_again(&container("blackbox-exporter")).await;
    told(&host, "ContainerRestarts", "ticket", "-blackbox-exporter-1` falls again and again").await;
    told(&host, "PostgresDown", "page", "has found no PostgreSQL").await;
    docker(&["start", &postgres]);
    over(&host, "PostgresDown").await;
    over(&host, "ContainerRestarts").await;

    if let Some(disk) = &disk {
        forget_mails(&host).await;
        disk.fill();
        told(&host, "HostDiskFull", "page", &format!("The disk at `{}` is full", disk.folder.display())).await;
        disk.empty();
        over(&host, "HostDiskFull").await;
    }
}

/// In this file of this copy's Prometheus.
fn edit(host: &Host, file: &str, from: &str, to: &str) {
    let file = host.folder().join("stack/prometheus").join(file);
    let text = fs::read_to_string(&file).expect("Prometheus' settings");
    assert!(text.contains(from), "no `{from}` in Prometheus' settings");
    fs::write(file, text.replacen(from, to, 1)).expect("a writable folder");
}

/// The engine's own command, beside the test.
fn spawn(args: &[&str]) -> Child {
    Command::new("docker").args(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("docker")
}

/// Ends its process as a crash does, whenever the engine has started it again; three times within the window are a loop.
async fn falls_again_and_again(name: &str) {
    let mut before = None;
    for _ in 0..4 {
        let next = async || {
            let pid = docker(&["inspect", "--format", "{{.State.Pid}}", name]).trim().parse().ok();
            pid.and_then(Pid::from_raw).filter(|pid| before != Some(*pid))
        };
        let pid = eventually("it was started again", DEADLINE, next).await;
        // It may have gone meanwhile, which is as good.
        let _ = kill_process(pid, Signal::KILL);
        before = Some(pid);
    }
}

/// Puts one that ends in so many days where the server takes it from.
fn certificate(host: &Host, days: u64) {
    let mut params = CertificateParams::new(vec!["certificate".to_owned()]).expect("a name");
    let now = date_time_ymd(1970, 1, 1) + SystemTime::UNIX_EPOCH.elapsed().expect("a clock after 1970");
    (params.not_before, params.not_after) =
        (now - Duration::from_secs(3600), now + Duration::from_secs(days * 24 * 3600));
    let key = KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("a certificate");
    let folder = host.folder().join("certificate");
    fs::create_dir_all(&folder).expect("a writable folder");
    // Renamed, so that no handshake meets half of it.
    fs::write(folder.join("new.pem"), certificate.pem() + &key.serialize_pem()).expect("a writable folder");
    fs::rename(folder.join("new.pem"), folder.join("both.pem")).expect("a writable folder");
}

/// What stands in front of a proxy and ends TLS, reached by the watchers as `certificate:443`.
fn serve_certificate(host: &Host) {
    let [name, network] = ["-certificate", "_default"].map(|end| format!("{}{end}", host.name()));
    let volume = format!("{}:/certificate:ro", host.folder().join("certificate").display());
    // Any image with Python.
    let image = format!("deploy-apps/{}-mail:accessory", host.name());
    let place = ["run", "-d", "--name", &name, "--network", &network, "--network-alias", "certificate", "-v", &volume];
    docker(&[&place[..], &["-u", "0", "--entrypoint", "python3", &image, "-u", "-c", TLS_SERVER]].concat());
}

/// A file system of 16 MB in a file, which may be filled up.
struct SmallDisk {
    folder: PathBuf,
    _file: tempfile::NamedTempFile,
}

impl SmallDisk {
    /// `None`, with a word on standard error, where the machine does not let it be mounted.
    fn mount(name: &str) -> Option<Self> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        file.as_file().set_len(16 << 20).expect("a disk");
        // Where who watches the disks has no right of its own to see: not below a folder that is closed to others.
        let folder = PathBuf::from("/mnt").join(name);
        let run =
            |command: &[&str]| Command::new(command[0]).args(&command[1..]).status().is_ok_and(|end| end.success());
        let [image, place] = [file.path(), &folder].map(|path| path.to_string_lossy().into_owned());
        let mounted = fs::create_dir(&folder).is_ok()
            && run(&["mkfs.ext4", "-q", "-F", "-m", "0", &image])
            && run(&["mount", "-o", "loop", &image, &place]);
        if !mounted {
            eprintln!("skipped: no disk of its own can be mounted, so none is filled up");
        }
        let disk = Self { folder, _file: file };
        mounted.then_some(disk)
    }

    fn fill(&self) {
        let mut file = File::create(self.folder.join("large")).expect("a file");
        while file.write_all(&[1; 1 << 16]).is_ok() {}
    }

    fn empty(&self) {
        fs::remove_file(self.folder.join("large")).expect("filled before");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.folder).stderr(Stdio::null()).status());
        drop(fs::remove_dir(&self.folder));
    }
}
