"""What each request leaves behind: a metric, a line in the log and, when there is a collector, a span."""

import logging
import os
import time
from typing import TYPE_CHECKING

from flask import Flask, Response, g, request
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from prometheus_client import Counter, Histogram

from . import identity

if TYPE_CHECKING:
    from sqlalchemy import Engine

log = logging.getLogger(__name__)

# Asked every second by machines; in logs and traces they would bury the visitors.
UNTOLD = {"/healthz", "/metrics"}

requests_total = Counter("http_requests", "Requests answered.", ["method", "route", "status"])
durations = Histogram("http_request_duration_seconds", "Time until the answer was ready.", ["method", "route"])


def observe(app: Flask) -> None:
    """Measure and log each request of this app."""

    @app.before_request
    def begin() -> None:
        g.began = time.perf_counter()

    @app.after_request
    def finish(response: Response) -> Response:
        took = time.perf_counter() - g.began
        # The rule, not the path: what strangers type must not become series.
        route = request.url_rule.rule if request.url_rule else "none"
        requests_total.labels(request.method, route, response.status_code).inc()
        durations.labels(request.method, route).observe(took)
        if request.path not in UNTOLD:
            fields = {
                "method": request.method,
                "path": request.path,
                "status": response.status_code,
                "duration_ms": round(took * 1000, 2),
            }
            log.info("%s %s", request.method, route, extra={"fields": fields})
        return response


def trace_to_collector(app: Flask, engine: "Engine") -> None:
    """Send spans of requests and statements by OTLP; without an endpoint there is nobody to send them to."""
    if not os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or os.environ.get("OTEL_SDK_DISABLED") == "true":
        return
    known = identity.as_dict()
    resource = Resource.create(
        {
            "service.name": known["app"],
            "service.version": known["version"],
            "service.instance.id": f"{known['release']}-{known['replica']}",
            "deploy.release": known["release"],
        }
    )
    provider = TracerProvider(resource=resource)
    # Short: a collector that is away must not hold up the end of the process, which flushes what is left.
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(timeout=3)))
    trace.set_tracer_provider(provider)
    instrument = FlaskInstrumentor().instrument_app
    instrument(app, excluded_urls="healthz,metrics")  # type: ignore[no-untyped-call] # it has no types of its own
    # Statements with placeholders; values are never part of a span.
    SQLAlchemyInstrumentor().instrument(engine=engine)
