//! Each step in one line, as plans and events show it.

use std::fmt;
use std::time::Duration;

use super::step::{CanaryWatch, Expect, FlipChange, Gate, Step};
use crate::model::{AppRecord, Condition, OnSilence, day};

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateNetwork(network) => match network.subnet {
                Some(subnet) => write!(f, "create network `{}` {subnet}", network.name),
                None => write!(f, "create network `{}`", network.name),
            },
            Self::CreateVolume(volume) => write!(f, "create volume `{}`", volume.name),
            Self::ReserveRelease { app, release, version } => write!(f, "reserve {release} ({version}) of `{app}`"),
            Self::StoreRelease { app, release } => write!(f, "store {} of `{app}`", release.number),
            Self::ChangeCertificate(change) => match &change.certificate {
                Some(new) => {
                    write!(f, "store certificate of `{}`, valid until {}", change.host, day(new.not_after))
                }
                None => write!(f, "remove certificate of `{}`", change.host),
            },
            Self::OrderCertificate(order) => {
                let (host, from, limit) = (&order.host, &order.from, order.timeout);
                let how = if order.by_dns { "by DNS" } else { "by HTTP" };
                write!(f, "order certificate of `{host}` from {from} {how} within {limit:?}")
            }
            Self::LookAgain { replicas } => {
                let names: Vec<String> = replicas.iter().map(|look| format!("`{}`", look.name)).collect();
                write!(f, "recheck {}", names.join(" "))
            }
            Self::BuildImage { tag, .. } => write!(f, "build image `{tag}`"),
            Self::TagImage { image, tag, .. } => write!(f, "tag image {} as `{tag}`", short(image)),
            Self::UntagImage { tag } => write!(f, "untag image `{tag}`"),
            Self::CreateContainer(container) => {
                write!(f, "create `{}` from `{}`", container.name, short(&container.image))?;
                match container.spec.networks.iter().find_map(|network| network.address) {
                    Some(address) => write!(f, " at {address}"),
                    None => Ok(()),
                }
            }
            Self::StartContainer { name } => write!(f, "start `{name}`"),
            Self::PostStart { name, hook } => write!(f, "run post_start `{}` in `{name}`", hook.shown()),
            Self::Backup { name, hook } => write!(f, "back up with `{}` in `{name}`", hook.shown()),
            Self::PreStop { name, hook } => write!(f, "run pre_stop `{}` in `{name}`", hook.shown()),
            Self::AwaitHealthy { name, gate } => write!(f, "await `{name}` {gate}"),
            Self::AwaitControl { name, timeout } => {
                write!(f, "await the control channel of `{name}` within {timeout:?}")
            }
            Self::HandOver { name, timeout, .. } => write!(f, "hand over to `{name}`, ready within {timeout:?}"),
            Self::AwaitExit { name, timeout } => write!(f, "await exit of `{name}` within {timeout:?}"),
            Self::AwaitServices { services } => {
                let names: Vec<String> = services.iter().map(|name| format!("`{name}`")).collect();
                write!(f, "await {} {}", if names.len() == 1 { "service" } else { "services" }, names.join(" "))
            }
            Self::Flip { changes } => {
                f.write_str("flip")?;
                for (index, change) in changes.iter().enumerate() {
                    let comma = if index == 0 { "" } else { "," };
                    write!(f, "{comma} {change}")?;
                }
                Ok(())
            }
            Self::ConfirmRoute { app, record } => write!(f, "confirm that `{app}` is routed to {}", peers(record)),
            Self::AwaitDrained { peers, limits, .. } => {
                let names: Vec<String> = peers.iter().map(|peer| format!("`{peer}`")).collect();
                write!(f, "drain {} within {:?}, websockets {:?}", names.join(" "), limits.requests, limits.websockets)
            }
            Self::StopContainer { name, .. } => write!(f, "stop `{name}`"),
            Self::RemoveContainer { name } => write!(f, "remove `{name}`"),
            Self::ConfirmGone { app } => write!(f, "confirm that `{app}` is routed nowhere"),
            Self::ForgetReleases { app, releases } => {
                let releases: Vec<String> = releases.iter().map(ToString::to_string).collect();
                write!(f, "forget {} of `{app}`", releases.join(" "))
            }
            Self::RemoveNetwork { name } => write!(f, "remove network `{name}`"),
            Self::RemoveVolume { name } => write!(f, "remove volume `{name}` and its data"),
            Self::RemoveDangling => f.write_str("remove untagged images that deploy-apps has built"),
            Self::WatchCanary(watch) => write!(f, "{watch}"),
            Self::Pause { duration } => write!(f, "pause {duration:?}"),
        }
    }
}

impl fmt::Display for FlipChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.expect {
            Expect::Observed(generation) => write!(f, "`{}` from {generation}", self.app)?,
            Expect::OwnLast => write!(f, "`{}`", self.app)?,
        }
        match &self.record {
            Some(record) => write!(f, " to {}", peers(record)),
            None => f.write_str(" to nothing"),
        }
    }
}

impl fmt::Display for CanaryWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { canary, stable, weight, duration, gate, .. } = self;
        write!(f, "watch {canary} at {weight} for {duration:?}: at most {} more errors", gate.max_error_increase)?;
        if let Some(ratio) = gate.max_latency_ratio {
            write!(f, " and p99 at most {ratio} ×")?;
        }
        write!(f, " than {stable}, by {} requests", gate.min_requests)?;
        let silence = match gate.on_silence {
            OnSilence::Hold => "hold",
            OnSilence::Promote => "go on",
            OnSilence::Abort => "abort",
        };
        write!(f, " within {:?}, else {silence}", gate.max_wait.max(*duration))
    }
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Probe { address, port, policy, .. } => {
                write!(f, "healthy: {} × {address}:{port}{} within {:?}", policy.successes, policy.path, policy.timeout)
            }
            Self::Engine { condition, timeout, .. } => {
                let what = match condition {
                    Condition::Started => "running",
                    Condition::Healthy => "healthy",
                    Condition::CompletedSuccessfully => "completed",
                };
                write!(f, "{what} within {timeout:?}")
            }
        }
    }
}

fn peers(record: &AppRecord) -> String {
    if record.peers.is_empty() && record.hold_ms == 0 {
        return "no peer".to_owned();
    }
    if record.peers.is_empty() {
        return format!("no peer, holding requests for {:?}", Duration::from_millis(record.hold_ms));
    }
    let names = record.peers.iter().map(|peer| format!("`{}`", peer.id)).collect::<Vec<_>>().join(" ");
    match &record.canary {
        Some(canary) => format!("{names}, {} at {}", canary.release, canary.weight),
        None => names,
    }
}

/// An image id is shown by its first 12 digits, as the engine's own tools do.
fn short(image: &str) -> &str {
    image.strip_prefix("sha256:").and_then(|id| id.get(..12)).unwrap_or(image)
}
