//! A CA that speaks ACME: Let's Encrypt's own for tests, with a DNS server whose records a test sets.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};

use super::{DEADLINE, Host, docker, eventually, skipped};

/// Where `setup/setup pebble` puts it.
const PLACE: &str = "/usr/local/bin";
/// What the DNS provider knows its customer by.
pub const TOKEN: &str = "t0ken-of-the-dns";
/// It as user and password.
const LOGIN: &str = "Basic dDBrZW4tb2YtdGhlLWRuczp0MGtlbi1vZi10aGUtZG5z";

pub struct Pebble {
    process: Child,
    dns: Child,
    folder: PathBuf,
    /// As containers reach it.
    address: Ipv4Addr,
    port: u16,
    management: u16,
    dns_management: u16,
    dns_port: u16,
    /// Of its own endpoint.
    certificate: String,
    nonces: &'static str,
}

fn free_port() -> u16 {
    loop {
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        if UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok() {
            return port;
        }
    }
}

impl Pebble {
    /// Beside a host whose proxy it asks. Its certificates are valid for so many seconds, and it rejects so many good nonces of a
    /// hundred. `None` where it is not installed, which is recorded.
    pub async fn start(host: &Host, seconds: u64, nonces: &'static str) -> Option<Self> {
        if !["pebble", "pebble-challtestsrv"].iter().all(|name| Path::new(PLACE).join(name).is_file()) {
            skipped("no pebble on this machine; `setup/setup pebble` installs it where Go is");
            return None;
        }
        let gateway = docker(&["network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Gateway}}"]);
        let address: Ipv4Addr = gateway.trim().parse().expect("the bridge's address");
        let folder = host.folder().to_owned();
        let [port, management, dns_port, dns_management] = [(); 4].map(|()| free_port());
        let names = vec!["127.0.0.1".to_owned(), address.to_string()];
        let key = KeyPair::generate().expect("a key");
        let certificate = CertificateParams::new(names).expect("names").self_signed(&key).expect("a certificate").pem();
        std::fs::write(folder.join("ca.pem"), &certificate).expect("a writable folder");
        std::fs::write(folder.join("ca.key"), key.serialize_pem()).expect("a writable folder");
        let config = json!({ "pebble": {
            "listenAddress": format!("0.0.0.0:{port}"),
            "managementListenAddress": format!("127.0.0.1:{management}"),
            "certificate": folder.join("ca.pem"),
            "privateKey": folder.join("ca.key"),
            "httpPort": host.address().port(),
            "tlsPort": 1,
            "domainBlocklist": ["blocked.example"],
            "retryAfter": { "authz": 1, "order": 1 },
            "keyAlgorithm": "ecdsa",
            "profiles": { "default": { "description": "of this test", "validityPeriod": seconds } },
        } });
        std::fs::write(folder.join("pebble.json"), config.to_string()).expect("a writable folder");
        let dns = Command::new(Path::new(PLACE).join("pebble-challtestsrv"))
            .args(["-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", "", "-defaultIPv6", ""])
            .args(["-dnsserver", &format!("0.0.0.0:{dns_port}"), "-management", &format!("0.0.0.0:{dns_management}")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a DNS server");
        let process = run(&folder, dns_port, nonces);
        let pebble =
            Self { process, dns, folder, address, port, management, dns_management, dns_port, certificate, nonces };
        pebble.answers().await;
        Some(pebble)
    }

    async fn answers(&self) {
        let look = async || self.management(&format!("https://127.0.0.1:{}/roots/0", self.management)).await;
        eventually("the CA", DEADLINE, look).await;
    }

    async fn management(&self, url: &str) -> Option<String> {
        let trusted = reqwest::Certificate::from_pem(self.certificate.as_bytes()).expect("PEM");
        let client = reqwest::Client::builder().no_proxy().tls_certs_only([trusted]).build().expect("a client");
        client.get(url).send().await.ok()?.error_for_status().ok()?.text().await.ok()
    }

    /// The root that its certificates lead to; another one after each start.
    pub async fn root(&self) -> String {
        self.management(&format!("https://127.0.0.1:{}/roots/0", self.management)).await.expect("its root")
    }

    /// `acme` of a compose file beside it.
    pub fn settings(&self) -> Value {
        json!({
            "email": "ops@shop.example",
            "server": format!("https://{}:{}/dir", self.address, self.port),
            "ca": "./ca.pem",
        })
    }

    /// The same by way of DNS. The provider's API is on this machine: lego's `httpreq`, which sets records of this CA's DNS server.
    pub fn settings_by_dns(&self) -> Value {
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let records = self.dns_management;
        // Ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let _ = provide(stream, records);
            }
        });
        let mut settings = self.settings();
        settings["dns"] = json!({
            "provider": "httpreq",
            "environment": { "HTTPREQ_ENDPOINT": format!("http://{}:{port}", self.address) },
            "secrets": { "HTTPREQ_PASSWORD": "./token", "HTTPREQ_USERNAME": "./token" },
            "resolvers": [format!("{}:{}", self.address, self.dns_port)],
            "propagation_check": false,
        });
        std::fs::write(self.folder.join("token"), TOKEN).expect("a writable folder");
        settings
    }

    /// This name leads to this address from now on; any other leads here.
    pub async fn name(&self, host: &str, address: &str) {
        let body = json!({ "host": format!("{host}."), "addresses": [address] });
        let url = format!("http://127.0.0.1:{}/add-a", self.dns_management);
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let answer = client.post(url).body(body.to_string()).send().await.expect("a DNS server");
        assert!(answer.status().is_success());
    }

    pub fn stop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// With nothing that it knew before.
    pub async fn start_again(&mut self) {
        self.process = run(&self.folder, self.dns_port, self.nonces);
        self.answers().await;
    }
}

/// One call of the provider's API, with its credentials.
fn provide(mut stream: TcpStream, records: u16) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut first, mut length, mut is_known) = (String::new(), 0, false);
    reader.read_line(&mut first)?;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').unwrap_or_default();
        match name.to_lowercase().as_str() {
            "content-length" => length = value.trim().parse().unwrap_or(0),
            "authorization" => is_known = value.trim() == LOGIN,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let asked: Value = serde_json::from_slice(&body)?;
    let path = if first.contains("/present") { "/set-txt" } else { "/clear-txt" };
    let record = json!({ "host": asked["fqdn"], "value": asked["value"] }).to_string();
    if is_known {
        let mut dns = TcpStream::connect((Ipv4Addr::LOCALHOST, records))?;
        write!(dns, "POST {path} HTTP/1.0\r\nContent-Length: {}\r\n\r\n{record}", record.len())?;
        dns.read_to_end(&mut Vec::new())?;
    }
    let status = if is_known { "200 OK" } else { "401 Unauthorized" };
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
}

fn run(folder: &Path, dns_port: u16, nonces: &str) -> Child {
    Command::new(Path::new(PLACE).join("pebble"))
        .args(["-config", "pebble.json", "-dnsserver", &format!("127.0.0.1:{dns_port}")])
        .envs([("PEBBLE_VA_NOSLEEP", "1"), ("PEBBLE_WFE_NONCEREJECT", nonces), ("PEBBLE_AUTHZREUSE", "0")])
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a CA")
}

impl Drop for Pebble {
    fn drop(&mut self) {
        for process in [&mut self.process, &mut self.dns] {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}
