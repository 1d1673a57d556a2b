//! Prints the merged model, like `docker compose config`.
//!
//! [`forms`] and [`items`] convert values to their long forms and fill in compose's defaults; [`kinds`] defines the
//! types of values. The output can be loaded again with the same meaning.

mod forms;
mod items;
mod kinds;
mod used;
mod writer;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::error::{ComposeError, Warning};
use super::request::LoadRequest;
use super::resolve::resolve;

/// A resolved model with lists of its contents.
#[derive(Debug, Clone)]
pub struct Config {
    /// Keys in a stable order: `name`, `services` and the resources first; nested maps are sorted.
    pub model: Value,
    /// Includes keys that a deploy would refuse.
    pub warnings: Vec<Warning>,
    /// All profiles of the files, active or not.
    pub profiles: Vec<String>,
    /// The variables for interpolation: those of the process and of `.env`.
    pub environment: BTreeMap<String, String>,
}

/// Reads and merges the compose files and returns the model. Without interpolation the values are not validated.
///
/// Unsupported keys are warnings here, so that files of other projects can be printed.
///
/// # Errors
///
/// When there is no file, or with all problems in the files.
pub fn config(request: &LoadRequest, interpolates: bool) -> Result<Config, ComposeError> {
    let mut model = resolve(request, interpolates)?;
    if interpolates {
        let (_, problems) = model.try_read();
        let (unsupported, wrong): (Vec<_>, Vec<_>) = problems.into_iter().partition(|problem| problem.unsupported);
        if !wrong.is_empty() {
            return Err(model.sources.invalid(wrong));
        }
        model.warn(unsupported);
    }
    let printed = forms::model(&model, interpolates);
    let environment = model.environment.all();
    Ok(Config { model: printed, warnings: model.warnings, profiles: model.profiles, environment })
}

impl Config {
    /// The active services, sorted.
    #[must_use]
    pub fn services(&self) -> Vec<String> {
        self.keys("services").map(str::to_owned).collect()
    }

    /// The declared volumes, sorted.
    #[must_use]
    pub fn volumes(&self) -> Vec<String> {
        self.keys("volumes").map(str::to_owned).collect()
    }

    /// The image of each service, sorted; compose's default name for one that is only built.
    #[must_use]
    pub fn images(&self) -> Vec<String> {
        let project = self.model["name"].as_str().unwrap_or_default();
        let image = |name: &str| {
            let given = self.model["services"][name]["image"].as_str();
            given.map_or_else(|| format!("{project}-{name}"), str::to_owned)
        };
        self.keys("services").map(image).collect::<BTreeSet<String>>().into_iter().collect()
    }

    /// The model as YAML text.
    #[must_use]
    pub fn yaml(&self) -> String {
        let options = serde_saphyr::ser_options! { prefer_block_scalars: true, compact_list_indent: false, min_fold_chars: usize::MAX };
        serde_saphyr::to_string_with_options(&self.model, options).unwrap_or_else(|error| format!("# {error}\n"))
    }

    fn keys(&self, section: &str) -> impl Iterator<Item = &str> {
        self.model[section].as_object().into_iter().flat_map(|map| map.keys().map(String::as_str))
    }
}
