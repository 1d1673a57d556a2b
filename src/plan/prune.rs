//! What nobody needs any more: stopped containers, images of attempts that never served, releases beyond those that a
//! rollback may go back to.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::app_diff::belongs;
use super::images::{release_of_tag, release_tag};
use super::plan::AppPlan;
use super::stage::{Planned, Stage};
use super::step::Step;
use crate::model::{AppKey, ContainerState, ObservedContainer, ObservedEngine, ObservedProxy, ReleaseNumber};

/// One app's part.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AppPruning {
    pub app: AppKey,
    /// What serves, or would be brought back.
    pub serving: BTreeSet<ReleaseNumber>,
    /// What a rollback may go back to, the latest first.
    pub kept: Vec<ReleaseNumber>,
    pub stages: Vec<Stage>,
    /// Why images are left although they are old.
    pub warning: Option<String>,
}

/// Plans what goes of one app; at most `keep` releases stay besides those that serve.
#[must_use]
pub fn plan_prune(app: &AppKey, engine: &ObservedEngine, proxy: &ObservedProxy, keep: u32) -> AppPruning {
    let record = proxy.apps.get(app).and_then(|known| known.record.as_ref());
    let own: Vec<_> = engine.containers.iter().filter(|container| belongs(container, app)).collect();
    let is_idle = |container: &ObservedContainer| {
        let ended =
            matches!(container.state, ContainerState::Created | ContainerState::Exited { .. } | ContainerState::Dead);
        ended && !record.is_some_and(|record| record.serves(&container.name))
    };
    let (idle, used): (Vec<_>, Vec<_>) = own.into_iter().partition(|container| is_idle(container));
    let mut serving: BTreeSet<ReleaseNumber> = used.iter().filter_map(|container| container.labels.release).collect();
    serving
        .extend(record.iter().flat_map(|record| record.peers.iter().map(|peer| peer.release).chain([record.release])));
    let Old { kept, going, warning } = Old::of(app, engine, proxy, &serving, keep);

    let remove = |container: &&ObservedContainer| {
        let step = Step::RemoveContainer { name: container.name.clone() };
        vec![Planned::new(step, "it has stopped, and the proxy does not route to it")]
    };
    let mut stages = vec![Stage::beside(idle.iter().map(remove).collect())];
    stages.extend(image_stages(app, going, proxy));
    stages.retain(|stage| !stage.is_empty());
    AppPruning { app: app.clone(), serving, kept, stages, warning }
}

/// The step for images of ours that have lost their tags; `None` where there are none.
#[must_use]
pub fn plan_dangling(engine: &ObservedEngine) -> Option<Planned> {
    let used: BTreeSet<&str> = engine.containers.iter().map(|container| container.image_id.as_str()).collect();
    let is_dangling = |image: &&crate::model::ObservedImage| {
        image.tags.is_empty() && image.source.is_some() && !used.contains(image.id.as_str())
    };
    let dangling = engine.images.iter().filter(is_dangling).count();
    let because =
        if dangling == 1 { "1 has no tag any more".to_owned() } else { format!("{dangling} have no tag any more") };
    (dangling > 0).then(|| Planned::new(Step::RemoveDangling, because))
}

/// What goes after a deploy of a new release: then its predecessor is the first that a rollback may go back to.
pub(super) fn prune_after(plan: &AppPlan, engine: &ObservedEngine, proxy: &ObservedProxy, keep: u32) -> Vec<Stage> {
    let serving = BTreeSet::from([plan.release.number]);
    let Old { going, .. } = Old::of(&plan.app, engine, proxy, &serving, keep);
    image_stages(&plan.app, going, proxy)
}

/// The tagged releases that do not serve.
struct Old {
    kept: Vec<ReleaseNumber>,
    /// With the tag and the reason.
    going: BTreeMap<ReleaseNumber, (String, String)>,
    warning: Option<String>,
}

impl Old {
    fn of(
        app: &AppKey,
        engine: &ObservedEngine,
        proxy: &ObservedProxy,
        serving: &BTreeSet<ReleaseNumber>,
        keep: u32,
    ) -> Self {
        let known = proxy.apps.get(app);
        let tags = engine.images.iter().flat_map(|image| &image.tags);
        let tagged: BTreeMap<ReleaseNumber, &String> =
            tags.filter_map(|tag| Some((release_of_tag(app, tag)?, tag))).collect();
        // `a` and `b-c` make the same tags as `a-b` and `c`; whose an image is then nobody can say.
        let namesake = proxy
            .apps
            .keys()
            .find(|other| *other != app && release_tag(other, ReleaseNumber(0)) == release_tag(app, ReleaseNumber(0)));
        if let Some(other) = namesake {
            let warning = format!("its images have the names of those of `{other}`, so none is pruned");
            return Self { kept: Vec::new(), going: BTreeMap::new(), warning: Some(warning) };
        }
        let served = known.map(|known| known.served.clone()).unwrap_or_default();
        let knows = proxy.keeps_releases() && !served.is_empty();
        // A proxy from before that cannot tell a failed attempt from a release: all count as releases, the highest first.
        let latest: Vec<ReleaseNumber> =
            if knows { served.into_iter().rev().collect() } else { tagged.keys().rev().copied().collect() };
        let mut kept: Vec<ReleaseNumber> = Vec::new();
        for release in latest.iter().filter(|release| !serving.contains(release) && tagged.contains_key(release)) {
            if kept.len() < keep as usize && !kept.contains(release) {
                kept.push(*release);
            }
        }
        let goes = |release: &ReleaseNumber| !serving.contains(release) && !kept.contains(release);
        let because = |release: &ReleaseNumber| match latest.contains(release) {
            true => format!("{} newer ones stay for a rollback", kept.len()),
            false => "it never got traffic".to_owned(),
        };
        let going = tagged.iter().filter(|(release, _)| goes(release));
        let going = going.map(|(release, tag)| (*release, ((*tag).clone(), because(release)))).collect();
        Self { kept, going, warning: None }
    }
}

/// The proxy forgets first: a release whose image is gone must not be offered for a rollback.
fn image_stages(app: &AppKey, going: BTreeMap<ReleaseNumber, (String, String)>, proxy: &ObservedProxy) -> Vec<Stage> {
    let mut stages = Vec::new();
    if !going.is_empty() && proxy.keeps_releases() {
        let step = Step::ForgetReleases { app: app.clone(), releases: going.keys().copied().collect() };
        stages.push(Stage::line(vec![Planned::new(step, "a rollback would need their images")]));
    }
    let untag = |(tag, because): (String, String)| vec![Planned::new(Step::UntagImage { tag }, because)];
    stages.push(Stage::beside(going.into_values().map(untag).collect()));
    stages.retain(|stage| !stage.is_empty());
    stages
}
