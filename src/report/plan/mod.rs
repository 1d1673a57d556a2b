//! Renders a plan for terminals, pull requests and programs.
//!
//! No format contains the value of an environment variable, only names.

mod json;
mod markdown;

pub use json::plan_json;
pub use markdown::plan_markdown;
pub(super) use markdown::{code, inline};

use super::text;
use crate::plan::Preview;

/// The steps, then the unknowns, then a one-line summary.
#[must_use]
pub fn plan_text(preview: &Preview) -> String {
    let mut text = preview.to_string();
    if !text.is_empty() {
        text.push('\n');
    }
    for unknown in &preview.unknowns {
        text += &format!("note: {unknown}\n");
    }
    for orphan in &preview.orphans {
        text += &format!("note: {orphan}; {}\n", orphan.remedy());
    }
    text + &summary(preview) + "\n"
}

/// Such as `1 app to deploy, 1 up to date`.
#[must_use]
pub fn summary(preview: &Preview) -> String {
    let [deploys, rollbacks, adjusts, removes, same] = preview.counts();
    if preview.changes_nothing() {
        return format!("nothing to do: {} up to date", text::count(same as u64, "app"));
    }
    let mut parts = Vec::new();
    if preview.proxy.iter().any(|stage| !stage.is_empty()) {
        parts.push("the proxy to set up".to_owned());
    }
    if preview.plan.shared.iter().any(|stage| !stage.is_empty()) {
        parts.push("shared things to make".to_owned());
    }
    for (count, what) in [
        (deploys, "to deploy"),
        (rollbacks, "to roll back"),
        (adjusts, "to adjust"),
        (removes, "to remove"),
        (same, "up to date"),
    ] {
        if count > 0 {
            parts.push(format!("{} {what}", text::count(count as u64, "app")));
        }
    }
    if preview.plan.apps.iter().any(|app| app.flip.is_none() && !app.changes_nothing()) {
        parts.push("leftovers to clean".to_owned());
    }
    parts.join(", ")
}
