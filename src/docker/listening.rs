//! Finds the listening sockets of a container, with a short-lived container of the proxy's image in its network: app
//! images may have no shell, and the engine may be remote.

use std::net::SocketAddrV4;
use std::time::Duration;

use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{AttachContainerOptionsBuilder, CreateContainerOptions, ListContainersOptionsBuilder};
use futures_util::StreamExt;

use super::{DockerEngine, bounded, containers, errors, filter};
use crate::model::{Label, Listening, parse_sockets};
use crate::ports::EngineError;

/// The container starts in half a second. The user has already waited for the app's timeout.
const LIMIT: Duration = Duration::from_secs(8);
const MOST_BYTES: usize = 64 * 1024;
const MARK: &str = "--";

/// `None` when the proxy does not run: then its image may be missing.
pub(super) async fn listening(
    engine: &DockerEngine,
    name: &str,
    address: SocketAddrV4,
) -> Result<Option<Listening>, EngineError> {
    let Some(image) = proxy_image(engine).await? else { return Ok(None) };
    let Some(id) = containers::inspect(engine, name).await?.and_then(|container| container.id) else { return Ok(None) };
    let doing = format!("look where `{name}` listens");
    let text = bounded(&doing, LIMIT, look(engine, &image, &id, address, &doing)).await?;
    let (tables, answer) = text.split_once(MARK).unwrap_or((&text, ""));
    let mut answer = answer.split_whitespace();
    // A TLS record: alert or handshake, version 3.
    let speaks_tls = matches!((answer.next(), answer.next()), (Some("15" | "16"), Some("03")));
    Ok(Some(Listening { sockets: parse_sockets(tables), speaks_tls }))
}

async fn proxy_image(engine: &DockerEngine) -> Result<Option<String>, EngineError> {
    let filters = filter("label", format!("{}=proxy", Label::ROLE));
    let options = ListContainersOptionsBuilder::default().filters(&filters).build();
    let listed = engine.call("list the proxies", engine.client.list_containers(Some(options))).await?;
    Ok(listed.into_iter().find_map(|container| container.image_id))
}

/// Prints the kernel's tables, and the first bytes of the answer to the start of a TLS handshake.
fn script(address: SocketAddrV4) -> String {
    format!(
        "cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | grep ' 0A '; echo {MARK}; \
         printf '\\026\\003\\001\\000\\005\\001\\000\\000\\001\\000' \
         | timeout 2 socat -t 1 - TCP:{address},connect-timeout=1 2>/dev/null | head -c 2 | od -An -tx1"
    )
}

async fn look(
    engine: &DockerEngine,
    image: &str,
    target: &str,
    address: SocketAddrV4,
    doing: &str,
) -> Result<String, EngineError> {
    let client = &engine.client;
    let body = ContainerCreateBody {
        image: Some(image.to_owned()),
        entrypoint: Some(["sh", "-c"].map(str::to_owned).to_vec()),
        cmd: Some(vec![script(address)]),
        attach_stdout: Some(true),
        host_config: Some(HostConfig {
            network_mode: Some(format!("container:{target}")),
            cap_drop: Some(vec!["ALL".to_owned()]),
            auto_remove: Some(true),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    };
    let created = engine.call(doing, client.create_container(None::<CreateContainerOptions>, body)).await?;
    let read = async {
        let options = AttachContainerOptionsBuilder::new().stream(true).stdout(true).build();
        let mut output = engine.call(doing, client.attach_container(&created.id, Some(options))).await?.output;
        engine.call(doing, client.start_container(&created.id, None)).await?;
        let mut text = Vec::new();
        while let Some(chunk) = output.next().await {
            match chunk {
                Ok(chunk) if text.len() < MOST_BYTES => text.extend(chunk.into_bytes()),
                Ok(_) => break,
                Err(error) if errors::is_ragged_end(&error) => break,
                Err(error) => return Err(errors::explain(doing, &error)),
            }
        }
        Ok(String::from_utf8_lossy(&text).into_owned())
    };
    let text = read.await;
    // The container is removed automatically after it ran, but not if it failed to start.
    let _ = containers::remove(engine, &created.id).await;
    text
}
