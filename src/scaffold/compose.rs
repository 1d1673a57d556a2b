//! Generates a compose file with comments on everything that a user may want to change.

use std::fmt::Write as _;

use super::look::{FoundApp, Port};

/// Values given by the user. They take precedence over detected ones.
#[derive(Debug, Clone, Default)]
pub struct Desired {
    pub project: String,
    pub port: Option<u16>,
    pub host: Option<String>,
}

impl Desired {
    fn port(&self, found: &Port) -> (u16, String) {
        match (self.port, found.from) {
            (Some(port), _) => (port, "Where the app listens.".to_owned()),
            (None, Some(from)) => (found.number, format!("Where the app listens: {from} says so.")),
            (None, None) => {
                (found.number, "A guess: the Dockerfile has no EXPOSE. Write where the app listens.".to_owned())
            }
        }
    }
}

/// A complete `compose.yaml`.
#[must_use]
pub fn compose_file(desired: &Desired, apps: &[FoundApp]) -> String {
    let mut text = format!(
        "\
# Written by `deploy-apps init`, and yours from now on. It is plain Compose; what Compose has no word for stands in the
# `x-deploy-apps` blocks, which other tools ignore. `deploy-apps schema compose` helps editors to complete it.
name: {}

x-deploy-apps:
  # One proxy per host, shared by all projects. Only this port is published.
  proxy: {{ http_port: \"${{HTTP_PORT:-8080}}\" }}
  # Who is told when a deploy has ended:
  # notify: [{{ url: \"${{DEPLOY_WEBHOOK}}\", on: [failure] }}]

services:",
        desired.project
    );
    for app in apps {
        let folder =
            if app.folder.as_os_str().is_empty() { ".".to_owned() } else { format!("./{}", app.folder.display()) };
        let _ = write!(
            text,
            "
  {}:
    build: {}
    # From the stop signal to the kill. It may be short: a replica is stopped after it was drained.
    stop_grace_period: 10s
    deploy:
      # A deploy drops no request with one; with two, the death of one is not felt either.
      replicas: 1
{}",
            app.name,
            quoted(&folder),
            service_block(desired, app)
        );
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

/// A path that YAML could parse as something else.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '/' | '-' | '_');
    if text.chars().all(plain) { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}

/// The block that makes a service an app, indented for its position in the service.
#[must_use]
pub fn service_block(desired: &Desired, app: &FoundApp) -> String {
    let (port, why) = desired.port(&app.port);
    let host = desired.host.clone().unwrap_or_else(|| format!("{}.localhost", app.name));
    let mut text = format!(
        "    x-deploy-apps:
      # {why}
      port: {port}
      # Which requests are the app's. A path works too: - {{ path: /{}, strip: true }}
      routes:
        - host: {host}
",
        app.name
    );
    let seen = "A new replica gets traffic after two good answers in a row, seen by the proxy itself.";
    let _ = match &app.health {
        Some((path, file)) => writeln!(
            text,
            "      # {seen}\n      # The path is a guess: {} names it.\n      health: {{ path: {path}, timeout: 30s }}",
            file.display()
        ),
        None => writeln!(
            text,
            "      # {seen}\n      # Better than `/` is a path that answers once the app can do its work.\n      health: {{ path: /, timeout: 30s }}"
        ),
    };
    if app.healthcheck {
        text.push_str("      # The image has a HEALTHCHECK; then both must agree.\n");
    }
    text.push_str(
        "      # How long open requests of the old release may take to finish; WebSockets have no natural end.\n      \
         drain: { timeout: 60s, websocket_timeout: 5m }\n",
    );
    text
}
