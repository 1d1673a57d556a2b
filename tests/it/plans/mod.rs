//! The whole plan of each situation, as the text that `deploy-apps plan` prints.
//!
//! The texts lie beside this file. `UPDATE_PLANS=1` writes them again; the diff is then what a review looks at.

mod adjust;
mod after_crash;
mod certificates;
mod first;
mod operations;
mod proxy;
mod redeploy;
mod refused;

use std::path::Path;

use crate::scenes::Scene;
use crate::session::look;

/// Compares the plan of a scene with its text.
async fn reads(file: &str, scene: &Scene) {
    let (_, plan) = look(&scene.fork(), &scene.desired).await;
    compare(file, &plan.expect("a plan").to_string());
}

#[track_caller]
pub fn compare(file: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/plans").join(format!("{file}.txt"));
    if std::env::var_os("UPDATE_PLANS").is_some() {
        std::fs::write(&path, text).expect("a writable checkout");
    }
    let wanted = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(text == wanted, "{} is\n{wanted}\nbut the plan is\n{text}", path.display());
}
