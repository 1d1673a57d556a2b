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

    /// Project and service of a container that stands for a service of compose.
    #[must_use]
    pub fn service_of(labels: &BTreeMap<String, String>) -> Option<(ProjectName, AppName)> {
        let one_off = labels.get(Self::ONE_OFF).is_some_and(|text| text.eq_ignore_ascii_case("true"));
        let project = labels.get(Self::PROJECT)?.parse().ok()?;
        let service = labels.get(Self::SERVICE)?.parse().ok()?;
        (!one_off).then_some((project, service))
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
