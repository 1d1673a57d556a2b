//! `docker compose up -d`, with the app's port published: the old container is removed before the new one starts.

use serde_json::json;
use tokio::process::Command;

use super::{docker, version_of};
use crate::common::Result;
use crate::stage::Stage;

pub async fn look() -> Result<String> {
    version_of(docker(&["compose", "version"]), "bench/setup").await
}

pub fn start(stage: &Stage) -> Result {
    let web = json!({
        "image": stage.image,
        "pull_policy": "never",
        "environment": { "RELEASE_MARK": "${MARK}" },
        "stop_grace_period": "10s",
        "ports": [stage.published(8080)],
    });
    stage.write("compose.yaml", &json!({ "name": stage.name, "services": { "web": web } }).to_string())
}

pub fn deploy() -> Command {
    let mut command = docker(&["compose", "up", "-d"]);
    command.env_remove("COMPOSE_FILE").env_remove("COMPOSE_PROJECT_NAME");
    command
}
