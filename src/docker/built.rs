//! Identifies images of our own builds.
//!
//! Labels are not enough: an image built `FROM` such an image, or committed from one of its containers, inherits them.
//! Names are not inherited, so a build also names its image after its source, and only an image with that name counts.

use std::collections::HashMap;
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use bollard::query_parameters::{ListImagesOptionsBuilder, RemoveImageOptionsBuilder};

use super::{DockerEngine, filter, images, present};
use crate::model::Label;
use crate::ports::EngineError;

const PREFIX: &str = "deploy-apps/built:";
/// Prefix of the tags of our releases and accessories.
const OWN: &str = "deploy-apps/";
/// A recent image may be about to get the tag of its release, so only older ones are removed.
const UNUSED_FOR_SECONDS: i64 = 600;

/// A new name for the image of one build of this source. Each build has its own name, since two builds with the same
/// name would take it away from an image that still serves.
pub(super) fn name(digest: &str) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    format!("{PREFIX}{digest}-{now:x}-{:x}-{:x}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Whether a tag is a build's name. An image with no other tag is unused.
pub(super) fn is_built_tag(tag: &str) -> bool {
    tag.starts_with(PREFIX)
}

/// The source that an image was built from, if we built it.
pub(super) fn source(labels: &HashMap<String, String>, tags: &[String]) -> Option<String> {
    let source = labels.get(Label::SOURCE)?;
    let is_own = match labels.get(Label::BUILT) {
        Some(built) => {
            let of = built.strip_prefix(PREFIX).and_then(|name| name.strip_prefix(source.as_str()));
            of.is_some_and(|build| build.starts_with('-')) && tags.contains(built)
        }
        // Built by a version that did not set such names.
        None => tags.is_empty() || tags.iter().any(|tag| tag.starts_with(OWN)),
    };
    is_own.then(|| source.clone())
}

/// Removes one of our tags. An image that then has only its build's name is removed too.
pub(super) async fn untag(engine: &DockerEngine, tag: &str) -> Result<(), EngineError> {
    let doing = format!("untag image `{tag}`");
    let image = present(engine.call(&doing, engine.client.inspect_image(tag)).await)?;
    let others = image.and_then(|image| image.repo_tags).unwrap_or_default();
    let others: Vec<String> = others.into_iter().filter(|other| other != tag).collect();
    remove(engine, tag, &doing).await?;
    if !others.iter().all(|other| is_built_tag(other)) {
        return Ok(());
    }
    for other in &others {
        if let Err(error) = remove(engine, other, &doing).await {
            // Usually because a container uses it: then keep the tag.
            images::tag_image(engine, other, tag).await?;
            return Err(error);
        }
    }
    Ok(())
}

/// Removes our images that have only their build's name and that no container uses.
pub(super) async fn remove_unused(engine: &DockerEngine) -> Result<(), EngineError> {
    let doing = "remove images that nothing uses";
    // Do not filter by name: the engine would list only the matching names of an image, without the others that keep
    // it.
    let options = ListImagesOptionsBuilder::default().filters(&filter("label", Label::BUILT)).build();
    let listed = engine.call(doing, engine.client.list_images(Some(options))).await?;
    let before = jiff::Timestamp::now().as_second() - UNUSED_FOR_SECONDS;
    let unused = listed.iter().filter(|image| image.created < before);
    let unused = unused.filter(|image| image.repo_tags.iter().all(|tag| is_built_tag(tag)));
    for tag in unused.flat_map(|image| &image.repo_tags) {
        match remove(engine, tag, doing).await {
            Err(error) if images::user_of_image(&error.message).is_none() => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Not forced: that would remove the image of a stopped container, which then could not start again.
async fn remove(engine: &DockerEngine, tag: &str, doing: &str) -> Result<(), EngineError> {
    let options = RemoveImageOptionsBuilder::default().force(false).build();
    present(engine.call(doing, engine.client.remove_image(tag, Some(options), None)).await).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> HashMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn source_of(pairs: &[(&str, &str)], tags: &[&str]) -> Option<String> {
        source(&labels(pairs), &tags.iter().map(|&tag| tag.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn inherited_labels_do_not_make_a_build_ours() {
        let ours = [(Label::SOURCE, "5"), (Label::BUILT, "deploy-apps/built:5-a")];
        assert_eq!(source_of(&ours, &["deploy-apps/shop-web:r1", "deploy-apps/built:5-a"]).as_deref(), Some("5"));
        assert_eq!(source_of(&ours, &["deploy-apps/built:5-a"]).as_deref(), Some("5"));
        for tags in [&["team/derived:1"][..], &["deploy-apps/shop-b:r1"], &[], &["deploy-apps/built:5-b"]] {
            assert_eq!(source_of(&ours, tags), None, "{tags:?}");
        }
        let longer = [(Label::SOURCE, "5"), (Label::BUILT, "deploy-apps/built:55-a")];
        assert_eq!(source_of(&longer, &["deploy-apps/built:55-a"]), None);
        assert_eq!(source_of(&[(Label::BUILT, "deploy-apps/built:5-a")], &["deploy-apps/built:5-a"]), None);
    }

    #[test]
    fn an_image_of_an_older_version_is_identified_by_its_tag() {
        let old = [(Label::SOURCE, "5")];
        assert_eq!(source_of(&old, &["deploy-apps/shop-web:r1"]).as_deref(), Some("5"));
        assert_eq!(source_of(&old, &[]).as_deref(), Some("5"));
        assert_eq!(source_of(&old, &["team/derived:1"]), None);
    }
}
