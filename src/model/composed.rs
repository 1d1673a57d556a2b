//! Containers that docker compose made, known by its labels.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::names::{AppName, ProjectName};
use super::observed_container::ObservedContainer;

/// The labels that docker compose gives to its containers. They are its own; we only read them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ComposeLabel;

impl ComposeLabel {
    pub const PROJECT: &str = "com.docker.compose.project";
    pub const SERVICE: &str = "com.docker.compose.service";
    /// `True` on containers of `docker compose run`, which stand for no service.
    pub const ONE_OFF: &str = "com.docker.compose.oneoff";
    /// Only containers have it: images that compose has built bear the project and the service too.
    pub const NUMBER: &str = "com.docker.compose.container-number";

    /// Project and service of a container that stands for a service of compose.
    #[must_use]
    pub fn service_of(labels: &BTreeMap<String, String>) -> Option<(ProjectName, AppName)> {
        let one_off = labels.get(Self::ONE_OFF).is_some_and(|text| text.eq_ignore_ascii_case("true"));
        let project = labels.get(Self::PROJECT)?.parse().ok()?;
        let service = labels.get(Self::SERVICE)?.parse().ok()?;
        (!one_off && labels.contains_key(Self::NUMBER)).then_some((project, service))
    }
}

/// A container that docker compose made for a service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComposeContainer {
    /// With the labels of an accessory, whose identity is empty: nobody knows of what configuration it was made.
    pub container: ObservedContainer,
    /// Ports of the host that it holds while it runs.
    pub ports: Vec<u16>,
}

impl ComposeContainer {
    #[must_use]
    pub fn is_of(&self, project: &ProjectName, service: &AppName) -> bool {
        let labels = &self.container.labels;
        labels.project.as_ref() == Some(project) && labels.service.as_ref() == Some(service)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_an_image_that_compose_built_make_no_container_of_a_service() {
        let mut labels: BTreeMap<String, String> =
            [(ComposeLabel::PROJECT, "shop"), (ComposeLabel::SERVICE, "web")].map(|(k, v)| (k.into(), v.into())).into();
        assert_eq!(ComposeLabel::service_of(&labels), None);
        labels.insert(ComposeLabel::NUMBER.to_owned(), "1".to_owned());
        assert!(ComposeLabel::service_of(&labels).is_some());
        labels.insert(ComposeLabel::ONE_OFF.to_owned(), "True".to_owned());
        assert_eq!(ComposeLabel::service_of(&labels), None);
    }
}
