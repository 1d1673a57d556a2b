//! The product, with only the settings that a user needs.

use serde_json::json;
use tokio::process::Command;

use super::version_of;
use crate::common::Result;
use crate::common::host::binary;
use crate::stage::Stage;

pub async fn look() -> Result<String> {
    let mut command = Command::new(binary());
    command.arg("--version");
    version_of(command, "cargo build --release").await
}

pub fn start(stage: &Stage) -> Result {
    let proxy = json!({
        "name": stage.name,
        "http_port": stage.address.port(),
        "bind": stage.address.ip(),
    });
    let web = json!({
        "image": stage.image,
        "pull_policy": "never",
        "environment": { "RELEASE_MARK": "${MARK}" },
        "stop_grace_period": "10s",
        "x-deploy-apps": { "port": 8080, "health": { "path": "/healthz" } },
    });
    // JSON is valid YAML, so nothing needs manual quoting.
    let file = json!({ "name": stage.name, "x-deploy-apps": { "proxy": proxy }, "services": { "web": web } });
    stage.write("compose.yaml", &file.to_string())
}

pub fn deploy() -> Command {
    let mut command = Command::new(binary());
    command.arg("web").env_remove("COMPOSE_FILE").env_remove("COMPOSE_PROJECT_NAME");
    command
}
