//! The repository's sample system with a unique name and port, so that several copies run concurrently.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::scenario::free_port;
use super::{Host, Scenario};

/// Folders that `compose.yaml` needs.
const FOLDERS: [&str; 2] = ["apps", "stack"];

/// A copy of the sample in a folder where it can be edited. Nothing is deployed yet.
pub async fn sample(test: &str) -> Host {
    sample_in(Scenario::new(test)).await
}

/// The same for a given scenario, such as one with a private engine.
pub async fn sample_in(scenario: Scenario) -> Host {
    let host = scenario.start().await;
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(repository.join("compose.yaml")).expect("the sample");
    let proxy = r#"proxy: { http_port: "${HTTP_PORT:-8080}" }"#;
    assert!(text.contains(proxy), "the sample's proxy has moved");
    let (name, address) = (host.name(), host.address());
    let own = format!(r#"proxy: {{ name: {name}, http_port: {}, bind: "{}" }}"#, address.port(), address.ip());
    let text = text.replace(proxy, &own).replace("name: sample\n", &format!("name: {name}\n"));
    fs::write(host.folder().join("compose.yaml"), text).expect("a writable folder");
    for folder in FOLDERS.map(|name| repository.join(name)).iter().filter(|folder| folder.exists()) {
        let copied = Command::new("cp").arg("-a").arg(folder).arg(host.folder()).status();
        assert!(copied.expect("the command `cp`").success());
    }
    // Created like in `./deploy-apps --setup`.
    let secrets = host.folder().join("stack/secrets");
    let made = Command::new(repository.join("setup/secrets")).arg(&secrets).stderr(Stdio::null()).status();
    assert!(made.expect("the script `setup/secrets`").success());
    write_env(&host);
    host
}

/// Sets the subnet of its proxy, for monitoring in the network; and a free port for each published port such as
/// `"127.0.0.1:${PROMETHEUS_PORT:-9090}:9090"`.
fn write_env(host: &Host) {
    let folder = host.folder();
    let mut files = vec![folder.join("compose.yaml")];
    let stack = fs::read_dir(folder.join("stack")).into_iter().flatten().flatten().map(|entry| entry.path());
    files.extend(stack.filter(|path| path.extension().is_some_and(|extension| extension == "yaml")));
    let mut ports = BTreeMap::new();
    for file in files {
        for name in variables(&fs::read_to_string(file).expect("a compose file")) {
            ports.entry(name).or_insert_with(free_port);
        }
    }
    let mut text = format!("PROXY_NETWORK={}\n", host.name());
    for (name, port) in ports {
        writeln!(text, "{name}={port}").expect("memory");
    }
    fs::write(folder.join(".env"), text).expect("a writable folder");
}

/// The variables of ports that `text` publishes on loopback. Other ports stay unchanged.
fn variables(text: &str) -> Vec<String> {
    let after = text.split("127.0.0.1:${").skip(1);
    let names = after.map(|rest| rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect());
    names.filter(|name: &String| name.ends_with("_PORT")).collect()
}

impl Host {
    /// The local port of a part of the sample, such as `port_of("PROMETHEUS_PORT")`.
    #[track_caller]
    pub fn port_of(&self, variable: &str) -> u16 {
        let text = fs::read_to_string(self.folder().join(".env")).expect("the sample's `.env`");
        let found = text.lines().filter_map(|line| line.split_once('=')).find(|(name, _)| *name == variable);
        found.and_then(|(_, port)| port.parse().ok()).unwrap_or_else(|| panic!("nothing has `{variable}`\n{text}"))
    }
}
