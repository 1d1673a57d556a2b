//! All projects of an engine, as text and as JSON.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::status::{container_state, state_word, state_words};
use super::table::{Align, Table};
use crate::model::{ProjectName, ProxyName, Route};
use crate::plan::{AccessoryStatus, AppStatus};

/// The input of the `ls` command's output.
#[derive(Debug, Clone, PartialEq)]
pub struct Listing {
    pub at: Timestamp,
    /// The engine's address and version.
    pub engine: (String, String),
    pub proxies: Vec<ListedProxy>,
}

/// A proxy and the projects that it serves.
#[derive(Debug, Clone, PartialEq)]
pub struct ListedProxy {
    pub name: ProxyName,
    /// Why the proxy does not answer; `None` when it does.
    pub error: Option<String>,
    /// Ports published on the host.
    pub ports: Vec<u16>,
    pub projects: Vec<ListedProject>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ListedProject {
    pub name: ProjectName,
    /// Apps with their routes.
    pub apps: Vec<(AppStatus, Vec<Route>)>,
    pub accessories: Vec<AccessoryStatus>,
}

const NOTHING: &str = "no project is deployed on this engine";

impl Listing {
    /// Text output: one line per app and accessory, and one per additional route.
    #[must_use]
    pub fn lines(&self, width: Option<usize>) -> Vec<String> {
        let mut table = Table::new([
            ("project", Align::Left),
            ("app", Align::Left),
            ("release", Align::Left),
            ("replicas", Align::Right),
            ("state", Align::Left),
            ("routes", Align::Left),
        ]);
        let mut notes = Vec::new();
        for proxy in &self.proxies {
            for project in &proxy.projects {
                project.rows(&mut table);
            }
            notes.extend(proxy.note(self.proxies.len() > 1));
        }
        let mut lines =
            if table.is_empty() { vec![NOTHING.to_owned()] } else { table.lines_within(width, &["replicas"]) };
        if !notes.is_empty() {
            lines.push(String::new());
        }
        lines.extend(notes);
        lines
    }

    /// One line per route, with host and path.
    #[must_use]
    pub fn route_lines(&self, width: Option<usize>) -> Vec<String> {
        let several = self.proxies.len() > 1;
        let mut rows: Vec<(String, String, String, String)> = Vec::new();
        for proxy in &self.proxies {
            for (app, routes) in proxy.projects.iter().flat_map(|project| &project.apps) {
                let release = app.release.map(|release| release.to_string()).unwrap_or_default();
                let on = if several { proxy.name.to_string() } else { String::new() };
                rows.extend(
                    routes.iter().map(|route| (route.to_string(), app.app.to_string(), release.clone(), on.clone())),
                );
            }
        }
        rows.sort();
        let mut table = Table::new([
            ("route", Align::Left),
            ("app", Align::Left),
            ("release", Align::Left),
            ("proxy", Align::Left),
        ]);
        for (route, app, release, proxy) in rows {
            table.row([route, app, release, proxy]);
        }
        let mut lines = if table.is_empty() {
            vec!["no app has a route".to_owned()]
        } else {
            table.lines_within(width, &["release"])
        };
        lines.extend(self.proxies.iter().filter(|proxy| proxy.error.is_some()).filter_map(|proxy| proxy.note(false)));
        lines
    }

    /// The whole output as one JSON document.
    #[must_use]
    pub fn document(&self) -> Value {
        json!({
            "v": 1,
            "at": self.at.to_string(),
            "engine": { "address": self.engine.0, "version": self.engine.1 },
            "proxies": self.proxies.iter().map(ListedProxy::document).collect::<Vec<_>>(),
        })
    }
}

impl ListedProxy {
    /// The problem of a proxy; with several proxies, the projects that each serves.
    fn note(&self, several: bool) -> Option<String> {
        let ports: Vec<String> = self.ports.iter().map(ToString::to_string).collect();
        let port = if ports.is_empty() { String::new() } else { format!(" (port {})", ports.join(", ")) };
        match &self.error {
            Some(error) => Some(format!("proxy `{}`: {error}; its routes are not known", self.name)),
            None if several => {
                let names: Vec<&str> = self.projects.iter().map(|project| project.name.as_str()).collect();
                let names = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
                Some(format!("proxy `{}`{port} serves {names}", self.name))
            }
            None => None,
        }
    }

    fn document(&self) -> Value {
        json!({
            "name": self.name,
            "error": self.error,
            "ports": self.ports,
            "projects": self.projects.iter().map(ListedProject::document).collect::<Vec<_>>(),
        })
    }
}

impl ListedProject {
    fn rows(&self, table: &mut Table) {
        let mut name = self.name.to_string();
        for (app, routes) in &self.apps {
            let mut routes = routes.iter().map(ToString::to_string);
            table.row([
                std::mem::take(&mut name),
                app.app.app.to_string(),
                app.release.map_or_else(|| "–".to_owned(), |release| release.to_string()),
                app.serving.to_string(),
                state_words(app.state).to_owned(),
                routes.next().unwrap_or_default(),
            ]);
            for route in routes {
                table.row([String::new(), String::new(), String::new(), String::new(), String::new(), route]);
            }
        }
        for accessory in &self.accessories {
            let state = container_state(accessory.state, accessory.health);
            table.row([
                std::mem::take(&mut name),
                accessory.service.to_string(),
                "accessory".to_owned(),
                String::new(),
                state,
            ]);
        }
        // Only leftovers exist, such as a one-off container.
        if !name.is_empty() {
            table.row([name]);
        }
    }

    fn document(&self) -> Value {
        let route = |route: &Route| json!({ "host": route.host, "path": route.path, "strip": route.strip });
        let app = |(app, routes): &(AppStatus, Vec<Route>)| {
            json!({
                "app": app.app.app,
                "state": app.state,
                "release": app.release,
                "version": app.version,
                "serving": app.serving,
                "routes": routes.iter().map(route).collect::<Vec<_>>(),
            })
        };
        let accessory = |accessory: &AccessoryStatus| {
            json!({
                "service": accessory.service,
                "state": accessory.state.map(state_word),
                "health": accessory.health,
            })
        };
        json!({
            "project": self.name,
            "apps": self.apps.iter().map(app).collect::<Vec<_>>(),
            "accessories": self.accessories.iter().map(accessory).collect::<Vec<_>>(),
        })
    }
}
