//! The repository's own sample system under a name and a port of its own, so that several run beside each other.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{Host, Scenario};

/// What `compose.yaml` takes from the repository, besides itself.
const FOLDERS: [&str; 2] = ["apps", "stack"];

/// A folder with the sample in it, where edits hurt nobody. Nothing is deployed yet.
pub async fn sample(test: &str) -> Host {
    let host = Scenario::new(test).start().await;
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(repository.join("compose.yaml")).expect("the sample");
    let proxy = r#"proxy: { http_port: "${HTTP_PORT:-8080}" }"#;
    assert!(text.contains(proxy), "the sample's proxy has moved");
    let (name, port) = (host.name(), host.address().port());
    let own = format!(r#"proxy: {{ name: {name}, http_port: {port}, bind: "127.0.0.1" }}"#);
    let text = text.replace(proxy, &own).replace("name: sample\n", &format!("name: {name}\n"));
    fs::write(host.folder().join("compose.yaml"), text).expect("a writable folder");
    for folder in FOLDERS.map(|name| repository.join(name)).iter().filter(|folder| folder.exists()) {
        let copied = Command::new("cp").arg("-a").arg(folder).arg(host.folder()).status();
        assert!(copied.expect("the command `cp`").success());
    }
    host
}
