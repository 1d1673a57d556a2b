//! nginx in front of a container that a script replaces: start the new one, rewrite the upstream, `nginx -s reload`,
//! stop the old one.

use tokio::process::Command;

use super::version_of;
use crate::common::Result;
use crate::common::host::docker as engine;
use crate::common::standing::{RUN_NGINX, complete};
use crate::stage::Stage;

pub async fn look(image: &str) -> Result<String> {
    let mut curl = Command::new("curl");
    curl.arg("--version");
    version_of(curl, "apt-get install curl").await?;
    let mut nginx = Command::new("docker");
    nginx.args(["run", "--rm", "--entrypoint", "sh", image, "-c", "nginx -v 2>&1"]);
    version_of(nginx, "docker ps").await
}

pub async fn start(stage: &Stage) -> Result {
    engine(&["network", "create", &stage.name]).await?;
    let (name, published) = (format!("{}-nginx", stage.name), stage.published(8080));
    let conf = format!("CONF={}", complete(include_str!("../../common/conf/reload.conf")));
    // nginx does not start without a server; the first deploy sets the first real one.
    let upstream = "UPSTREAM=server 127.0.0.1:1 down;";
    let run = ["run", "-d", "--name", &name, "--network", &stage.name, "-p", &published, "--no-healthcheck"];
    let given = ["-e", &conf, "-e", upstream, "--entrypoint", "sh", &stage.nginx, "-c", RUN_NGINX];
    engine(&[run.as_slice(), &given].concat()).await.map(drop)
}
