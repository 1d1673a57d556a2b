//! The plan as JSON. The document is built field by field, so that a new field of a step is not published by accident.

use serde_json::{Map, Value, json};

use super::summary;
use crate::model::ProjectName;
use crate::plan::{AppPlan, Planned, Preview, Stage, Step};

/// See `docs/schema/plan.json`.
#[must_use]
pub fn plan_json(project: &ProjectName, preview: &Preview) -> Value {
    let apps: Vec<Value> = preview.plan.apps.iter().map(app).collect();
    json!({
        "v": 1,
        "project": project,
        "changes": !preview.changes_nothing(),
        "summary": summary(preview),
        "digest": preview.digest(),
        "atomic": preview.plan.atomic,
        "unknowns": preview.unknowns.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "orphans": preview.orphans,
        "proxy": steps(preview.proxy.iter()),
        "shared": steps(preview.plan.shared.iter()),
        "apps": apps,
    })
}

fn app(app: &AppPlan) -> Value {
    let flip: Vec<Stage> = app.look.iter().chain(&app.flip).map(|step| Stage::line(vec![step.clone()])).collect();
    json!({
        "app": app.app,
        "verdict": app.verdict,
        "from": app.from,
        "to": app.release.number,
        "version": app.release.version,
        "image": app.release.image,
        "replicas": app.replicas,
        "because": app.flip.as_ref().map(|planned| &planned.because),
        "changes": !app.changes_nothing(),
        "warnings": app.warnings,
        "steps": steps(app.before.iter().chain(&flip).chain(&app.after).chain(&app.prune)),
    })
}

/// Steps and stages are numbered from 1 as in the text, lanes from 0.
fn steps<'a>(stages: impl Iterator<Item = &'a Stage>) -> Vec<Value> {
    let mut all = Vec::new();
    for (number, stage) in stages.filter(|stage| !stage.is_empty()).enumerate() {
        for (lane, planned) in stage.lanes.iter().enumerate() {
            all.extend(planned.iter().map(|planned| step(number + 1, lane, planned)));
        }
    }
    all
}

fn step(stage: usize, lane: usize, planned: &Planned) -> Value {
    let mut object = Map::new();
    object.insert("id".to_owned(), json!(planned.id));
    object.insert("stage".to_owned(), stage.into());
    object.insert("lane".to_owned(), lane.into());
    object.insert("kind".to_owned(), json!(planned.step.kind()));
    object.insert("text".to_owned(), planned.step.to_string().into());
    object.insert("because".to_owned(), planned.because.0.clone().into());
    if let Step::CreateContainer(container) = &planned.step {
        let names: Vec<&String> = container.spec.environment.keys().collect();
        object.insert("environment".to_owned(), json!(names));
    }
    Value::Object(object)
}
