//! Which image a release runs, and how it comes to bear the release's tag.

use super::{PlanRefused, Planned, Step};
use crate::model::{
    AppKey, ImageSource, ObservedImage, ObservedState, ReleaseNumber, ResolvedImage, Service, StoredRelease,
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
    let images = || observed.engine.images.iter().filter(is_it);
    images().find(|image| image.tags.contains(&tag)).or_else(|| images().next())
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
    let step = Step::TagImage { image: image.id.clone(), source: image.source.clone(), tag };
    Ok(vec![Planned::new(step, "the tag keeps the image for this release")])
}

/// The steps after which `tag` names the service's image.
pub(super) fn image_steps(service: &Service, observed: &ObservedState, tag: &str) -> Result<Vec<Planned>, PlanRefused> {
    let no_image = || PlanRefused::NoImage { service: service.name.clone() };
    let tagged = observed.engine.images.iter().find(|image| image.tags.iter().any(|other| other == tag));
    let resolved = observed.images.get(&service.name).ok_or_else(no_image)?;
    let step = match (resolved, &service.image) {
        (ResolvedImage::Source { digest, built: None }, ImageSource::Build(build)) => Planned::new(
            Step::BuildImage { tag: tag.to_owned(), digest: digest.clone(), build: (**build).clone() },
            "no image on the engine was built from this source",
        ),
        (ResolvedImage::Source { built: Some(id), .. } | ResolvedImage::Image { id }, _) => {
            if tagged.is_some_and(|image| &image.id == id) {
                return Ok(Vec::new());
            }
            let (source, because) = match resolved {
                ResolvedImage::Source { digest, .. } => (Some(digest.clone()), "this source is built already"),
                ResolvedImage::Image { .. } => (None, "the tag keeps the image for this release"),
            };
            Planned::new(Step::TagImage { image: id.clone(), source, tag: tag.to_owned() }, because)
        }
        (ResolvedImage::Source { built: None, .. }, ImageSource::Pull { .. }) => return Err(no_image()),
    };
    Ok(vec![step])
}
