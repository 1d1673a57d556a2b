//! Builds an image on the engine, with BuildKit or else with the classic builder.

mod archive;
mod carried;
mod context;
mod entries;
mod failure;
mod follow;
mod ignore;
mod steps;

use std::collections::HashMap;
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bollard::auth::DockerCredentials;
use bollard::query_parameters::{BuildImageOptions, BuilderVersion};
use serde_json::json;

use super::api::with_query;
use super::{DockerEngine, built};
use crate::model::{BuildSpec, Label, Ulimit};
use crate::ports::{EngineError, EngineErrorKind, Progress};
use archive::Upload;
use context::Context;
use failure::Failure;
use follow::follow;
use steps::Steps;

/// Limit between two messages of the engine. A compiler may print nothing for a long time; the user can cancel the
/// build.
const SILENCE_LIMIT: Duration = Duration::from_secs(3600);

pub(super) async fn source_digest(build: &BuildSpec) -> Result<String, EngineError> {
    let build = build.clone();
    blocking(move || Context::read(&build)?.digest(&build)).await
}

/// Builds an image. Dropping the future cancels the build on the engine.
pub(super) async fn build_image(
    engine: &DockerEngine,
    build: &BuildSpec,
    tag: &str,
    digest: &str,
    progress: Progress,
) -> Result<String, EngineError> {
    let builder = if engine.classic_builder { BuilderVersion::BuilderV1 } else { BuilderVersion::BuilderBuildKit };
    let order = Order { engine, build, tag, digest, name: built::name(digest) };
    match order.run(builder, &progress).await {
        // Podman and engines on Windows have no BuildKit.
        Err(Failure { lacks_buildkit: true, .. }) => order.run(BuilderVersion::BuilderV1, &progress).await,
        other => other,
    }
    .map_err(|failure| failure.error)?;
    order.built().await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, EngineError> + Send + 'static,
) -> Result<T, EngineError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|panic| {
        Err(EngineError::new(EngineErrorKind::Other, format!("internal: reading the build context failed: {panic}")))
    })
}

/// One image to build.
struct Order<'a> {
    engine: &'a DockerEngine,
    build: &'a BuildSpec,
    tag: &'a str,
    digest: &'a str,
    /// The name of this build's image; see [`built`].
    name: String,
}

impl Order<'_> {
    async fn run(&self, builder: BuilderVersion, progress: &Progress) -> Result<(), Failure> {
        let build = self.build.clone();
        let context = blocking(move || Context::read(&build)).await?;
        let options = self.options(builder, context.dockerfile_name.clone());
        let (credentials, troubles) = self.credentials(&context.dockerfile).await;
        let (upload, body) = Upload::begin(context);
        let client = with_query(self.engine, self.addition()).with_timeout(SILENCE_LIMIT);
        let stream = client.build_image(options, Some(credentials), Some(bollard::body_try_stream(body)));
        let mut steps = Steps::new(progress.clone());
        let outcome = follow(stream, &mut steps).await;
        match outcome {
            Ok(()) => Ok(()),
            // An unreadable file aborts the upload; the engine only knows that it ended.
            Err(error) => Err(match upload.error().await {
                Some(error) => Failure::from(error),
                None => Failure::new(self.tag, error, steps).without_logins(&troubles),
            }),
        }
    }

    /// The logins for all registries that the build may use, and why some are missing.
    async fn credentials(&self, dockerfile: &str) -> (HashMap<String, DockerCredentials>, Vec<EngineError>) {
        let build = self.build;
        let texts = build.args.values().chain(&build.cache_from).map(String::as_str).chain([dockerfile]);
        self.engine.credentials.for_build(&texts.collect::<Vec<_>>()).await
    }

    /// Query parameters that bollard's options lack: lists of extra hosts, ulimits and tags.
    fn addition(&self) -> String {
        let hosts = self.build.extra_hosts.iter().map(|host| ("extrahosts", host.clone()));
        let tags = self.build.tags.iter().cloned().chain([self.name.clone()]).map(|tag| ("t", tag));
        let limit = |limit: &Ulimit| json!({ "Name": limit.name, "Soft": limit.soft, "Hard": limit.hard });
        let limits: Vec<serde_json::Value> = self.build.ulimits.iter().map(limit).collect();
        let limits = (!limits.is_empty()).then(|| ("ulimits", serde_json::Value::from(limits).to_string()));
        let shm = self.build.shm_bytes.map(|bytes| ("shmsize", bytes.to_string()));
        let pairs = hosts.chain(tags).chain(limits).chain(shm);
        pairs.map(|(key, value)| format!("{key}={}", percent_encoded(&value))).collect::<Vec<_>>().join("&")
    }

    fn options(&self, version: BuilderVersion, dockerfile: String) -> BuildImageOptions {
        let build = self.build;
        let own = [(Label::SOURCE, self.digest.to_owned()), (Label::BUILT, self.name.clone())];
        let own = own.map(|(key, value)| (key.to_owned(), value));
        BuildImageOptions {
            dockerfile,
            t: Some(self.tag.to_owned()),
            nocache: build.no_cache,
            pull: build.pull.then(|| "1".to_owned()),
            rm: true,
            forcerm: true,
            buildargs: Some(build.args.clone().into_iter().collect()),
            labels: Some(build.labels.clone().into_iter().chain(own).collect()),
            networkmode: build.network.clone(),
            target: build.target.clone().unwrap_or_default(),
            cachefrom: (!build.cache_from.is_empty()).then(|| build.cache_from.clone()),
            platform: build.platform.clone().unwrap_or_default(),
            session: (version == BuilderVersion::BuilderBuildKit).then(session_id),
            version,
            ..BuildImageOptions::default()
        }
    }

    /// A cut stream looks like a finished one, so only the existence of the image proves the build.
    async fn built(&self) -> Result<String, EngineError> {
        let doing = format!("build image `{}`", self.tag);
        let image = super::present(self.engine.call(&doing, self.engine.client.inspect_image(self.tag)).await)?;
        let labels = image.as_ref().and_then(|image| image.config.as_ref()?.labels.as_ref());
        let fresh = labels.and_then(|labels| labels.get(Label::SOURCE)).is_some_and(|source| source == self.digest);
        image.and_then(|image| image.id).filter(|_| fresh).ok_or_else(|| {
            EngineError::new(
                EngineErrorKind::BuildFailed,
                format!("could not {doing}: the engine ended the build early"),
            )
            .hint("`docker info` shows whether the engine still works")
        })
    }
}

/// Unique among all clients of the engine.
fn session_id() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    format!("deploy-apps-{}-{now}-{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

fn percent_encoded(text: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
    text.bytes().map(|byte| if keep(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_safe_in_a_query() {
        assert_eq!(percent_encoded("db:10.0.0.2"), "db:10.0.0.2");
        assert_eq!(percent_encoded("a&b c"), "a%26b%20c");
    }
}
