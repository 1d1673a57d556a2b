//! Containers that have our labels only because their image has them.
//!
//! An image committed from one of our containers has all of its labels, and so do containers of that image. Containers
//! that we create from such an image have their own labels, which differ.

use std::collections::{BTreeMap, HashMap};

use bollard::models::ContainerSummary;
use bollard::query_parameters::ListImagesOptionsBuilder;

use super::{DockerEngine, filter};
use crate::model::{Label, OwnLabels};
use crate::ports::EngineError;

/// By image id: the labels that its containers inherit. Usually empty.
pub(super) struct Inherited(HashMap<String, OwnLabels>);

impl Inherited {
    pub(super) async fn of(engine: &DockerEngine) -> Result<Self, EngineError> {
        let options = ListImagesOptionsBuilder::default().filters(&filter("label", Label::ROLE)).build();
        let listed = engine.call("list the images", engine.client.list_images(Some(options))).await?;
        let known = listed.into_iter().filter_map(|image| {
            let labels: BTreeMap<String, String> = image.labels.into_iter().collect();
            Some((image.id, OwnLabels::from_map(&labels)?))
        });
        Ok(Self(known.collect()))
    }

    /// Whether all of our labels of a container are inherited.
    pub(super) fn is_all_of(&self, summary: &ContainerSummary, labels: &OwnLabels) -> bool {
        let image = summary.image_id.as_ref().and_then(|image| self.0.get(image));
        image.is_some_and(|inherited| inherited == labels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_labels_of_the_image_are_inherited() {
        let labels = |replica: &str| {
            let pairs = [(Label::ROLE, "replica"), (Label::PROXY, "main"), (Label::REPLICA, replica)];
            let map: BTreeMap<String, String> =
                pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            OwnLabels::from_map(&map).expect("labels of ours")
        };
        let inherited = Inherited(HashMap::from([("committed".to_owned(), labels("1"))]));
        let of = |image: &str| ContainerSummary { image_id: Some(image.to_owned()), ..ContainerSummary::default() };
        assert!(inherited.is_all_of(&of("committed"), &labels("1")));
        assert!(!inherited.is_all_of(&of("committed"), &labels("2")), "made by us, from that image");
        assert!(!inherited.is_all_of(&of("another"), &labels("1")));
    }
}
