//! `docker rollout`: doubles the containers, waits, then stops the old ones. In front of it is an nginx that resolves
//! the service name every second: the proxies in its documentation would have to be pulled.

use serde_json::json;
use tokio::process::Command;

use super::{docker, version_of};
use crate::common::Result;
use crate::common::process;
use crate::common::standing::{RUN_NGINX, complete};
use crate::stage::Stage;

/// The plugin has no version command: without the plugin, `docker rollout --version` prints docker's own version.
const OF_THE_PLUGIN: &str = r#"{{range .ClientInfo.Plugins}}{{if eq .Name "rollout"}}{{.Version}}{{end}}{{end}}"#;

pub async fn look() -> Result<String> {
    super::compose::look().await?;
    let hint = "put its script into ~/.docker/cli-plugins, then bench/setup";
    match version_of(docker(&["info", "--format", OF_THE_PLUGIN]), hint).await? {
        none if none.is_empty() => Err(format!("not here: no such plugin of the docker command\nhint: {hint}").into()),
        version => Ok(version),
    }
}

pub async fn start(stage: &Stage) -> Result {
    let web = json!({
        "image": stage.image,
        "pull_policy": "never",
        "environment": { "RELEASE_MARK": "${MARK}" },
        "stop_grace_period": "10s",
    });
    // Compose interpolates `$`; `$$` is its escape.
    let escaped = |text: &str| text.replace('$', "$$");
    let proxy = json!({
        "image": stage.nginx,
        "pull_policy": "never",
        "entrypoint": ["sh", "-c", escaped(RUN_NGINX)],
        "environment": { "CONF": escaped(&complete(include_str!("../conf/resolve.conf"))), "UPSTREAM": "" },
        "healthcheck": { "disable": true },
        "ports": [stage.published(8080)],
    });
    let file = json!({ "name": stage.name, "services": { "web": web, "proxy": proxy } });
    stage.write("compose.yaml", &file.to_string())?;
    let mut up = docker(&["compose", "up", "-d", "proxy"]);
    up.current_dir(stage.path()).env("MARK", "0");
    process::run(up).await.map(drop)
}

pub fn deploy() -> Command {
    let mut command = docker(&["rollout", "web"]);
    command.env_remove("COMPOSE_FILE").env_remove("COMPOSE_PROJECT_NAME");
    command
}
