//! Which image a release runs, and how it comes to bear the release's tag.

use super::refusal::PlanRefused;
use super::stage::Planned;
use super::step::Step;
use crate::model::{
    AppKey, ImageSource, ObservedEngine, ObservedImage, ObservedState, ReleaseNumber, ResolvedImage, Service,
    StoredRelease, familiar_reference,
};

/// The tag that keeps a release's image on the engine, for its replicas and for a later rollback.
#[must_use]
pub fn release_tag(app: &AppKey, release: ReleaseNumber) -> String {
    // Image names are lowercase; service names need not be.
    format!("deploy-apps/{}-{}:{release}", app.project, app.app.as_str().to_lowercase())
}

/// The release number in a tag of ours for this app.
pub(super) fn release_of_tag(app: &AppKey, tag: &str) -> Option<ReleaseNumber> {
    let prefix = release_tag(app, ReleaseNumber(0));
    let number = tag.strip_prefix(prefix.strip_suffix('0')?)?;
    number.parse().ok().map(ReleaseNumber)
}

/// The id of a kept release's image, if the engine still has it: by the release's tag, or else by what it was made from.
pub(super) fn kept_image<'a>(
    app: &AppKey,
    stored: &StoredRelease,
    observed: &'a ObservedState,
) -> Option<&'a ObservedImage> {
    let tag = release_tag(app, stored.number);
    // The same check for both: somebody may have given the tag to another image.
    let is_it = |image: &&ObservedImage| image.source.as_ref() == Some(&stored.image) || image.id == stored.image;
    let images = observed.engine.images.iter().filter(is_it);
    images.min_by_key(|image| (!image.tags.contains(&tag), may_go(app, image)))
}

/// How soon an image may be gone, the one that stays longest first: a tag of this app's keeps it, any tag keeps it from
/// the next prune, and without one it may be gone by the next call.
fn may_go(app: &AppKey, image: &ObservedImage) -> (bool, bool) {
    let is_own = image.tags.iter().any(|tag| release_of_tag(app, tag).is_some());
    (!is_own, image.tags.is_empty())
}

/// The image that was built from this source, if the engine has one; of several the one that stays longest.
#[must_use]
pub fn built_image<'a>(app: &AppKey, digest: &str, engine: &'a ObservedEngine) -> Option<&'a ObservedImage> {
    let images = engine.images.iter().filter(|image| image.source.as_deref() == Some(digest));
    images.min_by_key(|image| may_go(app, image))
}

/// The steps after which a kept release's image bears its tag. Nothing is built or pulled.
pub(super) fn kept_image_steps(
    app: &AppKey,
    stored: &StoredRelease,
    observed: &ObservedState,
) -> Result<Vec<Planned>, PlanRefused> {
    let tag = release_tag(app, stored.number);
    let Some(image) = kept_image(app, stored, observed) else {
        return Err(PlanRefused::ImageGone { app: app.clone(), release: stored.number });
    };
    if image.tags.contains(&tag) {
        return Ok(Vec::new());
    }
    let step = Step::TagImage { image: image.id.clone(), source: image.source.clone(), tag, alias: false };
    Ok(vec![Planned::new(step, "the tag keeps the image for this release")])
}

/// The steps after which `tag` names the service's image.
pub(super) fn image_steps(service: &Service, observed: &ObservedState, tag: &str) -> Result<Vec<Planned>, PlanRefused> {
    let no_image = || PlanRefused::NoImage { service: service.name.clone() };
    let tagged = observed.engine.images.iter().find(|image| image.tags.iter().any(|other| other == tag));
    let resolved = observed.images.get(&service.name).ok_or_else(no_image)?;
    let step = match (resolved, &service.image) {
        (ResolvedImage::Source { digest, built: None }, ImageSource::Build(build)) => Planned::new(
            Step::BuildImage { tag: tag.to_owned(), digest: digest.clone(), build: build.clone() },
            "no image on the engine was built from this source",
        ),
        (ResolvedImage::Source { built: Some(id), .. } | ResolvedImage::Image { id }, _) => {
            let aliases = aliases(service, resolved, observed);
            if tagged.is_some_and(|image| &image.id == id) {
                return Ok(aliases);
            }
            let (source, because) = match resolved {
                ResolvedImage::Source { digest, .. } => (Some(digest.clone()), "this source is built already"),
                ResolvedImage::Image { .. } => (None, "the tag keeps the image for this release"),
            };
            let step = Step::TagImage { image: id.clone(), source, tag: tag.to_owned(), alias: false };
            return Ok([Planned::new(step, because)].into_iter().chain(aliases).collect());
        }
        (ResolvedImage::Source { built: None, .. }, ImageSource::Pull { .. }) => return Err(no_image()),
    };
    Ok(vec![step])
}

/// The names that the compose file has for an image that is built already, where they do not lead to it. A build gives
/// them itself.
fn aliases(service: &Service, resolved: &ResolvedImage, observed: &ObservedState) -> Vec<Planned> {
    let (ImageSource::Build(build), ResolvedImage::Source { digest, built: Some(id) }) = (&service.image, resolved)
    else {
        return Vec::new();
    };
    let known = observed.engine.images.iter().find(|image| &image.id == id);
    let names = |tag: &str| known.is_some_and(|image| image.tags.iter().any(|other| familiar_reference(other) == tag));
    let wanted = build.tags.iter().map(|tag| familiar_reference(tag)).filter(|tag| !names(tag));
    let step = |tag| Step::TagImage { image: id.clone(), source: Some(digest.clone()), tag, alias: true };
    wanted.map(|tag| Planned::new(step(tag), "the compose file names the image so")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_images_of_a_source_the_one_is_taken_that_stays_longest() {
        let app: AppKey = "shop/web".parse().expect("a key");
        let image = |id: &str, source: &str, tags: &[&str]| ObservedImage {
            id: id.to_owned(),
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            source: Some(source.to_owned()),
        };
        let mut engine = ObservedEngine {
            images: vec![
                image("untagged", "s", &[]),
                image("another's", "s", &["deploy-apps/other-web:r7"]),
                image("own", "s", &["x:1", "deploy-apps/shop-web:r2"]),
                image("other source", "t", &["deploy-apps/shop-web:r3"]),
            ],
            ..ObservedEngine::default()
        };
        for expected in ["own", "another's", "untagged"] {
            assert_eq!(built_image(&app, "s", &engine).map(|image| image.id.as_str()), Some(expected));
            engine.images.retain(|image| image.id != expected);
        }
        assert_eq!(built_image(&app, "s", &engine), None);
    }
}
