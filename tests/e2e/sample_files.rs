//! What holds for every service of the sample system, read from its files as users read them.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::harness::binary;

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files, all profiles, as `config` resolves them.
fn services() -> serde_json::Map<String, Value> {
    let mut command = Command::new(binary());
    command.current_dir(repository()).args(["-f", "compose.yaml"]);
    for secret in ["GRAFANA", "POSTGRES", "POSTGRES_MONITOR"] {
        // Any file will do: it is only looked for.
        command.env(format!("{secret}_PASSWORD_FILE"), repository().join("Cargo.toml"));
    }
    for extra in ["stack/grafana.yaml", "stack/jaeger.yaml", "stack/logs.yaml"] {
        command.args(["-f", extra]);
    }
    let output = command.args(["--profile", "*", "config", "--format", "json"]).output().expect("the binary");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut file: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    file["services"].as_object_mut().map(std::mem::take).expect("services")
}

#[test]
fn the_diagram_shows_every_service_and_nothing_else() {
    let dot = std::fs::read_to_string(repository().join("docs/sample/architecture.dot")).expect("the diagram");
    let clusters = dot.split("subgraph cluster_").skip(2).map(|part| part.split('}').next().unwrap_or_default());
    let plain = |line: &str| !line.contains('=') || line.contains('[');
    let lines = clusters.flat_map(str::lines).skip(1).filter(|line| plain(line)).map(|line| line.split('[').next());
    let shown: BTreeSet<String> = lines
        .flatten()
        .flat_map(str::split_whitespace)
        .map(|name| name.trim_matches('"').to_owned())
        .filter(|name| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') && !name.is_empty())
        .filter(|name| !["apps", "data", "watch"].contains(&name.as_str()))
        .collect();
    let wanted: BTreeSet<String> = services().keys().cloned().collect();
    assert_eq!(shown, wanted);
}

#[test]
fn every_service_comes_back_by_itself_has_limits_and_a_version() {
    for (name, service) in services() {
        assert_eq!(service["restart"], "unless-stopped", "{name}");
        let limits = &service["deploy"]["resources"]["limits"];
        assert!(!limits["memory"].is_null() && !limits["cpus"].is_null(), "{name} has no limits: {limits}");
        if let Some(image) = service["image"].as_str() {
            let tag = image.rsplit_once(':').map(|(_, tag)| tag).unwrap_or_default();
            assert!(
                tag.starts_with(|c: char| c.is_ascii_digit() || c == 'v'),
                "{name} runs no certain version: {image}"
            );
        }
        // An app is asked by the proxy; everything else by the engine.
        if service["x-deploy-apps"]["port"].is_null() && service["healthcheck"].is_null() {
            let context = service["build"]["context"].as_str().unwrap_or_else(|| panic!("{name} has no healthcheck"));
            let text = std::fs::read_to_string(Path::new(context).join("Dockerfile")).expect("a Dockerfile");
            assert!(text.contains("\nHEALTHCHECK "), "{name} has no healthcheck");
        }
        let options = service["security_opt"].as_array().cloned().unwrap_or_default();
        assert!(options.iter().any(|option| option == "no-new-privileges:true"), "{name} may gain privileges");
        assert!(service["privileged"].is_null(), "{name} is privileged");
    }
}
