//! Builds an image on the engine: with BuildKit, or with the classic builder where there is none.

use std::io::{self, Write};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bollard::errors::Error;
use bollard::models::{BuildInfo, BuildInfoAux};
use bollard::query_parameters::{BuildImageOptions, BuilderVersion};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt, stream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::connect::with_query;
use super::context::Context;
use super::progress::{StepNews, Steps};
use super::{DockerEngine, errors};
use crate::model::{BuildSpec, Label};
use crate::ports::{EngineError, EngineErrorKind, Progress};

/// Between two messages of the engine. A compiler may say nothing for long; the user can always stop the build.
const SILENCE_LIMIT: Duration = Duration::from_secs(3600);
/// A context of any size takes this much memory, a few times.
const CHUNK: usize = 256 * 1024;
const CHUNKS_AHEAD: usize = 4;

pub(super) async fn source_digest(build: &BuildSpec) -> Result<String, EngineError> {
    let build = build.clone();
    blocking(move || Context::read(&build)?.digest(&build)).await
}

/// Dropping it stops the build on the engine.
pub(super) async fn build_image(
    engine: &DockerEngine,
    build: &BuildSpec,
    tag: &str,
    digest: &str,
    progress: Progress,
) -> Result<String, EngineError> {
    let builder = if engine.classic_builder { BuilderVersion::BuilderV1 } else { BuilderVersion::BuilderBuildKit };
    let order = Order { engine, build, tag, digest };
    match order.run(builder, &progress).await {
        // Podman, and engines on Windows.
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
}

struct Failure {
    error: EngineError,
    lacks_buildkit: bool,
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        Self { error, lacks_buildkit: false }
    }
}

impl Order<'_> {
    async fn run(&self, builder: BuilderVersion, progress: &Progress) -> Result<(), Failure> {
        let build = self.build.clone();
        let context = blocking(move || Context::read(&build)).await?;
        let options = self.options(builder, context.dockerfile_name.clone());
        let (upload, body) = archive(context);
        let credentials = self.engine.credentials.all();
        let hosts: Vec<String> =
            self.build.extra_hosts.iter().map(|host| format!("extrahosts={}", percent_encoded(host))).collect();
        let client = with_query(self.engine, hosts.join("&")).with_timeout(SILENCE_LIMIT);
        let stream = client.build_image(options, Some(credentials), Some(bollard::body_try_stream(body)));
        let mut steps = Steps::new(progress.clone());
        let outcome = follow(stream, &mut steps).await;
        let Err(error) = outcome else { return Ok(()) };
        // A file that could not be read breaks the upload, of which the engine knows only that it ended.
        if let Some(why) = upload_error(upload).await {
            return Err(why.into());
        }
        Err(self.failure(error, steps))
    }

    fn options(&self, version: BuilderVersion, dockerfile: String) -> BuildImageOptions {
        let build = self.build;
        let source = (Label::SOURCE.to_owned(), self.digest.to_owned());
        BuildImageOptions {
            dockerfile,
            t: Some(self.tag.to_owned()),
            nocache: build.no_cache,
            pull: build.pull.then(|| "1".to_owned()),
            rm: true,
            forcerm: true,
            buildargs: Some(build.args.clone().into_iter().collect()),
            labels: Some(build.labels.clone().into_iter().chain([source]).collect()),
            networkmode: build.network.clone(),
            target: build.target.clone().unwrap_or_default(),
            session: (version == BuilderVersion::BuilderBuildKit).then(session_id),
            version,
            ..BuildImageOptions::default()
        }
    }

    /// A cut stream looks like a finished one, so only the image itself proves the build.
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

    fn failure(&self, error: BuildError, steps: Steps) -> Failure {
        let doing = format!("build image `{}`", self.tag);
        let text = match error {
            BuildError::Silent => return errors::timed_out(&doing, SILENCE_LIMIT).into(),
            BuildError::Engine(Error::DockerStreamError { error }) => error,
            BuildError::Engine(Error::DockerResponseServerError { message, .. }) => message,
            BuildError::Engine(other) => return errors::explain(&doing, &other).into(),
        };
        let lacks_buildkit = text.to_lowercase().contains("buildkit") && text.contains("not supported");
        let known = errors::from_text(&doing, None, &text);
        if known.kind == EngineErrorKind::DiskFull {
            return known.into();
        }
        let reason = reason(&text);
        let (kind, hint) = judge(&text);
        let failed = steps.failed().filter(|(name, _)| !name.is_empty());
        let at = failed.as_ref().map(|(name, _)| format!(" at `{name}`")).unwrap_or_default();
        let mut error = EngineError::new(kind, format!("build of image `{}` failed{at}: {reason}", self.tag));
        error.hint = hint.map(str::to_owned);
        match failed {
            Some((name, tail)) if !tail.is_empty() => {
                error = error.detail(format!("last {} lines of `{name}`", tail.len()), tail);
            }
            _ => {}
        }
        Failure { error, lacks_buildkit }
    }
}

/// What is wrong with the build's files, and what only failed while running.
fn judge(text: &str) -> (EngineErrorKind, Option<&'static str>) {
    let lower = text.to_lowercase();
    let has = |needles: &[&str]| needles.iter().any(|needle| lower.contains(needle));
    if has(&["parse error", "unknown instruction", "no build stage", "file with no instructions", "cannot be empty"]) {
        (EngineErrorKind::BadBuild, Some("correct the Dockerfile at the line it names"))
    } else if has(&["target stage", "failed to reach build target"]) {
        (EngineErrorKind::BadBuild, Some("check `build.target` against the stages of the Dockerfile"))
    } else if has(&[
        "failed to compute cache key",
        "failed to calculate checksum",
        "copy failed",
        "file not found in build context",
    ]) {
        (EngineErrorKind::BadBuild, Some("is the file in the build context, and not in .dockerignore?"))
    } else if has(&[
        "failed to resolve source metadata",
        "pull access denied",
        "manifest unknown",
        "failed to resolve reference",
    ]) {
        (
            EngineErrorKind::BuildFailed,
            Some("its base image cannot be had: check its name and whether the engine reaches the registry"),
        )
    } else {
        (EngineErrorKind::BuildFailed, None)
    }
}

/// Without what the message says already: that it is a build, and which command.
fn reason(text: &str) -> String {
    let text = text.trim().trim_start_matches("failed to solve: ");
    let text = match text.split_once("did not complete successfully: ") {
        Some((_, code)) => code.replace("exit code: ", "exit code "),
        None => text.to_owned(),
    };
    match text.rsplit_once("returned a non-zero code: ") {
        Some((_, code)) => format!("exit code {code}"),
        None => text.split_whitespace().collect::<Vec<_>>().join(" "),
    }
}

enum BuildError {
    Engine(Error),
    Silent,
}

async fn follow(stream: impl Stream<Item = Result<BuildInfo, Error>>, steps: &mut Steps) -> Result<(), BuildError> {
    let mut stream = std::pin::pin!(stream);
    let mut classic = Classic::default();
    loop {
        let info = match tokio::time::timeout(SILENCE_LIMIT, stream.next()).await {
            Err(_) => return Err(BuildError::Silent),
            Ok(Some(Ok(info))) => info,
            Ok(Some(Err(error))) if errors::is_ragged_end(&error) => break,
            Ok(Some(Err(error))) => return Err(BuildError::Engine(error)),
            Ok(None) => break,
        };
        if let Some(text) = info.stream {
            classic.take(&text, steps);
        }
        match info.aux {
            Some(BuildInfoAux::BuildKit(status)) => {
                for vertex in status.vertexes {
                    let took = took(
                        vertex.started.map(|at| (at.seconds, at.nanos)),
                        vertex.completed.map(|at| (at.seconds, at.nanos)),
                    );
                    steps.news(StepNews {
                        started: vertex.started.is_some(),
                        took,
                        cached: vertex.cached,
                        // Steps beside the failed one are cancelled and must not be taken for it.
                        failed: !vertex.error.is_empty() && !vertex.error.contains("context canceled"),
                        id: vertex.digest,
                        name: vertex.name,
                    });
                }
                for log in status.logs {
                    steps.output(&log.vertex, &log.msg);
                }
            }
            // The image's id is the last word of BuildKit; what would follow is the session, which only we end.
            Some(BuildInfoAux::Default(_)) if classic.step.is_none() => break,
            Some(BuildInfoAux::Default(_)) | None => {}
        }
    }
    classic.end(steps);
    Ok(())
}

fn took(started: Option<(i64, i32)>, completed: Option<(i64, i32)>) -> Option<Duration> {
    let nanoseconds = |(seconds, nanos): (i64, i32)| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
    let between = nanoseconds(completed?) - nanoseconds(started?);
    Some(Duration::from_nanos(u64::try_from(between).unwrap_or_default()))
}

/// The classic builder's text, in which a step begins with `Step 3/7 : RUN …`.
#[derive(Default)]
struct Classic {
    step: Option<String>,
    cached: bool,
}

impl Classic {
    fn take(&mut self, text: &str, steps: &mut Steps) {
        if let Some((number, name)) = text.strip_prefix("Step ").and_then(|rest| rest.split_once(" : ")) {
            self.end(steps);
            self.step = Some(number.to_owned());
            steps.news(StepNews {
                id: number.to_owned(),
                name: format!("[{number}] {}", name.trim()),
                started: true,
                cached: false,
                took: None,
                failed: false,
            });
        } else if text.starts_with(" ---> ") {
            self.cached |= text.contains("Using cache");
        } else if let Some(step) = self.step.as_ref().filter(|_| !text.starts_with("Removing intermediate")) {
            steps.output(step, text.as_bytes());
        }
    }

    fn end(&mut self, steps: &mut Steps) {
        if let Some(step) = self.step.take() {
            steps.end(&step, std::mem::take(&mut self.cached));
        }
    }
}

/// Unique among all clients of the engine.
fn session_id() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    format!("deploy-apps-{}-{now}-{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

type Upload = JoinHandle<io::Result<()>>;

/// The archive as a stream that is written while it is sent.
fn archive(context: Context) -> (Upload, impl Stream<Item = io::Result<Bytes>> + Send + 'static) {
    let (sender, receiver) = mpsc::channel(CHUNKS_AHEAD);
    let upload = tokio::task::spawn_blocking(move || {
        let result = context.write_tar(Chunks { sender: sender.clone(), buffer: BytesMut::with_capacity(CHUNK) });
        if let Err(error) = &result {
            // Without an error the archive would look complete, and its first half would be built.
            let _ = sender.blocking_send(Err(io::Error::new(error.kind(), error.to_string())));
        }
        result
    });
    (upload, stream::unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) }))
}

/// Why the upload broke, unless the engine was the one to end it.
async fn upload_error(upload: Upload) -> Option<EngineError> {
    match upload.await {
        Ok(Err(error)) if error.kind() != io::ErrorKind::BrokenPipe => Some(
            EngineError::new(EngineErrorKind::BadBuild, format!("the build context cannot be read: {error}"))
                .hint("make it readable, or list it in .dockerignore"),
        ),
        _ => None,
    }
}

struct Chunks {
    sender: mpsc::Sender<io::Result<Bytes>>,
    buffer: BytesMut,
}

impl Write for Chunks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= CHUNK {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let chunk = self.buffer.split().freeze();
        self.sender.blocking_send(Ok(chunk)).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

fn percent_encoded(text: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
    text.bytes().map(|byte| if keep(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_builders_words_come_down_to_the_reason() {
        let buildkit = "failed to solve: process \"/bin/sh -c exit 3\" did not complete successfully: exit code: 3";
        assert_eq!(reason(buildkit), "exit code 3");
        assert_eq!(reason("The command '/bin/sh -c exit 3' returned a non-zero code: 3"), "exit code 3");
        assert_eq!(
            reason("dockerfile parse error on line 2: unknown instruction: RUNN"),
            "dockerfile parse error on line 2: unknown instruction: RUNN"
        );
    }

    #[test]
    fn faults_of_the_files_are_told_from_faults_of_the_run() {
        let kind = |text: &str| judge(text).0;
        assert_eq!(kind("dockerfile parse error on line 2: unknown instruction: RUNN"), EngineErrorKind::BadBuild);
        assert_eq!(kind("failed to compute cache key: \"/nope\": not found"), EngineErrorKind::BadBuild);
        assert_eq!(kind("target stage \"dev\" could not be found"), EngineErrorKind::BadBuild);
        assert_eq!(
            kind("process \"/bin/sh -c exit 3\" did not complete successfully: exit code: 3"),
            EngineErrorKind::BuildFailed
        );
    }

    #[test]
    fn hosts_are_safe_in_a_query() {
        assert_eq!(percent_encoded("db:10.0.0.2"), "db:10.0.0.2");
        assert_eq!(percent_encoded("a&b c"), "a%26b%20c");
    }
}
