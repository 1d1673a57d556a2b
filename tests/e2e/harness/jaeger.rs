//! Jaeger next to a copy of the sample system: the compose service of the repository, with an image built from source.

use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{Cli, DEADLINE, Host, docker, eventually, images};

/// The compose files of a system with tracing.
const FILES: &str = "compose.yaml:stack/jaeger.yaml";

pub struct Jaeger<'h> {
    host: &'h Host,
    image: String,
}

impl<'h> Jaeger<'h> {
    /// It starts when the service `jaeger` is deployed.
    pub fn beside(host: &'h Host) -> Self {
        Self { host, image: Self::image() }
    }

    /// Built if it does not exist, which takes minutes on all cores.
    pub fn image() -> String {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("stack/jaeger");
        images::cached("e2e-jaeger", &folder, &["Dockerfile"])
    }

    /// A `deploy-apps` command with Jaeger's endpoint, whose apps export to it.
    pub fn cli(&self, args: &[&str]) -> Cli {
        let cli = self.host.cli(args).env("COMPOSE_FILE", FILES).env("JAEGER_IMAGE", &self.image);
        cli.env("APPS_OTLP_ENDPOINT", "http://jaeger:4318")
    }

    /// The endpoint to which runs export.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.host.port_of("OTLP_PORT"))
    }

    /// Kills its process, as a crash would: a stop through the engine's API would count as requested.
    pub fn kill(&self) {
        let service = format!("name=^{}-jaeger", self.host.name());
        let id = docker(&["ps", "-q", "--filter", &service]);
        let pid = docker(&["inspect", "--format", "{{.State.Pid}}", &id]);
        let pid = pid.parse().ok().and_then(Pid::from_raw).expect("the process of one container");
        kill_process(pid, Signal::KILL).expect("the right to kill");
    }

    /// All traces that `query` finds; `None` while there are none.
    async fn traces(&self, query: &str) -> Option<Vec<Trace>> {
        let url = format!("http://127.0.0.1:{}/api/traces{query}", self.host.port_of("JAEGER_PORT"));
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build().expect("a client");
        let answer = client.get(url).send().await.ok()?.text().await.ok()?;
        let found: Value = serde_json::from_str(&answer).ok()?;
        let traces = found["data"].as_array()?.iter().map(|trace| Trace(trace.clone())).collect::<Vec<_>>();
        (!traces.is_empty()).then_some(traces)
    }

    /// Waits until the trace with this id has spans of all these services: exporters send every few seconds.
    pub async fn trace(&self, id: &str, services: &[&str]) -> Trace {
        let what = format!("spans of {services:?} in trace {id}");
        let complete = async || {
            let trace = self.traces(&format!("/{id}")).await?.pop()?;
            let has_all = services.iter().all(|service| trace.spans().any(|span| span.service == *service));
            has_all.then_some(trace)
        };
        eventually(&what, DEADLINE, complete).await
    }

    /// Waits for a trace of this service with this operation.
    pub async fn trace_of(&self, service: &str, operation: &str) -> Trace {
        let query = format!("?service={service}&operation={operation}&limit=10");
        eventually(&query, DEADLINE, async || self.traces(&query).await?.pop()).await
    }
}

/// A trace as returned by the query API.
#[derive(Debug)]
pub struct Trace(Value);

#[derive(Debug)]
pub struct Span<'t> {
    pub id: &'t str,
    pub parent: Option<&'t str>,
    pub service: &'t str,
    pub name: &'t str,
    /// The release of the process that it ran in.
    pub release: Option<&'t str>,
    tags: &'t Value,
}

impl Trace {
    pub fn spans(&self) -> impl Iterator<Item = Span<'_>> {
        self.0["spans"].as_array().into_iter().flatten().map(|span| {
            let process = &self.0["processes"][span["processID"].as_str().unwrap_or_default()];
            Span {
                id: span["spanID"].as_str().unwrap_or_default(),
                parent: span["references"][0]["spanID"].as_str(),
                service: process["serviceName"].as_str().unwrap_or_default(),
                name: span["operationName"].as_str().unwrap_or_default(),
                release: tag(&process["tags"], "deploy.release"),
                tags: &span["tags"],
            }
        })
    }

    /// The only span of this service and kind (`server`, `client`).
    #[track_caller]
    pub fn span(&self, service: &str, kind: &str) -> Span<'_> {
        let mut found = self.spans().filter(|span| span.service == service && span.tag("span.kind") == Some(kind));
        match (found.next(), found.next()) {
            (Some(span), None) => span,
            (first, _) => {
                panic!("{} {kind} spans of `{service}` in {self:#?}", if first.is_some() { "several" } else { "no" })
            }
        }
    }
}

impl<'t> Span<'t> {
    pub fn tag(&self, name: &str) -> Option<&'t str> {
        tag(self.tags, name)
    }
}

fn tag<'t>(tags: &'t Value, name: &str) -> Option<&'t str> {
    tags.as_array()?.iter().find(|tag| tag["key"] == name)?["value"].as_str()
}
