//! Crash loops: containers that exit repeatedly and are restarted by the engine.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

use super::container::{OwnLabels, Role};
use super::observed_container::ObservedContainer;
use super::overview::Lifetime;
use super::project::Project;

/// A container that was restarted recently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unstable {
    pub name: String,
    /// Its service, if known.
    pub service: Option<String>,
    /// Restarts by the engine since it was created.
    pub restarts: u64,
    /// Time since it was created.
    pub within: Duration,
    /// Time since its last start.
    pub up: Duration,
    /// The last lines of its log.
    pub log: Vec<String>,
    /// The commands that help.
    pub remedy: String,
}

/// A container that ran this long without a restart counts as stable.
const STABLE_AFTER: Duration = Duration::from_secs(600);

/// Whether a container with this lifetime is in a crash loop. The caller adds its log. `project` is the one that is looked at,
/// which may not be the container's.
#[must_use]
pub fn unstable(
    container: &ObservedContainer,
    project: Option<&Project>,
    lifetime: &Lifetime,
    now: Timestamp,
) -> Option<Unstable> {
    let since = |at: Timestamp| Duration::try_from(now.duration_since(at)).unwrap_or_default();
    let up = since(lifetime.started_at?);
    if lifetime.restarts == 0 || up >= STABLE_AFTER {
        return None;
    }
    let within = since(lifetime.created_at?).max(up);
    let service = container.labels.service.as_ref().map(ToString::to_string);
    let remedy = remedy(&container.name, &container.labels, project);
    let (name, restarts) = (container.name.clone(), lifetime.restarts);
    Some(Unstable { name, service, restarts, within, up, log: Vec::new(), remedy })
}

/// Names no command that would refuse for what this is.
fn remedy(container: &str, labels: &OwnLabels, looked_at: Option<&Project>) -> String {
    let (Some(project), Some(service)) = (&labels.project, &labels.service) else {
        return match labels.role {
            Role::Proxy | Role::ProxyInstance => {
                "`deploy-apps logs proxy` says why; `deploy-apps proxy upgrade` makes it again".to_owned()
            }
            Role::Certificates => {
                format!("`docker logs {container}` says why; the next deploy with `tls: auto` makes it again")
            }
            _ => format!("`docker logs {container}` says why"),
        };
    };
    let in_file = looked_at.filter(|looked_at| looked_at.name == *project && !looked_at.remembered);
    let of = in_file.map_or_else(|| format!("-p {project} "), |_| String::new());
    let is_orphan = in_file.is_some_and(|file| file.service(service).is_none() && !file.dormant.contains(service));
    let helps = match labels.role {
        Role::Replica | Role::Accessory if is_orphan => {
            format!("`deploy-apps remove {service}` removes it: the compose file has no such service")
        }
        Role::Replica if labels.release.is_some_and(|release| release.0 > 1) => {
            format!("`deploy-apps {of}rollback {service}` brings the release before back")
        }
        Role::Replica => "deploy it again when it is fixed".to_owned(),
        Role::Accessory if in_file.is_some_and(|file| file.accessories.contains_key(service)) => {
            format!("when it is fixed in the compose file, `deploy-apps {service}` replaces it")
        }
        Role::Accessory if in_file.is_some() => "`--profile` with its profile lets a command take it".to_owned(),
        Role::Accessory => format!("`deploy-apps {of}restart {service}` restarts it"),
        Role::ReleaseCommand | Role::OneOff | Role::Proxy | Role::ProxyInstance | Role::Certificates => {
            return format!("`docker logs {container}` says why");
        }
    };
    format!("`deploy-apps {of}logs {service}` says why; {helps}")
}

impl fmt::Display for Unstable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, restarts, within, up, .. } = self;
        match restarts {
            1 => write!(f, "`{name}` restarted once in the last {}", rough(*within))?,
            restarts => write!(f, "`{name}` restarted {restarts} times in the last {}", rough(*within))?,
        }
        write!(f, ", {} ago", rough(*up))
    }
}

/// The duration in one rounded unit.
fn rough(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ 0..120 => format!("{seconds}s"),
        seconds @ 120..7200 => format!("{}m", seconds / 60),
        seconds @ 7200..172_800 => format!("{}h", seconds / 3600),
        seconds => format!("{}d", seconds / 86_400),
    }
}
