//! How things stand, for people and for programs.

use std::time::Duration;

use console::Style;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::table::{Align, Table};
use super::text;
use crate::model::{ContainerState, DockerHealth, InFlight, Lifetime, ProjectName, ReplicaSource, RequestCounts};
use crate::plan::{AccessoryStanding, AppStanding, AppState, Drift, Part, ReplicaStanding};

/// The proxy as a status tells of it.
#[derive(Debug, Clone, PartialEq)]
pub struct ProxyStanding {
    pub name: String,
    /// `None` when the host has none.
    pub state: Option<ContainerState>,
    /// Why it does not answer; `None` when it does.
    pub error: Option<String>,
    /// The build that runs, and the one that this program would bring.
    pub build: Option<String>,
    pub own_build: String,
    pub lifetime: Lifetime,
}

impl ProxyStanding {
    fn is_outdated(&self) -> bool {
        self.build.as_ref().is_some_and(|build| *build != self.own_build)
    }
}

/// Everything that `status` tells.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    pub project: ProjectName,
    pub at: Timestamp,
    /// The engine's address and version.
    pub engine: (String, String),
    pub proxy: ProxyStanding,
    /// In milliseconds: how long the proxy's short and its long window are.
    pub windows: Option<(u64, u64)>,
    pub apps: Vec<AppStanding>,
    pub accessories: Vec<AccessoryStanding>,
    /// Whether drift was looked for at all.
    pub compared: bool,
}

const COLUMNS: [(&str, Align); 11] = [
    ("app", Align::Left),
    ("release", Align::Left),
    ("version", Align::Left),
    ("replicas", Align::Left),
    ("state", Align::Left),
    ("up", Align::Right),
    ("restarts", Align::Right),
    ("open", Align::Left),
    ("req/s", Align::Right),
    ("errors", Align::Right),
    ("p50 / p99", Align::Left),
];

impl Status {
    /// Lines for people.
    #[must_use]
    pub fn lines(&self, colour: bool) -> Vec<String> {
        let paint = Painter { colour };
        let mut lines = Vec::new();
        if self.apps.is_empty() {
            lines.push(format!("no apps in project `{}`", self.project));
        } else {
            let mut table = Table::new(COLUMNS);
            for app in &self.apps {
                self.app(app, &mut table, paint);
            }
            lines.extend(table.lines());
        }
        if !self.accessories.is_empty() {
            let mut table = Table::new([
                ("accessory", Align::Left),
                ("state", Align::Left),
                ("up", Align::Right),
                ("", Align::Left),
            ]);
            for accessory in &self.accessories {
                let state = container_state(accessory.state, accessory.health);
                let differs = if accessory.differs == Some(true) { "differs from the compose file" } else { "" };
                let up = self.up(accessory.state, accessory.lifetime);
                table.row([accessory.service.to_string(), state, up, paint.warning(differs)]);
            }
            lines.push(String::new());
            lines.extend(table.lines());
        }
        let proxy = self.proxy_lines(paint);
        if !proxy.is_empty() {
            lines.push(String::new());
            lines.extend(proxy);
        }
        lines
    }

    fn app(&self, app: &AppStanding, table: &mut Table, paint: Painter) {
        let none = "–".to_owned();
        let (short, long) = totals(app);
        let is_deployed = app.release.is_some();
        let traffic = self.windows.filter(|_| app.traffic.is_some() && is_deployed);
        table.row([
            paint.bold(app.app.app.as_str()),
            app.release.map_or_else(|| none.clone(), |release| release.to_string()),
            app.version.clone().unwrap_or_default(),
            count(app),
            paint.state(app.state),
            String::new(),
            String::new(),
            if is_deployed { open(app.in_flight) } else { String::new() },
            traffic.map_or_else(String::new, |(window, _)| per_second(short.requests, window)),
            traffic.map_or_else(String::new, |_| percent(long)),
            app.traffic.as_ref().map_or_else(String::new, |traffic| quantiles(traffic.p50_ms, traffic.p99_ms)),
        ]);
        for replica in &app.replicas {
            table.row([
                format!("  {}", label(replica)),
                String::new(),
                // Said where it is another than the app's.
                replica.version.clone().filter(|version| app.version.as_ref() != Some(version)).unwrap_or_default(),
                String::new(),
                paint.replica(replica),
                self.up(replica.state, replica.lifetime),
                replica.lifetime.restarts.to_string(),
                open(replica.in_flight),
            ]);
        }
        for note in self.notes(app) {
            table.note(format!("  {}", paint.warning(&note)));
        }
    }

    /// What has no column.
    fn notes(&self, app: &AppStanding) -> Vec<String> {
        let mut notes = Vec::new();
        if let Some(lease) = &app.lease {
            let age = text::seconds(elapsed(lease.since, self.at));
            notes.push(text::clean(&format!("{} by {} on {} since {age}", lease.purpose, lease.owner, lease.host)));
        }
        let leftovers: Vec<_> = app.replicas.iter().filter(|replica| replica.part == Part::Leftover).collect();
        if !leftovers.is_empty() {
            let names: Vec<_> = leftovers.iter().map(|replica| format!("`{}`", replica.name)).collect();
            notes.push(format!("left over, the next deploy removes it: {}", names.join(", ")));
        }
        if !app.in_file {
            notes.push("not in the compose file, or in a profile that is not chosen".to_owned());
        }
        match &app.drift {
            // That nothing is deployed stands in the table.
            Some(drift) => notes.extend(drift.iter().filter(|drift| **drift != Drift::NotDeployed).map(drift_note)),
            None if self.compared && app.in_file && app.state != AppState::Unknown => notes.push(format!(
                "not compared with its source, which takes long to read; `deploy-apps plan {}` does",
                app.app.app
            )),
            None => {}
        }
        notes
    }

    fn up(&self, state: Option<ContainerState>, lifetime: Lifetime) -> String {
        match (state, lifetime.started_at, lifetime.finished_at) {
            (Some(ContainerState::Running | ContainerState::Paused), Some(since), _) => age(elapsed(since, self.at)),
            _ => String::new(),
        }
    }

    /// Nothing when all is well: then nobody wants to read of it.
    fn proxy_lines(&self, paint: Painter) -> Vec<String> {
        let ProxyStanding { name, state, error, .. } = &self.proxy;
        let mut lines = Vec::new();
        match (state, error) {
            (None, _) => {
                lines.push(paint.warning(&format!("proxy `{name}`: there is none; the first deploy brings it up")))
            }
            (Some(ContainerState::Running), None) => {}
            (Some(state), error) => {
                let state = container_state(Some(*state), None);
                let error = error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
                lines.push(paint.error(&format!("proxy `{name}` is {state}{error}")));
                lines.push("who serves is not known; what is shown of the apps is what the engine says".to_owned());
            }
        }
        if self.proxy.is_outdated() {
            let text = format!("proxy `{name}` is of another build; `deploy-apps proxy upgrade` replaces it");
            lines.push(paint.warning(&text));
        }
        lines
    }

    /// One document for programs.
    #[must_use]
    pub fn document(&self) -> Value {
        let ProxyStanding { name, state, error, build, own_build, lifetime } = &self.proxy;
        json!({
            "v": 1,
            "project": self.project,
            "at": self.at.to_string(),
            "engine": { "address": self.engine.0, "version": self.engine.1 },
            "proxy": {
                "name": name,
                "state": state.map(state_word),
                "error": error,
                "build": build,
                "outdated": self.proxy.is_outdated(),
                "own_build": own_build,
                "started_at": lifetime.started_at.map(|at| at.to_string()),
            },
            "apps": self.apps.iter().map(|app| self.app_document(app)).collect::<Vec<_>>(),
            "accessories": self.accessories.iter().map(accessory_document).collect::<Vec<_>>(),
        })
    }

    fn app_document(&self, app: &AppStanding) -> Value {
        let lease = app.lease.as_ref().map(|lease| {
            json!({
                "owner": lease.owner,
                "host": lease.host,
                "purpose": lease.purpose,
                "since_at": lease.since.to_string(),
                "age_ms": milliseconds(elapsed(lease.since, self.at)),
            })
        });
        json!({
            "app": app.app.app,
            "state": app.state,
            "in_compose_file": app.in_file,
            "release": app.release,
            "version": app.version,
            "replicas": {
                "wanted": app.wanted.map(|wanted| wanted.count),
                "source": app.wanted.map(|wanted| wanted.source),
                "serving": app.serving,
            },
            "in_flight": app.in_flight,
            "traffic": self.traffic_document(app),
            "containers": app.replicas.iter().map(replica_document).collect::<Vec<_>>(),
            "drift": app.drift.as_ref().map(|drift| drift.iter().map(drift_document).collect::<Vec<_>>()),
            "lease": lease,
        })
    }

    fn traffic_document(&self, app: &AppStanding) -> Value {
        let (Some((short_ms, long_ms)), Some(traffic)) = (self.windows, &app.traffic) else { return Value::Null };
        let (short, long) = totals(app);
        let releases: Vec<Value> = traffic
            .releases
            .iter()
            .map(|(release, (_, long))| json!({ "release": release, "requests": long.requests, "errors": long.errors }))
            .collect();
        json!({
            "requests_per_second": rounded(short.requests as f64 * 1000.0 / short_ms.max(1) as f64),
            "rate_window_ms": short_ms,
            "requests": long.requests,
            "errors": long.errors,
            "window_ms": long_ms,
            "p50_ms": traffic.p50_ms.map(|ms| ms.round() as u64),
            "p99_ms": traffic.p99_ms.map(|ms| ms.round() as u64),
            "releases": releases,
        })
    }
}

fn rounded(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Clocks of two machines may disagree; nothing begins in the future.
fn elapsed(since: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(since)).unwrap_or_default()
}

fn totals(app: &AppStanding) -> (RequestCounts, RequestCounts) {
    let counts = app.traffic.iter().flat_map(|traffic| traffic.releases.values());
    (counts.clone().map(|(short, _)| *short).sum(), counts.map(|(_, long)| *long).sum())
}

fn drift_note(drift: &Drift) -> String {
    format!("drift: {drift}")
}

fn drift_document(drift: &Drift) -> Value {
    // An enum with named fields, which always serialises.
    let mut value = serde_json::to_value(drift).unwrap_or_default();
    if let Value::Object(fields) = &mut value {
        fields.insert("text".to_owned(), drift.to_string().into());
    }
    value
}

fn replica_document(replica: &ReplicaStanding) -> Value {
    let exit = match replica.state {
        Some(ContainerState::Exited { code, oom_killed }) => json!({ "code": code, "oom_killed": oom_killed }),
        _ => Value::Null,
    };
    json!({
        "name": replica.name,
        "part": replica.part,
        "release": replica.release,
        "version": replica.version,
        "replica": replica.replica,
        "state": replica.state.map(state_word),
        "exit": exit,
        "health": replica.health,
        "ejected": replica.ejected,
        "well": replica.is_well(),
        "started_at": replica.lifetime.started_at.map(|at| at.to_string()),
        "finished_at": replica.lifetime.finished_at.map(|at| at.to_string()),
        "restarts": replica.lifetime.restarts,
        "in_flight": replica.in_flight,
    })
}

fn accessory_document(accessory: &AccessoryStanding) -> Value {
    json!({
        "service": accessory.service,
        "state": accessory.state.map(state_word),
        "health": accessory.health,
        "started_at": accessory.lifetime.started_at.map(|at| at.to_string()),
        "restarts": accessory.lifetime.restarts,
        "differs": accessory.differs,
    })
}

fn state_word(state: ContainerState) -> &'static str {
    match state {
        ContainerState::Created => "created",
        ContainerState::Running => "running",
        ContainerState::Paused => "paused",
        ContainerState::Restarting => "restarting",
        ContainerState::Exited { .. } => "exited",
        ContainerState::Dead => "dead",
    }
}

fn container_state(state: Option<ContainerState>, health: Option<DockerHealth>) -> String {
    match (state, health) {
        (None, _) => "missing".to_owned(),
        (Some(ContainerState::Running), Some(DockerHealth::Unhealthy)) => "unhealthy".to_owned(),
        (Some(ContainerState::Running), Some(DockerHealth::Starting)) => "running, health not known yet".to_owned(),
        (Some(ContainerState::Running), Some(DockerHealth::Healthy)) => "healthy".to_owned(),
        (Some(ContainerState::Exited { oom_killed: true, .. }), _) => "out of memory".to_owned(),
        (Some(ContainerState::Exited { code, .. }), _) => format!("exited with {code}"),
        (Some(state), _) => state_word(state).to_owned(),
    }
}

/// Such as `r8-1`: the project's and the app's names stand above it.
fn label(replica: &ReplicaStanding) -> String {
    match (replica.release, replica.replica) {
        (Some(release), Some(number)) => format!("{release}-{number}"),
        (Some(release), None) => format!("{release} release command"),
        (None, _) => replica.name.clone(),
    }
}

/// Such as `2/4 scaled`.
fn count(app: &AppStanding) -> String {
    match app.wanted {
        Some(wanted) if app.release.is_some() => {
            let source = if wanted.source == ReplicaSource::Scaled { " scaled" } else { "" };
            format!("{}/{}{source}", app.serving, wanted.count)
        }
        _ if app.release.is_some() => app.serving.to_string(),
        _ => String::new(),
    }
}

fn open(in_flight: InFlight) -> String {
    match (in_flight.requests, in_flight.websockets) {
        (requests, 0) => requests.to_string(),
        (requests, websockets) => format!("{requests} + {websockets} ws"),
    }
}

fn per_second(requests: u64, window_ms: u64) -> String {
    format!("{:.1}", requests as f64 * 1000.0 / window_ms.max(1) as f64)
}

/// A rare error must not be rounded away.
fn percent(counts: RequestCounts) -> String {
    match counts.errors as f64 * 100.0 / counts.requests.max(1) as f64 {
        share if counts.requests == 0 || share == 0.0 => if counts.requests == 0 { "" } else { "0%" }.to_owned(),
        share if share < 0.01 => "<0.01%".to_owned(),
        share => format!("{share:.2}%"),
    }
}

fn quantiles(p50: Option<f64>, p99: Option<f64>) -> String {
    let text = |ms: f64| text::duration(Duration::from_micros((ms * 1000.0) as u64));
    match (p50, p99) {
        (Some(p50), Some(p99)) => format!("{} / {}", text(p50), text(p99)),
        _ => String::new(),
    }
}

/// `45s`, `12m 3s`, `5h 2m`, `3d 4h`.
pub(super) fn age(duration: Duration) -> String {
    let hours = duration.as_secs() / 3600;
    if hours < 24 { text::seconds(duration) } else { format!("{}d {}h", hours / 24, hours % 24) }
}

#[derive(Clone, Copy)]
struct Painter {
    colour: bool,
}

impl Painter {
    fn paint(self, style: Style, text: &str) -> String {
        if text.is_empty() { String::new() } else { style.force_styling(self.colour).apply_to(text).to_string() }
    }

    fn bold(self, text: &str) -> String {
        self.paint(Style::new().bold(), text)
    }

    fn warning(self, text: &str) -> String {
        self.paint(Style::new().yellow(), text)
    }

    fn error(self, text: &str) -> String {
        self.paint(Style::new().red(), text)
    }

    fn state(self, state: AppState) -> String {
        match state {
            AppState::Serving => self.paint(Style::new().green(), "serving"),
            AppState::Degraded => self.warning("degraded"),
            AppState::Down => self.error("down"),
            AppState::Holding => self.warning("requests wait"),
            AppState::AtRest => self.paint(Style::new().dim(), "at rest"),
            AppState::NotDeployed => self.paint(Style::new().dim(), "not deployed"),
            AppState::Unknown => self.warning("not known"),
        }
    }

    fn replica(self, replica: &ReplicaStanding) -> String {
        let state = container_state(replica.state, replica.health);
        let state = if replica.ejected { format!("{state}, left out by the proxy") } else { state };
        match (replica.part, replica.is_well()) {
            (Part::Serving | Part::Unknown, true) => state,
            (Part::Serving | Part::Unknown, false) => self.error(&state),
            (Part::Starting, _) => self.paint(Style::new().cyan(), &format!("starting, {state}")),
            (Part::Draining, _) => self.paint(Style::new().cyan(), &format!("draining, {state}")),
            (Part::Leftover, _) => self.warning(&format!("left over, {state}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rare_error_is_not_rounded_away() {
        let text = |requests, errors| percent(RequestCounts { requests, errors });
        assert_eq!(text(0, 0), "");
        assert_eq!(text(10, 0), "0%");
        assert_eq!(text(200, 1), "0.50%");
        assert_eq!(text(1_000_000, 1), "<0.01%");
    }

    #[test]
    fn long_times_are_days() {
        assert_eq!(age(Duration::from_secs(59)), "59s");
        assert_eq!(age(Duration::from_secs(3 * 3600)), "3h 0m");
        assert_eq!(age(Duration::from_secs(51 * 3600 + 60)), "2d 3h");
    }
}
