//! The way out for finished spans: a thread of the SDK, and an exporter that remembers whether it failed.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{Protocol, RetryPolicy, SpanExporter as OtlpExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, SdkTracer, SdkTracerProvider, SpanData, SpanExporter,
};

use super::Settings;

/// How long the end of a run waits for its last spans to leave. A person waits as well.
pub const FLUSH_LIMIT: Duration = Duration::from_secs(1);
/// Spans that have ended leave this soon, so that a run which dies is seen up to there.
const EVERY: Duration = Duration::from_secs(1);
/// Above the spans of the largest run; more than that are dropped, and never block the run.
const QUEUE: usize = 32_768;

pub(super) struct Export {
    provider: SdkTracerProvider,
    place: String,
    /// Why the last export that failed did.
    failure: Arc<Mutex<Option<String>>>,
}

impl Export {
    pub(super) fn over_http(settings: &Settings) -> Result<Self, String> {
        let exporter = OtlpExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(&settings.endpoint)
            // More retries would only use up the time that the last flush has.
            .with_retry_policy(RetryPolicy::recommended().with_max_retries(1))
            .build()
            .map_err(|error| format!("no trace is exported: {error}"))?;
        Ok(Self::new(exporter, settings))
    }

    pub(super) fn new(exporter: impl SpanExporter + 'static, settings: &Settings) -> Self {
        let failure = Arc::new(Mutex::new(None));
        let watched = Watched { inner: exporter, failure: Arc::clone(&failure) };
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
        // Shutting down says that all is well also when nothing could be sent.
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let reason = match (ended, failure) {
            (Ok(()), None) => return Ok(()),
            (_, Some(reason)) => reason,
            // No export has failed, so one is still under way.
            (Err(_), None) => format!("no answer within {FLUSH_LIMIT:?}"),
        };
        Err(format!("the trace was not exported to `{}`: {reason}", self.place))
    }
}

#[derive(Debug)]
struct Watched<E> {
    inner: E,
    failure: Arc<Mutex<Option<String>>>,
}

impl<E: SpanExporter> SpanExporter for Watched<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let result = self.inner.export(batch).await;
        if let Err(error) = &result {
            *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
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
