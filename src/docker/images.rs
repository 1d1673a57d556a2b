//! Images on the engine and their tags.

use std::collections::HashMap;

use bollard::query_parameters::{PruneImagesOptionsBuilder, TagImageOptionsBuilder};

use super::{DockerEngine, built, present};
use crate::model::Label;
use crate::ports::{EngineError, EngineErrorKind};

pub(super) async fn image_id(engine: &DockerEngine, reference: &str) -> Result<Option<String>, EngineError> {
    let doing = format!("inspect image `{reference}`");
    let image = present(engine.call(&doing, engine.client.inspect_image(reference)).await)?;
    Ok(image.and_then(|image| image.id))
}

pub(super) async fn tag_image(engine: &DockerEngine, image: &str, tag: &str) -> Result<(), EngineError> {
    let (name, version) = split_tag(tag);
    let options = TagImageOptionsBuilder::default().repo(name).tag(version.unwrap_or("latest")).build();
    let doing = format!("tag image `{image}` as `{tag}`");
    engine.call(&doing, engine.client.tag_image(image, Some(options))).await
}

pub(super) async fn untag_image(engine: &DockerEngine, tag: &str) -> Result<(), EngineError> {
    built::untag(engine, tag).await.map_err(|error| match user_of_image(&error.message) {
        Some(container) => EngineError::new(
            EngineErrorKind::Conflict,
            format!("could not untag image `{tag}`: container `{container}` is made from it"),
        )
        .hint(format!("`docker rm {container}` if it is not needed")),
        None => error,
    })
}

/// A recent image may belong to a build in progress that has not tagged it yet, so only older ones are removed.
const DANGLING_SINCE: &str = "10m";

pub(super) async fn remove_dangling(engine: &DockerEngine) -> Result<(), EngineError> {
    built::remove_unused(engine).await?;
    // Images of older versions are not named after their source. An image that inherits the labels of one that is, is
    // not ours.
    let filters = HashMap::from([
        ("dangling", vec!["true"]),
        ("label", vec![Label::SOURCE]),
        ("label!", vec![Label::BUILT]),
        ("until", vec![DANGLING_SINCE]),
    ]);
    let options = PruneImagesOptionsBuilder::default().filters(&filters).build();
    engine.call("remove untagged images", engine.client.prune_images(Some(options))).await.map(drop)
}

/// The container in "container 0f… is using its referenced image".
pub(super) fn user_of_image(message: &str) -> Option<&str> {
    let before = message.split(" is using its referenced image").next().filter(|text| text.len() < message.len());
    let before = before.or_else(|| message.find("image is being used by").map(|_| message));
    let mut words = before?.rsplit(' ').map(|word| word.trim_end_matches([',', '.']));
    words.find(|word| word.len() >= 12 && word.chars().all(|c| c.is_ascii_hexdigit()))
}

/// `host:5000/name:tag` → name and tag; a digest is part of neither.
pub(super) fn split_tag(reference: &str) -> (&str, Option<&str>) {
    let name = reference.split('@').next().unwrap_or(reference);
    match name.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (name, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_port_is_not_a_tag() {
        assert_eq!(split_tag("shop:r1"), ("shop", Some("r1")));
        assert_eq!(split_tag("host:5000/team/shop"), ("host:5000/team/shop", None));
        assert_eq!(split_tag("host:5000/shop:1.2"), ("host:5000/shop", Some("1.2")));
        assert_eq!(split_tag("shop@sha256:00"), ("shop", None));
    }

    #[test]
    fn the_container_that_keeps_an_image_is_named() {
        let text = "could not untag image `a`: conflict: unable to remove repository reference \"a\" (must force) - \
                    container 0123456789ab is using its referenced image 99aa00bb11cc";
        assert_eq!(user_of_image(text), Some("0123456789ab"));
        assert_eq!(user_of_image("could not untag image `a`: no such thing"), None);
    }
}
