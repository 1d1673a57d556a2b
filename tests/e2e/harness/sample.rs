//! The repository's own sample system under a name and a port of its own, so that several run beside each other.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::scenario::free_port;
use super::{Host, Scenario};

/// What `compose.yaml` takes from the repository, besides itself.
const FOLDERS: [&str; 2] = ["apps", "stack"];

/// A folder with the sample in it, where edits hurt nobody. Nothing is deployed yet.
pub async fn sample(test: &str) -> Host {
    sample_in(Scenario::new(test)).await
}

/// The same at the place of this scenario, such as an engine of its own.
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
    // Made as `./deploy-apps --setup` makes them.
    let secrets = host.folder().join("stack/secrets");
    let made = Command::new(repository.join("setup/secrets")).arg(&secrets).stderr(Stdio::null()).status();
    assert!(made.expect("the script `setup/secrets`").success());
    write_env(&host);
    host
}

/// The network of its own proxy, for who watches from within; and for every port for people, such as
/// `"127.0.0.1:${PROMETHEUS_PORT:-9090}:9090"`, a free one of its own.
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

/// The variables of ports that `text` publishes on loopback. Others, such as a port inside of a network, stay as they are.
fn variables(text: &str) -> Vec<String> {
    let after = text.split("127.0.0.1:${").skip(1);
    let names = after.map(|rest| rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect());
    names.filter(|name: &String| name.ends_with("_PORT")).collect()
}

impl Host {
    /// Where a part of the sample system answers people on this machine, such as `port_of("PROMETHEUS_PORT")`.
    #[track_caller]
    pub fn port_of(&self, variable: &str) -> u16 {
        let text = fs::read_to_string(self.folder().join(".env")).expect("the sample's `.env`");
        let found = text.lines().filter_map(|line| line.split_once('=')).find(|(name, _)| *name == variable);
        found.and_then(|(_, port)| port.parse().ok()).unwrap_or_else(|| panic!("nothing has `{variable}`\n{text}"))
    }
}
