//! kamal-proxy, used like kamal does on a host: start the new container, run `kamal-proxy deploy`, which returns when
//! the old one is drained, and stop the old container. Kamal's own ssh connections are not measured.

use super::fetched;
use crate::common::Result;
use crate::common::host::docker as engine;
use crate::stage::Stage;

/// The binary has no version command, so the setup script writes the version next to it.
pub fn look() -> Result<String> {
    let written = fetched().join("kamal-proxy.version");
    let version = std::fs::read_to_string(&written)
        .map_err(|error| format!("not here: `{}`: {error}\nhint: bench/setup", written.display()))?;
    Ok(version.trim().to_owned())
}

pub async fn start(stage: &Stage) -> Result {
    engine(&["network", "create", &stage.name]).await?;
    let (name, published) = (format!("{}-kamal-proxy", stage.name), stage.published(8080));
    let binary = format!("{}:/usr/local/bin/kamal-proxy:ro", fetched().join("kamal-proxy").display());
    let run = ["run", "-d", "--name", &name, "--network", &stage.name, "-p", &published, "--no-healthcheck"];
    let given = ["-v", &binary, "-e", "HOME=/tmp", "--entrypoint", "kamal-proxy", &stage.nginx];
    engine(&[run.as_slice(), &given, &["run", "--http-port", "8080", "--https-port", "8443"]].concat()).await.map(drop)
}
