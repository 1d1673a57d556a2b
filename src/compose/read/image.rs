//! `image`, `build` and `pull_policy`: the source of a service's image.

use super::build;
use super::image_reference;
use crate::compose::context::Context;
use crate::compose::error::{Problem, Read};
use crate::compose::text::node::{Entry, Map, Span, clip};
use crate::compose::text::scalar::choice;
use crate::model::{ImageSource, PullPolicy};

#[derive(Clone, Copy, PartialEq)]
enum Pull {
    Policy(PullPolicy),
    Build,
}

/// The source of an image; `None` if the service has none, or an invalid one, which has been reported.
pub(super) fn read(cx: &mut Context<'_>, service: &Entry, map: &Map) -> Option<ImageSource> {
    let field = |key: &str| map.get(key).filter(|field| !field.value.is_null());
    let reference =
        field("image").map(|field| (cx.keep(crate::compose::read::image::reference(field)), field.key_span));
    let policy = field("pull_policy").and_then(|field| Some((cx.keep(pull_policy(field))?, field.key_span)));
    // A release is identified by its built image, so a mutable tag cannot be its name.
    match (field("build"), reference) {
        (Some(build), reference) => {
            let mut build = build::read(cx, build)?;
            // Like in compose, the built image gets that tag too.
            match reference {
                Some((Some(name), span)) if name.contains('@') => {
                    let problem =
                        Problem::at(span, "`image` beside `build` names a digest, which no build can be given");
                    cx.warn(problem.hint("name a tag, such as `shop/web:1`"));
                }
                Some((Some(name), _)) if !build.tags.contains(&name) => build.tags.push(name),
                _ => {}
            }
            warn_of_idle_policy(cx, policy);
            Some(ImageSource::Build(Box::new(build)))
        }
        (None, Some((reference, _))) => match policy {
            Some((Pull::Build, span)) => {
                cx.refuse(Problem::at(span, "`pull_policy: build` without `build`").hint("add `build`, or remove it"));
                None
            }
            Some((Pull::Policy(policy), _)) => Some(ImageSource::Pull { reference: reference?, policy }),
            None => Some(ImageSource::Pull { reference: reference?, policy: PullPolicy::default() }),
        },
        // The key `provider` is refused with a hint.
        (None, None) if field("provider").is_some() => None,
        (None, None) => {
            let message = format!("service `{}` has neither `build` nor `image`", clip(&service.key));
            cx.refuse(Problem::at(service.key_span, message).hint("add `build: .` or `image: name:tag`"));
            None
        }
    }
}

fn warn_of_idle_policy(cx: &mut Context<'_>, policy: Option<(Pull, Span)>) {
    if let Some((Pull::Policy(_), span)) = policy {
        let problem = Problem::at(span, "`pull_policy` has no effect beside `build`");
        cx.warn(problem.hint("use `build.pull` to look for a newer base image"));
    }
}

pub(super) fn reference(field: &Entry) -> Read<String> {
    let text = field.text()?;
    if image_reference::is_valid(&text) {
        return Ok(text);
    }
    Err(field.expected("an image such as `redis:8` or `registry.example.com/team/app:1.2`"))
}

/// Policies that depend on the image's age are mapped to the stricter one: pull each time.
fn pull_policy(field: &Entry) -> Read<Pull> {
    let by_age = |text: &str| {
        matches!(text, "daily" | "weekly" | "refresh") || text.strip_prefix("every_").is_some_and(|age| !age.is_empty())
    };
    if field.value.as_text().is_some_and(by_age) {
        return Ok(Pull::Policy(PullPolicy::Always));
    }
    let policies = [
        ("always", Pull::Policy(PullPolicy::Always)),
        ("missing", Pull::Policy(PullPolicy::Missing)),
        ("if_not_present", Pull::Policy(PullPolicy::Missing)),
        ("never", Pull::Policy(PullPolicy::Never)),
        ("build", Pull::Build),
    ];
    choice("pull_policy", &field.value, &policies)
}
