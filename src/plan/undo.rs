//! What takes a step back.

use std::time::Duration;

use super::step::{Expect, FlipChange, Step};

/// What a container made in this run gets to finish when it is undone: it has never served, so little.
const UNDO_GRACE: Duration = Duration::from_secs(2);

impl Step {
    /// What undoes this step, in the order of running. Empty when there is nothing to undo.
    #[must_use]
    pub fn undo(&self) -> Vec<Step> {
        match self {
            Self::BuildImage { tag, .. } | Self::TagImage { tag, alias: false, .. } => {
                vec![Self::UntagImage { tag: tag.clone() }]
            }
            Self::StoreRelease { app, release } => {
                vec![Self::ForgetReleases { app: app.clone(), releases: vec![release.number] }]
            }
            Self::CreateContainer(container) => vec![Self::RemoveContainer { name: container.name.clone() }],
            Self::StartContainer { name } => {
                vec![Self::StopContainer { name: name.clone(), signal: None, grace: Some(UNDO_GRACE), restart: None }]
            }
            Self::StopContainer { name, restart: Some(restart), .. } => {
                let start = std::iter::once(Self::StartContainer { name: name.clone() });
                let hooks = restart.post_start.iter().cloned();
                let hooks = hooks.map(|hook| Self::PostStart { name: name.clone(), hook });
                let gate = Self::AwaitHealthy { name: name.clone(), gate: restart.gate.clone() };
                start.chain(hooks).chain([gate]).collect()
            }
            Self::Flip { changes } => undo_flip(changes),
            // Networks and volumes are shared and cost nothing, and a certificate is good for what served before too; the rest has no effect to undo.
            Self::CreateNetwork(_)
            | Self::CreateVolume(_)
            | Self::ChangeCertificate(_)
            | Self::OrderCertificate(_)
            | Self::TagImage { alias: true, .. }
            | Self::ReserveRelease { .. }
            | Self::UntagImage { .. }
            | Self::PostStart { .. }
            | Self::PreStop { .. }
            | Self::Backup { .. }
            | Self::AwaitHealthy { .. }
            | Self::LookAgain { .. }
            | Self::AwaitExit { .. }
            | Self::AwaitServices { .. }
            | Self::AwaitControl { .. }
            | Self::HandOver { .. }
            | Self::ConfirmRoute { .. }
            | Self::AwaitDrained { .. }
            | Self::StopContainer { restart: None, .. }
            | Self::RemoveContainer { .. }
            | Self::ConfirmGone { .. }
            | Self::ForgetReleases { .. }
            | Self::RemoveNetwork { .. }
            | Self::RemoveVolume { .. }
            | Self::RemoveDangling
            | Self::WatchCanary(_)
            | Self::Pause { .. } => Vec::new(),
        }
    }
}

/// Puts the earlier record back, then waits for what the later one had taken in.
fn undo_flip(changes: &[FlipChange]) -> Vec<Step> {
    let back = changes
        .iter()
        .map(|change| FlipChange {
            app: change.app.clone(),
            expect: Expect::OwnLast,
            record: change.before.clone(),
            before: change.record.clone(),
            limits: change.limits,
        })
        .collect();
    let drains = changes.iter().filter_map(|change| {
        let gone: Vec<String> = change
            .record
            .iter()
            .flat_map(|record| &record.peers)
            .filter(|peer| change.before.as_ref().is_none_or(|before| !before.serves(&peer.id)))
            .map(|peer| peer.id.clone())
            .collect();
        (!gone.is_empty()).then(|| Step::AwaitDrained { app: change.app.clone(), peers: gone, limits: change.limits })
    });
    std::iter::once(Step::Flip { changes: back }).chain(drains).collect()
}
