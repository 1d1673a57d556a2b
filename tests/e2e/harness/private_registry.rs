//! A real registry with a login, in a container: without TLS on this machine, or with TLS at its own address.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rcgen::{Certificate, CertificateParams, KeyPair, SanType};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use super::far_host::certificate_authority;
use super::{DEADLINE, docker, eventually, images, scenario, sweep};

/// The only user is `ann`.
pub const PASSWORD: &str = "s3c:ret";
/// `ann` and the password, encoded like `docker login` does.
pub const LOGIN: &str = "YW5uOnMzYzpyZXQ=";

/// Stopped when dropped.
pub struct PrivateRegistry {
    name: String,
    /// `HOST:PORT`, the prefix of its images.
    pub address: String,
    /// A configuration folder of the docker CLI with the login.
    login: TempDir,
    /// The folder in which the engine looks for its CA.
    trust: Option<PathBuf>,
    authority: Option<(Certificate, KeyPair)>,
    /// The container runs as long as its stdin is open, so it ends with this process in any case.
    _lifeline: Child,
}

impl PrivateRegistry {
    /// Shared by all tests that do not stop it. The engine accepts local registries without TLS.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<PrivateRegistry> = OnceCell::const_new();
        SHARED.get_or_init(|| Box::pin(Self::start())).await
    }

    pub async fn start() -> Self {
        let port = scenario::free_port();
        Self::run(format!("127.0.0.1:{port}"), &["-p", &format!("127.0.0.1:{port}:5000")], false).await
    }

    /// `None` if this user may not change the engine's trusted CAs.
    pub async fn with_tls() -> Option<Self> {
        if !rustix::process::getuid().is_root() {
            super::skipped("only root may write to /etc/docker/certs.d");
            return None;
        }
        let mut registry = Self::run(String::new(), &["-e", "TLS=yes"], true).await;
        let inspect =
            ["inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", &registry.name];
        let address = async || docker(&inspect).parse::<Ipv4Addr>().ok();
        let address = eventually("the registry has an address", DEADLINE, address).await;
        registry.address = format!("{address}:5000");
        registry.write_certificate(address);
        registry.log_in();
        registry.answers().await;
        Some(registry)
    }

    async fn run(address: String, options: &[&str], is_later: bool) -> Self {
        sweep::sweep();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/registry");
        let image = images::cached("e2e-registry", &folder, &["Dockerfile", "config.yml", "start.sh"]);
        let name = sweep::name("registry");
        let mut command = Command::new("docker");
        command.args(["run", "--rm", "-i", "--name", &name, "-e", &format!("PASSWORD={PASSWORD}")]);
        command.args(options).arg(image).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let lifeline = command.spawn().expect("docker");
        let login = tempfile::tempdir().expect("a folder");
        let registry = Self { name, address, login, trust: None, authority: None, _lifeline: lifeline };
        if !is_later {
            registry.log_in();
            registry.answers().await;
        }
        registry
    }

    fn log_in(&self) {
        let text = format!(r#"{{"auths":{{"{}":{{"auth":"{LOGIN}"}}}}}}"#, self.address);
        std::fs::write(self.login.path().join("config.json"), text).expect("written");
    }

    fn write_certificate(&mut self, address: Ipv4Addr) {
        let authority = certificate_authority("authority of the registry");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.subject_alt_names = vec![SanType::IpAddress(address.into())];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &authority.0, &authority.1).expect("a certificate");
        let folder = self.login.path().join("tls");
        std::fs::create_dir(&folder).expect("a folder");
        for (name, text) in [("cert.pem", certificate.pem()), ("key.pem", key.serialize_pem())] {
            std::fs::write(folder.join(name), text).expect("written");
        }
        docker(&["cp", &folder.display().to_string(), &format!("{}:/tls", self.name)]);
        docker(&["exec", &self.name, "touch", "/tls/ready"]);
        self.authority = Some(authority);
        self.trust();
    }

    /// Makes the engine trust its certificate, like an administrator would.
    pub fn trust(&mut self) {
        let folder = Path::new("/etc/docker/certs.d").join(&self.address);
        std::fs::create_dir_all(&folder).expect("a folder of root's");
        let (certificate, _) = self.authority.as_ref().expect("a registry with TLS");
        std::fs::write(folder.join("ca.crt"), certificate.pem()).expect("written");
        self.trust = Some(folder);
    }

    pub fn distrust(&mut self) {
        if let Some(folder) = self.trust.take() {
            std::fs::remove_dir_all(folder).expect("a folder of ours");
        }
    }

    async fn answers(&self) {
        let scheme = if self.authority.is_some() { "https" } else { "http" };
        // Like the binary; an error means that one is already installed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().danger_accept_invalid_certs(true).build().expect("a client");
        let url = format!("{scheme}://{}/v2/", self.address);
        let asked = async || client.get(&url).send().await.is_ok_and(|answer| answer.status() == 401).then_some(());
        eventually("the registry answers and wants a login", DEADLINE, asked).await;
    }

    /// Pushes an image of the engine under `name` and removes that tag from the engine. Returns the complete name.
    #[track_caller]
    pub fn push(&self, image: &str, name: &str) -> String {
        let reference = format!("{}/{name}", self.address);
        docker(&["tag", image, &reference]);
        let said = docker(&["--config", &self.login.path().display().to_string(), "push", &reference]);
        assert!(said.contains("digest: sha256:"), "`{reference}` was not pushed: {said}");
        docker(&["rmi", &reference]);
        reference
    }

    /// Pushes an index that refers to `of` for one platform, and returns its name.
    pub async fn index(&self, of: &str, name: &str, architecture: &str) -> String {
        let (repository, tag) = of.rsplit_once(':').expect("a tag");
        let repository = repository.strip_prefix(&format!("{}/", self.address)).expect("an image of this registry");
        let url = |tag: &str| format!("http://{}/v2/{repository}/manifests/{tag}", self.address);
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let kind = "application/vnd.docker.distribution.manifest.v2+json";
        let got = client.get(url(tag)).header("accept", kind).basic_auth("ann", Some(PASSWORD)).send().await;
        let got = got.expect("an answer");
        let digest = got.headers()["docker-content-digest"].to_str().expect("text").to_owned();
        let size = got.bytes().await.expect("a manifest").len();
        let index = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [{
                "mediaType": kind, "digest": digest, "size": size,
                "platform": { "architecture": architecture, "os": "linux" },
            }],
        });
        let put = client.put(url(name)).header("content-type", "application/vnd.oci.image.index.v1+json");
        let put = put.basic_auth("ann", Some(PASSWORD)).body(index.to_string()).send().await.expect("an answer");
        assert_eq!(put.status(), 201, "the index was not taken");
        format!("{}/{repository}:{name}", self.address)
    }

    /// The digest of a tag.
    pub fn digest(&self, reference: &str) -> String {
        let config = self.login.path().display().to_string();
        docker(&["--config", &config, "pull", "-q", reference]);
        let digests = docker(&["image", "inspect", "--format", "{{join .RepoDigests \"\\n\"}}", reference]);
        let own = digests.lines().find(|line| line.starts_with(&self.address)).expect("a digest").to_owned();
        docker(&["rmi", reference]);
        own
    }

    pub fn stop(&self) {
        docker(&["rm", "-f", &self.name]);
    }
}

impl Drop for PrivateRegistry {
    fn drop(&mut self) {
        self.stop();
        self.distrust();
    }
}
