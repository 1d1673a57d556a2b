//! Exports finished spans: a thread of the SDK, and an exporter that remembers its last error.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, RetryPolicy, SpanExporter as OtlpExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, SdkTracer, SdkTracerProvider, SpanData, SpanExporter,
};

use super::settings::Settings;
use crate::ports::innermost;

/// How long the end of a run waits for the last export. Short, because a person waits too.
pub const FLUSH_LIMIT: Duration = Duration::from_secs(1);
/// Interval between exports, so that the trace of a killed run is almost complete.
const EVERY: Duration = Duration::from_secs(1);
/// Above the spans of the largest run; further spans are dropped and never block the run.
const QUEUE: usize = 32_768;

pub(super) struct Export {
    provider: SdkTracerProvider,
    place: String,
    failure: Reason,
}

/// A reason shared by the place where an export fails and the place that reports it.
#[derive(Debug, Clone, Default)]
pub(super) struct Reason(Arc<Mutex<Option<String>>>);

impl Reason {
    fn set(&self, reason: Option<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = reason;
    }

    fn get(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Records why the export failed; the exporter itself only says `network error`.
#[derive(Debug)]
struct Client {
    inner: reqwest::blocking::Client,
    /// Error of the last try.
    cause: Reason,
}

impl Client {
    fn new(timeout: Duration, cause: &Reason) -> Result<Self, String> {
        // The client has its own runtime, which cannot be created on a thread of another runtime.
        let made = std::thread::spawn(move || reqwest::blocking::Client::builder().timeout(timeout).build()).join();
        match made {
            Ok(Ok(inner)) => Ok(Self { inner, cause: cause.clone() }),
            Ok(Err(error)) => Err(format!("no trace is exported: {}", innermost(&error))),
            Err(_) => Err("no trace is exported: its thread died".to_owned()),
        }
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let sent = self.inner.send_bytes(request).await;
        self.cause.set(sent.as_ref().err().map(|error| innermost(error.as_ref())));
        sent
    }
}

impl Export {
    pub(super) fn over_http(settings: &Settings) -> Result<Self, String> {
        let cause = Reason::default();
        let exporter = OtlpExporter::builder()
            .with_http()
            .with_http_client(Client::new(settings.timeout, &cause)?)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(&settings.endpoint)
            .with_timeout(settings.timeout)
            // More retries would only use up the time of the last flush.
            .with_retry_policy(RetryPolicy::recommended().with_max_retries(1))
            .build()
            .map_err(|error| format!("no trace is exported: {error}"))?;
        Ok(Self::new(exporter, settings, cause))
    }

    pub(super) fn new(exporter: impl SpanExporter + 'static, settings: &Settings, cause: Reason) -> Self {
        let failure = Reason::default();
        let watched = Watched { inner: exporter, cause, failure: failure.clone() };
        let batches = BatchConfigBuilder::default().with_scheduled_delay(EVERY).with_max_queue_size(QUEUE).build();
        let processor = BatchSpanProcessor::builder(watched).with_batch_config(batches).build();
        let mut resource =
            Resource::builder().with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
        if settings.default_name {
            resource = resource.with_service_name("deploy-apps");
        }
        let provider =
            SdkTracerProvider::builder().with_resource(resource.build()).with_span_processor(processor).build();
        Self { provider, place: settings.place.clone(), failure }
    }

    pub(super) fn tracer(&self) -> SdkTracer {
        let scope = InstrumentationScope::builder("deploy-apps").with_version(env!("CARGO_PKG_VERSION")).build();
        self.provider.tracer_with_scope(scope)
    }

    pub(super) fn flush(&self) -> Result<(), String> {
        let ended = self.provider.shutdown_with_timeout(FLUSH_LIMIT);
        // Shutdown reports success even when nothing could be sent.
        let reason = match (ended, self.failure.get()) {
            (Ok(()), None) => return Ok(()),
            (_, Some(reason)) => reason,
            // No export has failed, so one is still in progress.
            (Err(_), None) => format!("no answer within {FLUSH_LIMIT:?}"),
        };
        Err(format!("the trace was not exported to `{}`: {reason}", self.place))
    }
}

#[derive(Debug)]
struct Watched<E> {
    inner: E,
    /// The cause of the failure, which the exporter's own error does not contain.
    cause: Reason,
    failure: Reason,
}

impl<E: SpanExporter> SpanExporter for Watched<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let result = self.inner.export(batch).await;
        if let Err(error) = &result {
            self.failure.set(self.cause.get().or_else(|| Some(error.to_string())));
        }
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}
