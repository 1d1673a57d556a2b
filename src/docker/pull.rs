//! Pulls images from registries.

use std::time::Duration;

use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::StreamExt;

use super::credentials::{Login, registry};
use super::images::{image_id, split_tag};
use super::{DockerEngine, errors};
use crate::ports::{EngineError, EngineErrorKind, Progress};

/// Limit between two messages of the engine.
const SILENCE_LIMIT: Duration = Duration::from_secs(300);

pub(super) async fn pull_image(
    engine: &DockerEngine,
    reference: &str,
    progress: Progress,
) -> Result<String, EngineError> {
    let doing = format!("pull image `{reference}`");
    // Without a tag the engine would pull all tags.
    let whole = match split_tag(reference) {
        (_, None) if !reference.contains('@') => format!("{reference}:latest"),
        _ => reference.to_owned(),
    };
    let options = CreateImageOptionsBuilder::default().from_image(&whole).build();
    let client = engine.client.clone().with_timeout(SILENCE_LIMIT);
    let login = match engine.credentials.for_image(reference).await {
        Ok(login) => Ok(login),
        // Most images need no login, so it is the registry that decides whether this is an error.
        Err(trouble) => {
            progress(format!("without a login: {trouble}"));
            Err(trouble)
        }
    };
    let credentials = login.as_ref().ok().and_then(Option::as_ref).map(|login| login.credentials.clone());
    let mut stream = std::pin::pin!(client.create_image(Some(options), None, credentials));
    loop {
        match tokio::time::timeout(SILENCE_LIMIT, stream.next()).await {
            Err(_) => return Err(errors::timed_out(&doing, SILENCE_LIMIT)),
            Ok(None) => break,
            Ok(Some(Ok(info))) => report(&info, &progress),
            Ok(Some(Err(error))) if errors::is_ragged_end(&error) => break,
            Ok(Some(Err(error))) => return Err(refused(reference, &login, errors::explain(&doing, &error))),
        }
    }
    image_id(engine, reference).await?.ok_or_else(|| {
        EngineError::new(EngineErrorKind::Other, format!("could not {doing}: the engine ended the pull early"))
    })
}

/// Reports only the steps of a layer: byte counters arrive many times a second.
fn report(info: &bollard::models::CreateImageInfo, progress: &Progress) {
    let counting = info.progress_detail.as_ref().is_some_and(|detail| detail.current.is_some());
    if let (Some(status), false) = (&info.status, counting) {
        match &info.id {
            Some(layer) => progress(format!("{layer} {}", status.to_lowercase())),
            None => progress(status.clone()),
        }
    }
}

/// The image cannot be pulled; the registry's message says why.
fn refused(reference: &str, login: &Result<Option<Login>, EngineError>, error: EngineError) -> EngineError {
    use EngineErrorKind::{DiskFull, ImageNotFound, PermissionDenied, TimedOut, Unreachable};
    if matches!(error.kind, DiskFull | PermissionDenied | TimedOut | Unreachable) {
        return error;
    }
    let reason = error.message;
    let lower = reason.to_lowercase();
    let has = |needles: &[&str]| needles.iter().any(|needle| lower.contains(needle));
    let hint = if has(&["denied", "unauthorized", "authentication", "forbidden", "basic auth credentials"]) {
        let registry = registry(reference);
        // For Docker Hub, `docker login` needs no argument.
        let login_command =
            if registry.contains("://") { "docker login".into() } else { format!("docker login {registry}") };
        match login {
            Err(trouble) => {
                let hint = trouble.hint.clone().unwrap_or_default();
                return EngineError::new(ImageNotFound, format!("{reason}; {trouble}")).hint(hint);
            }
            Ok(Some(Login { credentials, from })) => {
                let user = credentials.username.as_ref().map(|user| format!(" of `{user}`")).unwrap_or_default();
                let reason = format!("{reason}; the login{user} is from {from}");
                let hint = format!("it may have expired or lack the right to pull `{reference}`: `{login_command}`");
                return EngineError::new(ImageNotFound, reason).hint(hint);
            }
            Ok(None) => format!("check the name `{reference}`; `{login_command}` if its registry is private"),
        }
    } else if has(&["x509", "certificate"]) {
        format!(
            "the engine does not trust the registry: its authority belongs into `/etc/docker/certs.d/{}/ca.crt` on the engine's host",
            registry(reference)
        )
    } else if has(&["no matching manifest"]) {
        "the image is not built for the engine's platform: build it for that one too, or set `platform`".to_owned()
    } else if has(&["manifest unknown", "not found", "does not exist"]) {
        format!("check the name and tag of `{reference}`")
    } else if has(&["no such host", "lookup ", "connection refused", "timeout", "deadline exceeded", "unreachable"]) {
        "the engine does not reach the registry: check its network, or `docker load` the image".to_owned()
    } else {
        format!("`docker pull {reference}` on the engine's host shows more")
    };
    EngineError::new(ImageNotFound, reason).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registrys_reason_is_kept_before_the_hint() {
        let refuse =
            |text: &str| refused("shop:1", &Ok(None), errors::from_text("pull image `shop:1`", Some(404), text));
        let denied = refuse("pull access denied for shop, repository does not exist or may require 'docker login'");
        assert_eq!(denied.kind, EngineErrorKind::ImageNotFound);
        assert!(denied.message.contains("pull access denied") && denied.hint.unwrap().contains("docker login"));
        let offline = refuse("Get \"https://registry.example/v2/\": dial tcp: lookup registry.example: no such host");
        assert!(offline.hint.unwrap().contains("does not reach the registry"));
        assert_eq!(refuse("no space left on device").kind, EngineErrorKind::DiskFull);
    }
}
