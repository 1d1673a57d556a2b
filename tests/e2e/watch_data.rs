//! Alerts about what the apps stand on: databases, disks and certificates fail for real, and the mails say so.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use crate::harness::{Host, docker, forget_mails, hurry, over, sample, told};

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_apps_stand_on_breaks_and_the_mails_say_so_and_say_when_it_is_over() {
    let host = sample("alerts-data").await;
    hurry(&host);
    edit(&host, "targets: []", "targets: [\"certificate:443\"]");
    edit(&host, "scrape_interval: 2m", "scrape_interval: 1s");
    // Before node-exporter: it sees what was mounted when it started.
    let disk = SmallDisk::mount(host.name());
    certificate(&host, 2);
    let databases = ["redis", "redis-exporter"];
    let watchers = ["node-exporter", "blackbox-exporter", "mail", "alertmanager", "prometheus"];
    host.deploy(&[&["go-app"], &databases[..], &watchers].concat()).await.succeeded();
    let container = |name: &str| format!("{}-{name}-1", host.name());

    // Two at once: each of them takes its time.
    let redis = container("redis");
    let script = "until [ -e /data/quick ]; do redis-cli eval 'for i=1,3e6 do end return 1' 0; done";
    let mut slow = spawn(&["exec", &redis, "sh", "-c", script]);
    serve_certificate(&host);
    told(&host, "CertificateExpires", "page", "The certificate of `certificate:443` is about to expire").await;
    certificate(&host, 90);
    over(&host, "CertificateExpires").await;
    told(&host, "RedisSlow", "ticket", "Redis answers slowly").await;
    docker(&["exec", &redis, "touch", "/data/quick"]);
    slow.wait().expect("its end");
    over(&host, "RedisSlow").await;

    if let Some(disk) = &disk {
        forget_mails(&host).await;
        disk.fill();
        told(&host, "HostDiskFull", "page", &format!("The disk at `{}` is full", disk.folder.display())).await;
        disk.empty();
        over(&host, "HostDiskFull").await;
    }
}

/// In the settings of this copy's Prometheus.
fn edit(host: &Host, from: &str, to: &str) {
    let file = host.folder().join("stack/prometheus/prometheus.yml");
    let text = fs::read_to_string(&file).expect("Prometheus' settings");
    assert!(text.contains(from), "no `{from}` in Prometheus' settings");
    fs::write(file, text.replacen(from, to, 1)).expect("a writable folder");
}

/// The engine's own command, beside the test.
fn spawn(args: &[&str]) -> Child {
    Command::new("docker").args(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("docker")
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
