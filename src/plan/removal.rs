//! What a removal will do, and what of it people read.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use super::plan::{AppPlan, write_stages};
use super::stage::{Planned, Stage, number};
use super::step::Step;
use crate::model::{AppName, ObservedContainer, Role};

/// What goes besides the containers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RemoveOptions {
    /// The named volumes that nobody else uses, with their data.
    pub volumes: bool,
    /// The images of all releases; a rollback is not possible afterwards.
    pub images: bool,
}

/// What goes when a whole project goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DownOptions {
    pub remove: RemoveOptions,
    /// The host's proxy too, which is refused while other projects use it.
    pub proxy: bool,
}

/// What a removal will do.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Removal {
    pub apps: Vec<AppPlan>,
    /// When every app is gone: accessories, networks, volumes. What fails is left and said.
    pub rest: Vec<Stage>,
    /// Last of all, and without the lease: the proxy is who keeps it, and would wait for its end before it stops.
    pub proxy: Vec<Stage>,
}

impl Removal {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.apps.is_empty() && self.then().next().is_none()
    }

    /// Gives each step its number, in the order in which they are shown.
    pub(super) fn numbered(mut self) -> Self {
        let then = self.rest.iter_mut().chain(&mut self.proxy).flat_map(Stage::steps_mut);
        number(self.apps.iter_mut().flat_map(AppPlan::steps_mut).chain(then));
        self
    }

    /// What comes after the apps.
    pub fn then(&self) -> impl Iterator<Item = &Planned> {
        self.rest.iter().chain(&self.proxy).flat_map(Stage::steps)
    }

    /// The accessories among these containers that it removes.
    #[must_use]
    pub fn accessories<'c>(&self, containers: &'c [ObservedContainer]) -> BTreeSet<&'c AppName> {
        let removes = |name: &str| {
            self.then().any(|planned| matches!(&planned.step, Step::RemoveContainer { name: gone, .. } if gone == name))
        };
        let gone = containers.iter().filter(|container| container.labels.role == Role::Accessory);
        let gone = gone.filter(|container| removes(&container.name));
        gone.filter_map(|container| container.labels.service.as_ref()).collect()
    }

    /// What will be gone, a line each; for the question before it.
    #[must_use]
    pub fn summary(&self) -> Vec<String> {
        let apps = self.apps.iter().map(|app| {
            let AppPlan { app: key, release, .. } = app;
            let count = containers(app);
            let noun = if count == 1 { "container" } else { "containers" };
            let images = app.steps().filter(|planned| matches!(planned.step, Step::UntagImage { .. })).count();
            let images = match images {
                0 => String::new(),
                1 => ", 1 image".to_owned(),
                more => format!(", {more} images"),
            };
            format!("app `{}` {} ({}): {count} {noun}{images}", key.app, release.number, release.version)
        });
        let rest = self.then().filter_map(|planned| match &planned.step {
            Step::RemoveContainer { name } => Some(format!("container `{name}`")),
            Step::RemoveNetwork { name } => Some(format!("network `{name}`")),
            Step::RemoveVolume { name } => Some(format!("volume `{name}` and its data")),
            Step::UntagImage { tag } => Some(format!("image `{tag}`")),
            _ => None,
        });
        apps.chain(rest).collect()
    }
}

/// How many containers of an app go.
fn containers(app: &AppPlan) -> usize {
    app.steps().filter(|planned| matches!(planned.step, Step::RemoveContainer { .. })).count()
}

impl AppPlan {
    /// How many containers it removes.
    #[must_use]
    pub fn removes(&self) -> u32 {
        u32::try_from(containers(self)).unwrap_or(u32::MAX)
    }
}

impl fmt::Display for Removal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for app in &self.apps {
            write!(f, "{app}")?;
        }
        if self.then().next().is_some() {
            let mut number = 0;
            writeln!(f, "then")?;
            write_stages(f, &self.rest, &mut number)?;
            write_stages(f, &self.proxy, &mut number)?;
        }
        Ok(())
    }
}
