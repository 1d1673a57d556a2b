//! A second host: a container with an engine behind TLS and an ssh server, shared by all tests of this process.

use std::io::Write;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use deploy_apps::docker::connect;
use rcgen::{BasicConstraints, Certificate, CertificateParams, IsCa, KeyPair, SanType, date_time_ymd};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use super::{DEADLINE, FAULT_APP, docker, eventually, images, sweep};

/// The capabilities that an engine needs; `--privileged` requires more than some machines allow.
const CAPABILITIES: &str = "chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable \
    net_bind_service net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio sys_chroot sys_ptrace \
    sys_pacct sys_admin sys_boot sys_nice sys_time sys_tty_config mknod lease audit_write audit_control setfcap \
    mac_override mac_admin syslog wake_alarm block_suspend audit_read";

pub struct FarHost {
    folder: TempDir,
    /// Its address as seen from this machine.
    pub address: Ipv4Addr,
    ca: (Certificate, KeyPair),
    /// The container runs as long as its stdin is open, so it ends with this process in any case.
    _lifeline: Child,
}

impl FarHost {
    /// Starts it on the first call, with the images that scenarios need.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<FarHost> = OnceCell::const_new();
        // Boxed: the future is large, and the stacks of test threads are small.
        SHARED.get_or_init(|| Box::pin(Self::start())).await
    }

    async fn start() -> Self {
        let shared = connect(|name| std::env::var(name).ok()).await.expect("an engine");
        images::prepare(&shared).await;
        sweep::sweep();
        let name = sweep::name("far");
        let folder = tempfile::Builder::new().prefix(&format!("{name}-")).tempdir().expect("a folder");
        let lifeline = run(&name, &image());
        let inspect = ["inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", &name];
        let address = async || docker(&inspect).parse::<Ipv4Addr>().ok();
        let address = eventually("the second host has an address", DEADLINE, address).await;
        let ca = certificate_authority("authority of the tests");
        let host = Self { folder, address, ca, _lifeline: lifeline };
        host.write_files();
        docker(&["cp", &host.path("setup").to_string_lossy(), &format!("{name}:/setup")]);
        docker(&["exec", &name, "touch", "/setup/ready"]);
        let env = host.tls();
        let answers = async || {
            connect(|name| env.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())).await.ok()
        };
        eventually("the second engine answers", DEADLINE, answers).await;
        host.load(&[FAULT_APP, &images::proxy_tag()]);
        host
    }

    fn write_files(&self) {
        for folder in ["setup", "client", "bin"] {
            std::fs::create_dir(self.path(folder)).expect("a folder");
        }
        let keygen = |file: &str| {
            let mut made = Command::new("ssh-keygen");
            made.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(self.path(file));
            assert!(made.status().expect("ssh-keygen").success(), "{file}");
        };
        ["setup/host_key", "id", "other_id"].into_iter().for_each(keygen);
        std::fs::copy(self.path("id.pub"), self.path("setup/authorized_keys")).expect("a copy");
        self.write("setup/ca.pem", &self.ca.0.pem());
        self.certify("setup", &[self.address, Ipv4Addr::LOCALHOST], 2099);
        self.write("client/ca.pem", &self.ca.0.pem());
        self.certify("client", &[], 2099);
        let key = std::fs::read_to_string(self.path("setup/host_key.pub")).expect("a key");
        self.write("known_hosts", &format!("engine {key}"));
        self.ssh_command("bin", "known_hosts", "id");
    }

    /// A folder for PATH with an `ssh` that uses these files.
    fn ssh_command(&self, folder: &str, known_hosts: &str, key: &str) -> PathBuf {
        let config = format!(
            "Host *\n  HostKeyAlias engine\n  GlobalKnownHostsFile none\n  UserKnownHostsFile {}\n  IdentityFile {}\n  IdentitiesOnly yes\n",
            self.path(known_hosts).display(),
            self.path(key).display(),
        );
        std::fs::create_dir_all(self.path(folder)).expect("a folder");
        self.write(&format!("{folder}/config"), &config);
        let config = self.path(folder).join("config");
        self.write(&format!("{folder}/ssh"), &format!("#!/bin/sh\nexec /usr/bin/ssh -F {} \"$@\"\n", config.display()));
        let executable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(self.path(folder).join("ssh"), executable).expect("permissions");
        self.path(folder)
    }

    /// Writes cert.pem and key.pem, signed by the tests' CA, to `folder`.
    pub fn certify(&self, folder: &str, addresses: &[Ipv4Addr], until: i32) {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.subject_alt_names = addresses.iter().map(|address| SanType::IpAddress((*address).into())).collect();
        params.not_after = date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().expect("a key");
        let cert = params.signed_by(&key, &self.ca.0, &self.ca.1).expect("a certificate");
        std::fs::create_dir_all(self.path(folder)).expect("a folder");
        self.write(&format!("{folder}/cert.pem"), &cert.pem());
        self.write(&format!("{folder}/key.pem"), &key.serialize_pem());
        self.write(&format!("{folder}/ca.pem"), &self.ca.0.pem());
    }

    /// Writes the ca.pem of another CA.
    pub fn foreign_authority(&self, folder: &str) {
        self.certify(folder, &[], 2099);
        self.write(&format!("{folder}/ca.pem"), &certificate_authority("somebody else").0.pem());
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("a writable folder");
    }

    /// The variables for a connection with TLS.
    pub fn tls(&self) -> Vec<(String, String)> {
        self.tls_through(&format!("{}:2376", self.address), "client")
    }

    pub fn tls_through(&self, place: &str, files: &str) -> Vec<(String, String)> {
        let path = self.path(files).to_string_lossy().into_owned();
        let vars = [
            ("DOCKER_HOST", format!("tcp://{place}")),
            ("DOCKER_TLS_VERIFY", "1".to_owned()),
            ("DOCKER_CERT_PATH", path),
        ];
        vars.map(|(name, value)| (name.to_owned(), value)).to_vec()
    }

    /// The variables for a connection by ssh, as a user of the image.
    pub fn ssh(&self, user: &str) -> Vec<(String, String)> {
        self.ssh_through(&format!("{user}@{}", self.address))
    }

    pub fn ssh_through(&self, place: &str) -> Vec<(String, String)> {
        self.ssh_as(place, "bin")
    }

    fn ssh_as(&self, place: &str, bin: &str) -> Vec<(String, String)> {
        let path = format!("{}:{}", self.path(bin).display(), std::env::var("PATH").unwrap_or_default());
        vec![("DOCKER_HOST".to_owned(), format!("ssh://{place}")), ("PATH".to_owned(), path)]
    }

    /// With a key that is not authorized there.
    pub fn ssh_with_wrong_key(&self) -> Vec<(String, String)> {
        self.ssh_command("wrong-key", "known_hosts", "other_id");
        self.ssh_as(&format!("deploy@{}", self.address), "wrong-key")
    }

    /// With a host that is not in the known hosts file.
    pub fn ssh_to_unknown_host(&self) -> Vec<(String, String)> {
        self.ssh_command("no-hosts", "no_known_hosts", "id");
        self.ssh_as(&format!("deploy@{}", self.address), "no-hosts")
    }

    fn load(&self, images: &[&str]) {
        let images = sweep::with_built(images);
        let mut save = Command::new("docker").arg("save").args(images).stdout(Stdio::piped()).spawn().expect("docker");
        let archive = save.stdout.take().expect("piped");
        let mut load = Command::new("docker");
        load.args(["load", "-q"]).envs(self.tls()).stdin(archive).stdout(Stdio::null());
        assert!(load.status().expect("docker").success(), "the images were not loaded");
        assert!(save.wait().expect("docker").success(), "the images were not saved");
    }

    /// The `ssh` processes to this host, identified by our configuration in their arguments.
    pub fn ssh_processes(&self) -> Vec<u32> {
        let ours = self.folder.path().to_string_lossy().into_owned();
        let ids = std::fs::read_dir("/proc").expect("a process list").flatten();
        let is_ours = |pid: &u32| {
            let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let command = String::from_utf8_lossy(&command).replace('\0', " ");
            command.starts_with("/usr/bin/ssh ") && command.contains(&ours)
        };
        ids.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(is_ours).collect()
    }
}

pub(super) fn certificate_authority(name: &str) -> (Certificate, KeyPair) {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    let key = KeyPair::generate().expect("a key");
    (params.self_signed(&key).expect("a certificate"), key)
}

fn image() -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/far-host");
    images::cached("e2e-far-host", &folder, &["Dockerfile", "sshd_config", "start.sh"])
}

fn run(name: &str, image: &str) -> Child {
    let mut command = Command::new("docker");
    command.args(["run", "--rm", "-i", "--name", name, "--hostname", name, "--cgroupns", "host"]);
    command.args(CAPABILITIES.split_whitespace().flat_map(|capability| ["--cap-add", capability]));
    command.args(["--security-opt", "seccomp=unconfined", "--security-opt", "systempaths=unconfined"]);
    command.args(["--security-opt", "apparmor=unconfined", "--device-cgroup-rule", "a *:* rwm"]);
    command.args(["-v", "/sys/fs/cgroup:/sys/fs/cgroup:rw", "-v", "/var/lib/docker", image]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("docker");
    // Some versions of the client close an empty stdin immediately.
    child.stdin.as_mut().expect("piped").write_all(b"\n").expect("a pipe");
    child
}
