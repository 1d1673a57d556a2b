//! What a step is about, for those who group or count steps: its kind, and the one thing that it touches.

use super::step::Step;
use crate::model::StepKind;

impl Step {
    /// What kind of work it is.
    #[must_use]
    pub fn kind(&self) -> StepKind {
        match self {
            Self::CreateNetwork(_) | Self::CreateVolume(_) | Self::AwaitControl { .. } | Self::HandOver { .. } => {
                StepKind::Setup
            }
            Self::ReserveRelease { .. }
            | Self::StoreRelease { .. }
            | Self::ForgetReleases { .. }
            | Self::ChangeCertificate(_)
            | Self::OrderCertificate(_) => StepKind::Record,
            Self::BuildImage { .. } | Self::TagImage { .. } | Self::UntagImage { .. } => StepKind::Build,
            Self::CreateContainer(_) => StepKind::Create,
            Self::StartContainer { .. } => StepKind::Start,
            Self::PostStart { .. } | Self::PreStop { .. } | Self::Backup { .. } => StepKind::Hook,
            Self::AwaitHealthy { .. } | Self::LookAgain { .. } => StepKind::Gate,
            Self::AwaitExit { .. } => StepKind::Release,
            Self::AwaitServices { .. } => StepKind::Dependency,
            Self::Flip { .. } => StepKind::Flip,
            Self::ConfirmRoute { .. } | Self::ConfirmGone { .. } => StepKind::Confirm,
            Self::AwaitDrained { .. } => StepKind::Drain,
            Self::StopContainer { .. } => StepKind::Stop,
            Self::RemoveContainer { .. }
            | Self::RemoveNetwork { .. }
            | Self::RemoveVolume { .. }
            | Self::RemoveDangling => StepKind::Remove,
            Self::Pause { .. } => StepKind::Pause,
            Self::WatchCanary(_) => StepKind::Canary,
        }
    }

    /// The one thing on the engine that it is about, by its name there.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        match self {
            Self::CreateNetwork(network) => Some(&network.name),
            Self::BuildImage { tag, .. } | Self::TagImage { tag, .. } | Self::UntagImage { tag } => Some(tag),
            Self::CreateContainer(container) => Some(&container.name),
            Self::CreateVolume(volume) => Some(&volume.name),
            Self::ChangeCertificate(change) => Some(&change.host),
            Self::OrderCertificate(order) => Some(&order.host),
            Self::StartContainer { name }
            | Self::PostStart { name, .. }
            | Self::PreStop { name, .. }
            | Self::Backup { name, .. }
            | Self::AwaitHealthy { name, .. }
            | Self::AwaitControl { name, .. }
            | Self::HandOver { name, .. }
            | Self::AwaitExit { name, .. }
            | Self::StopContainer { name, .. }
            | Self::RemoveContainer { name }
            | Self::RemoveNetwork { name }
            | Self::RemoveVolume { name } => Some(name),
            Self::ReserveRelease { .. }
            | Self::ConfirmGone { .. }
            | Self::RemoveDangling
            | Self::StoreRelease { .. }
            | Self::ForgetReleases { .. }
            | Self::LookAgain { .. }
            | Self::AwaitServices { .. }
            | Self::Flip { .. }
            | Self::ConfirmRoute { .. }
            | Self::AwaitDrained { .. }
            | Self::WatchCanary(_)
            | Self::Pause { .. } => None,
        }
    }
}
