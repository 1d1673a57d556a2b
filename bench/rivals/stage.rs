//! The resources of one tool during one round, and their cleanup.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::Path;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::sleep;

use crate::common::host::{docker, remove_all};
use crate::common::{Bench, Result, http};
use crate::tools::Tool;

/// The host of every request; all tools route by it or not at all.
pub const HOST: &str = "web.localhost";
/// The tool has finished its deploy, and the app starts within milliseconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// Everything on the engine is named `bench-<tool>-<random>…` and removed on drop.
pub struct Stage {
    pub tool: Tool,
    pub name: String,
    pub folder: TempDir,
    /// The address for users: a published port on the engine's bridge, so that all tools are reached through the
    /// kernel's forwarding as from outside, and none through the engine's userland proxy.
    pub address: SocketAddr,
    /// The app's image.
    pub image: String,
    /// The image with nginx.
    pub nginx: String,
    image_id: String,
    /// The mark that the serving app reports; it increases with each deploy.
    mark: u32,
}

impl Stage {
    /// Starts the tool's proxy and the app's first version.
    pub async fn start(bench: &Bench, tool: Tool) -> Result<Self> {
        let random = RandomState::new().build_hasher().finish() & 0xff_ffff;
        let name = format!("bench-{}-{random:06x}", tool.key());
        let folder = tempfile::Builder::new().prefix(&name).tempdir()?;
        let gateway = "{{range .IPAM.Config}}{{.Gateway}} {{end}}";
        let gateways = docker(&["network", "inspect", "bridge", "--format", gateway]).await?;
        let gateway: IpAddr =
            gateways.split_whitespace().next().ok_or("the engine's bridge has no gateway")?.parse()?;
        let port = TcpListener::bind((gateway, 0))?.local_addr()?.port();
        let image = bench.images.app.clone();
        let image_id = docker(&["image", "inspect", "--format", "{{.Id}}", &image]).await?;
        let nginx = bench.images.proxy.clone();
        let address = (gateway, port).into();
        let mut stage = Self { tool, name, folder, address, image, nginx, image_id, mark: 0 };
        tool.start(&stage).await?;
        let first = stage.next();
        crate::common::process::run(first).await?;
        stage.confirm().await?;
        Ok(stage)
    }

    /// The command that deploys the next version.
    pub fn next(&mut self) -> Command {
        self.mark += 1;
        let mut command = self.tool.deploy(self);
        command.current_dir(self.folder.path()).env("MARK", self.mark.to_string());
        command
    }

    /// Waits until the deployed version is served.
    pub async fn confirm(&self) -> Result {
        let begun = Instant::now();
        while !self.is_new().await {
            if begun.elapsed() > PATIENCE {
                return Err(
                    format!("version {} does not answer within {PATIENCE:?} after its deploy", self.mark).into()
                );
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Whether the last deployed version answers.
    pub async fn is_new(&self) -> bool {
        http::get(self.address, HOST, "/mark").await.is_ok_and(|body| body.trim() == self.mark.to_string())
    }

    /// The names of the app's running containers.
    pub async fn replicas(&self) -> Result<Vec<String>> {
        let (name, image) = (format!("name=^/?{}-", self.name), format!("ancestor={}", self.image_id));
        let names = docker(&["ps", "--filter", &name, "--filter", &image, "--format", "{{.Names}}"]).await?;
        Ok(names.lines().map(str::to_owned).collect())
    }

    pub fn write(&self, file: &str, text: &str) -> Result {
        Ok(std::fs::write(self.path().join(file), text)?)
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The host address of a published port, in the engine's format.
    pub fn published(&self, port: u16) -> String {
        format!("{}:{port}", self.address)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        remove_all(&self.name);
    }
}
