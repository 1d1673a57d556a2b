//! Containers created by docker compose, recognized by its labels.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::names::{AppName, ProjectName};
use super::observed_container::ObservedContainer;

/// Labels that docker compose sets on its containers. We only read them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ComposeLabel;

impl ComposeLabel {
    pub const PROJECT: &str = "com.docker.compose.project";
    pub const SERVICE: &str = "com.docker.compose.service";
    /// `True` on containers of `docker compose run`, which are not part of a service.
    pub const ONE_OFF: &str = "com.docker.compose.oneoff";
    /// Set on containers only. Images built by compose have the project and service labels too.
    pub const NUMBER: &str = "com.docker.compose.container-number";

    /// Project and service of a service's container.
    #[must_use]
    pub fn service_of(labels: &BTreeMap<String, String>) -> Option<(ProjectName, AppName)> {
        let one_off = labels.get(Self::ONE_OFF).is_some_and(|text| text.eq_ignore_ascii_case("true"));
        let project = labels.get(Self::PROJECT)?.parse().ok()?;
        let service = labels.get(Self::SERVICE)?.parse().ok()?;
        (!one_off && labels.contains_key(Self::NUMBER)).then_some((project, service))
    }
}

/// A container that docker compose created for a service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComposeContainer {
    /// Labelled as an accessory with an empty identity, since the configuration it was created from is unknown.
    pub container: ObservedContainer,
    /// Host ports that it occupies while it runs.
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
    fn image_labels_of_compose_are_not_a_service() {
        let mut labels: BTreeMap<String, String> =
            [(ComposeLabel::PROJECT, "shop"), (ComposeLabel::SERVICE, "web")].map(|(k, v)| (k.into(), v.into())).into();
        assert_eq!(ComposeLabel::service_of(&labels), None);
        labels.insert(ComposeLabel::NUMBER.to_owned(), "1".to_owned());
        assert!(ComposeLabel::service_of(&labels).is_some());
        labels.insert(ComposeLabel::ONE_OFF.to_owned(), "True".to_owned());
        assert_eq!(ComposeLabel::service_of(&labels), None);
    }
}
