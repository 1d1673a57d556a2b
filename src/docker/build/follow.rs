//! Reads a builder's output until its end.

use std::time::Duration;

use bollard::errors::Error;
use bollard::models::{BuildInfo, BuildInfoAux};
use futures_util::{Stream, StreamExt};

use super::SILENCE_LIMIT;
use super::steps::{StepNews, Steps};
use crate::docker::errors;

/// Why a build failed.
pub(super) enum BuildError {
    Engine(Error),
    Silent,
}

/// Returns at the end of the stream, which does not yet prove that there is an image.
pub(super) async fn follow(
    stream: impl Stream<Item = Result<BuildInfo, Error>>,
    steps: &mut Steps,
) -> Result<(), BuildError> {
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
                        // Concurrent steps are cancelled when one fails, and are not the failed step.
                        failed: !vertex.error.is_empty() && !vertex.error.contains("context canceled"),
                        id: vertex.digest,
                        name: vertex.name,
                    });
                }
                for log in status.logs {
                    steps.output(&log.vertex, &log.msg);
                }
            }
            // The image's id is BuildKit's last message. The session stays open until we close it.
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

/// Parses the output of the classic builder, where a step starts with `Step 3/7 : RUN …`.
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
