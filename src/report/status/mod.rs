//! The status as text; `document` has the JSON form.

mod document;
mod words;

use std::time::Duration;

use jiff::Timestamp;

use self::words::{Painter, count, label, open, per_second, percent, quantiles};
pub(super) use self::words::{age, container_state, state_word, state_words};
use super::interrupted::{maintenance_note, pause_note};
use super::table::{Align, Table};
use super::text;
use crate::model::{
    AppName, Canary, ContainerState, Figures, Lifetime, ObservedCertificate, PROXY_DRIFT_REMEDY, PortAnswer,
    ProjectName, ProxyName, ReleaseNumber, RequestCounts, Stranger, Unstable, compared,
};
use crate::plan::{AccessoryStatus, AppState, AppStatus, Drift, Part};

/// The state of the proxy.
#[derive(Debug, Clone, PartialEq)]
pub struct ProxyStanding {
    pub name: String,
    /// `None` when the host has no proxy.
    pub state: Option<ContainerState>,
    /// Why the proxy does not answer; `None` when it does.
    pub error: Option<String>,
    /// The running build, and the build of this program.
    pub build: Option<String>,
    pub own_build: String,
    /// Why a deploy is refused (the proxy's settings differ from the compose file), and the remedy.
    pub differs: Option<(String, String)>,
    /// Differences from the compose file that do not block a deploy.
    pub drift: Option<String>,
    /// Whether the published port answers; `None`: not checked.
    pub published: Option<PortAnswer>,
    pub lifetime: Lifetime,
}

impl ProxyStanding {
    fn is_outdated(&self) -> bool {
        self.build.as_ref().is_some_and(|build| *build != self.own_build)
    }
}

/// The input of the `status` command's output.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    pub project: ProjectName,
    pub at: Timestamp,
    /// The engine's address and version.
    pub engine: (String, String),
    pub proxy: ProxyStanding,
    /// Lengths of the proxy's short and long window, in milliseconds.
    pub windows: Option<(u64, u64)>,
    pub apps: Vec<AppStatus>,
    pub accessories: Vec<AccessoryStatus>,
    /// What docker compose runs of the project, and how a deploy handles it.
    pub composed: Vec<String>,
    /// Whether drift was checked.
    pub compared: bool,
    /// Containers that receive requests meant for a replica.
    pub strangers: Vec<Stranger>,
    /// Containers in a restart loop.
    pub unstable: Vec<Unstable>,
    /// Certificates of the project's hosts.
    pub certificates: Vec<ObservedCertificate>,
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

/// Columns that a narrow terminal omits, in this order.
const SPARE: [&str; 6] = ["p50 / p99", "restarts", "errors", "version", "req/s", "up"];

impl Status {
    /// Text output, at most `width` columns wide.
    #[must_use]
    pub fn lines(&self, colour: bool, width: Option<usize>) -> Vec<String> {
        let paint = Painter { colour };
        let mut lines = Vec::new();
        if self.apps.is_empty() {
            lines.push(format!("no apps in project `{}`", self.project));
        } else {
            let mut table = Table::new(COLUMNS);
            for app in &self.apps {
                self.app(app, &mut table, paint);
            }
            lines.extend(table.lines_within(width, &SPARE));
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
                let note = match (accessory.in_file, accessory.differs) {
                    (false, _) => gone(&accessory.service, accessory.orphan),
                    (true, Some(true)) => "differs from the compose file".to_owned(),
                    (true, _) => String::new(),
                };
                let up = self.up(accessory.state, accessory.lifetime);
                table.row([accessory.service.to_string(), state, up, paint.warning(&note)]);
            }
            lines.push(String::new());
            lines.extend(table.lines_within(width, &[]));
        }
        if !self.composed.is_empty() {
            lines.push(String::new());
            lines.extend(self.composed.iter().cloned());
        }
        for one in &self.unstable {
            lines.push(String::new());
            lines.push(paint.error(&text::clean(&one.to_string())));
            lines.extend(one.log.iter().map(|line| format!("  {}", text::clean(line))));
            lines.push(format!("hint: {}", one.remedy));
        }
        let proxy = self.proxy_lines(paint);
        if !proxy.is_empty() {
            lines.push(String::new());
            lines.extend(proxy);
        }
        lines
    }

    fn app(&self, app: &AppStatus, table: &mut Table, paint: Painter) {
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
                // Shown only where it differs from the app's.
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

    /// Notes about what has no column.
    fn notes(&self, app: &AppStatus) -> Vec<String> {
        let mut notes = Vec::new();
        if let Some(lease) = &app.lease {
            let age = text::seconds(elapsed(lease.since, self.at));
            notes.push(text::clean(&format!("{} by {} on {} since {age}", lease.purpose, lease.owner, lease.host)));
        }
        notes.extend(app.maintenance.as_ref().map(|maintenance| maintenance_note(maintenance, self.at)));
        notes.extend(app.pause.as_ref().and_then(|pause| pause_note(pause, self.at)));
        if let Some(canary) = &app.canary {
            notes.push(canary_note(app, canary));
        }
        let leftovers: Vec<_> = app.replicas.iter().filter(|replica| replica.part == Part::Leftover).collect();
        if !leftovers.is_empty() {
            let names: Vec<_> = leftovers.iter().map(|replica| format!("`{}`", replica.name)).collect();
            notes.push(format!("left over, the next deploy removes it: {}", names.join(", ")));
        }
        if !app.in_file {
            notes.push(gone(&app.app.app, app.orphan));
        }
        match &app.drift {
            // The table already shows that nothing is deployed.
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

    /// Empty when everything is healthy.
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
        lines.extend(self.strangers.iter().map(|stranger| {
            let Stranger { container, address, peer, app } = stranger;
            paint.error(&text::clean(&format!(
                "`{container}` has the address {address} of `{peer}`, so it gets requests for `{app}`; \
                 `docker network disconnect` takes it away"
            )))
        }));
        if let Some((why, remedy)) = &self.proxy.differs {
            lines.push(paint.warning(&format!("{why}; {remedy}")));
        }
        if let Some(drift) = &self.proxy.drift {
            lines.push(paint.warning(&format!("{drift}; {PROXY_DRIFT_REMEDY}")));
        }
        if let Some(trouble) = self.proxy.published.as_ref().and_then(PortAnswer::trouble) {
            let remedy = name.parse().map(|name: ProxyName| PortAnswer::remedy(&name)).unwrap_or_default();
            lines.push(paint.error(&format!("{trouble}; {remedy}")));
        }
        let troubles = self.certificates.iter().filter_map(|one| one.trouble(self.at));
        lines.extend(troubles.map(|trouble| paint.warning(&text::clean(&trouble))));
        if self.proxy.is_outdated() {
            let text = format!("proxy `{name}` is of another build; `deploy-apps proxy upgrade` replaces it");
            lines.push(paint.warning(&text));
        }
        lines
    }
}

/// Why a service on the host is not managed by the compose file.
fn gone(name: &AppName, orphan: bool) -> String {
    match orphan {
        true => format!("orphan: not in the compose file; `deploy-apps remove {name}` removes it"),
        false => "in a profile that is not chosen".to_owned(),
    }
}

/// Clocks of two machines may differ; a time in the future counts as now.
fn elapsed(since: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(since)).unwrap_or_default()
}

fn totals(app: &AppStatus) -> (RequestCounts, RequestCounts) {
    let counts = app.traffic.iter().flat_map(|traffic| traffic.releases.values());
    (counts.clone().map(|(short, _)| *short).sum(), counts.map(|(_, long)| *long).sum())
}

/// Both releases' figures of the long window.
fn canary_note(app: &AppStatus, canary: &Canary) -> String {
    let figures = |release: ReleaseNumber| {
        let counts = app.traffic.as_ref().and_then(|traffic| traffic.releases.get(&release));
        let (_, RequestCounts { requests, errors }) = counts.copied().unwrap_or_default();
        Figures { requests, errors, buckets: Vec::new() }
    };
    let stable = app.release.unwrap_or_default();
    let both =
        compared((canary.release, &figures(canary.release)), "", canary.weight, (stable, &figures(stable)), None);
    format!("canary {both}, lately; `deploy-apps promote {0}` or `abort {0}` decides", app.app.app)
}

fn drift_note(drift: &Drift) -> String {
    format!("drift: {drift}")
}
