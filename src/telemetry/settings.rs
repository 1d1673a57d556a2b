//! Telemetry settings from the environment variables of the OpenTelemetry specification.

use std::collections::HashMap;
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry_sdk::propagation::TraceContextPropagator;

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
/// The first variable that is set wins.
const TIMEOUTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"];
/// Default of the specification.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// Where traces are sent. The exporter reads the rest, such as headers and resource attributes, from the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Full URL of the traces endpoint.
    pub(super) endpoint: String,
    /// For messages: without path, user and password.
    pub(super) place: String,
    /// Timeout of one try.
    pub(super) timeout: Duration,
    /// Default service name.
    pub(super) default_name: bool,
    /// Trace context of the pipeline that started this run.
    parent: HashMap<String, String>,
    /// A warning for the user.
    pub warnings: Vec<String>,
}

impl Settings {
    /// `None` when no endpoint is set, or when telemetry is disabled.
    ///
    /// # Errors
    /// When an endpoint is set that is invalid; the text is for the user.
    pub fn from_env(env: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, String> {
        let env = |name: &str| env(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let off = env("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"))
            || env("OTEL_TRACES_EXPORTER").is_some_and(|value| value == "none");
        let (variable, endpoint) = match (env(TRACES_ENDPOINT), env(ENDPOINT)) {
            _ if off => return Ok(None),
            (Some(whole), _) => (TRACES_ENDPOINT, whole),
            (None, Some(base)) => (ENDPOINT, format!("{}/v1/traces", base.trim_end_matches('/'))),
            (None, None) => return Ok(None),
        };
        let place = place(&endpoint).ok_or_else(|| {
            format!("no trace is exported: `{variable}` is not a URL such as `http://localhost:4318`")
        })?;
        let names = env("OTEL_RESOURCE_ATTRIBUTES")
            .is_some_and(|list| list.split(',').any(|pair| pair.trim_start().starts_with("service.name=")));
        let protocol = env("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL").or_else(|| env("OTEL_EXPORTER_OTLP_PROTOCOL"));
        let foreign = protocol.filter(|protocol| protocol != "http/protobuf").map(|protocol| {
            format!("traces are sent as `http/protobuf`, not `{protocol}`: the collector's HTTP port is usually 4318")
        });
        let mut warnings: Vec<String> = foreign.into_iter().collect();
        let timeout = TIMEOUTS.iter().find_map(|name| Some((name, env(name)?))).and_then(|(name, text)| {
            let milliseconds = text.parse().ok().filter(|milliseconds| *milliseconds > 0);
            if milliseconds.is_none() {
                warnings.push(format!("`{name}` is not a number of milliseconds, so {DEFAULT_TIMEOUT:?} is taken"));
            }
            milliseconds.map(Duration::from_millis)
        });
        let parent = [("traceparent", "TRACEPARENT"), ("tracestate", "TRACESTATE")]
            .into_iter()
            .filter_map(|(key, variable)| Some((key.to_owned(), env(variable)?)));
        Ok(Some(Self {
            endpoint,
            place,
            timeout: timeout.unwrap_or(DEFAULT_TIMEOUT),
            default_name: env("OTEL_SERVICE_NAME").is_none() && !names,
            parent: parent.collect(),
            warnings,
        }))
    }

    /// The context passed on by a pipeline; empty when absent or unreadable.
    pub(super) fn parent(&self) -> Context {
        TraceContextPropagator::new().extract_with_context(&Context::new(), &self.parent)
    }
}

/// Host and port of an `http://` or `https://` URL, without the user and password, which must never be printed.
fn place(endpoint: &str) -> Option<String> {
    let url = reqwest::Url::parse(endpoint).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    let host = url.host_str()?;
    Some(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}
