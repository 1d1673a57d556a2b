//! Containers next to the product: the compared tools and their backends. They use the product's images.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::Result;
use super::host::{Host, address_of, docker};

/// Passes a configuration to a container through its environment, so that no local file is needed for a remote engine.
pub const RUN_NGINX: &str = "printf %s \"$UPSTREAM\" > /tmp/upstream.conf && printf %s \"$CONF\" > /tmp/nginx.conf \
    && exec nginx -c /tmp/nginx.conf";

/// Settings that a fair nginx shares with the product's proxy.
const COMMON: &str = include_str!("conf/common.conf");

/// A container of the end-to-end tests' app that deploys do not touch; returns its address.
pub async fn app(host: &Host, image: &str, part: &str) -> Result<SocketAddr> {
    let name = format!("{}-{part}", host.name);
    docker(&["run", "-d", "--name", &name, "--network", &host.name.network(), image]).await?;
    let address = (address_of(&name).await?, 8080).into();
    listening(address).await?;
    Ok(address)
}

/// An nginx with its own configuration in front of `servers`; returns the container's name.
pub async fn nginx(host: &Host, image: &str, part: &str, conf: &str, servers: &[SocketAddr]) -> Result<String> {
    let name = format!("{}-{part}", host.name);
    let (network, conf) = (host.name.network(), format!("CONF={}", complete(conf)));
    let upstream = servers.iter().map(|server| format!("server {server};"));
    let upstream = format!("UPSTREAM={}", upstream.collect::<String>());
    let run = ["run", "-d", "--name", &name, "--network", &network, "--no-healthcheck", "-e", &conf, "-e", &upstream];
    docker(&[run.as_slice(), &["--entrypoint", "sh", image, "-c", RUN_NGINX]].concat()).await?;
    listening((address_of(&name).await?, 8080).into()).await?;
    Ok(name)
}

pub fn complete(conf: &str) -> String {
    conf.replace("# common.conf", COMMON)
}

async fn listening(address: SocketAddr) -> Result {
    let deadline = Instant::now() + Duration::from_secs(20);
    while tokio::net::TcpStream::connect(address).await.is_err() {
        if Instant::now() > deadline {
            return Err(format!("nothing listens at {address}").into());
        }
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}
