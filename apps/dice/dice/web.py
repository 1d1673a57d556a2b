"""The pages, and what each request leaves behind: a metric, a line in the log and, with a collector, a span."""

import logging
import os
import secrets
import time

from flask import Flask, Response, g, jsonify, request
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from prometheus_client import CollectorRegistry
from prometheus_flask_exporter import NO_PREFIX, PrometheusMetrics

from . import identity

log = logging.getLogger(__name__)

SIDES = 6
# Asked every second by machines; in logs and traces they would bury the players.
UNTOLD = {"/healthz", "/metrics"}


def create_app() -> Flask:
    """Put the app together."""
    app = Flask(__name__)
    tell(app)

    @app.get("/")
    def roll() -> dict[str, int]:
        # The system's own randomness: nobody can compute the next roll from the last ones.
        return {"roll": secrets.randbelow(SIDES) + 1}

    @app.get("/version")
    def version() -> Response:
        return jsonify(identity.as_dict())

    @app.get("/healthz")
    def healthz() -> str:
        return "ok\n"

    # Last: it measures the pages that are there.
    measure(app)
    return app


def measure(app: Flask) -> None:
    """Count and time requests under the names that all apps share.

    The exporter's own defaults call them otherwise, with the path as a label: each path that a stranger types would be
    a series. So they are off, and these take the rule that matched.
    """
    # A registry for each app, so that tests may make several.
    metrics = PrometheusMetrics(
        app, defaults_prefix=NO_PREFIX, export_defaults=False, registry=CollectorRegistry(), group_by="url_rule"
    )
    labels = {"method": lambda: request.method, "route": route}
    counter = metrics.counter(
        "http_requests", "Requests answered.", labels={**labels, "status": lambda answer: answer.status_code}
    )
    histogram = metrics.histogram("http_request_duration_seconds", "Time until the answer was ready.", labels=labels)
    metrics.register_default(counter, histogram, app=app)


def route() -> str:
    """Give the rule that matched, never what was typed."""
    return request.url_rule.rule if request.url_rule else "none"


def tell(app: Flask) -> None:
    """Log each request, and trace it when there is a collector."""

    @app.before_request
    def begin() -> None:
        g.began = time.perf_counter()

    @app.after_request
    def finish(response: Response) -> Response:
        if request.path not in UNTOLD:
            took = round((time.perf_counter() - g.began) * 1000, 2)
            fields = {"method": request.method, "path": request.path, "status": response.status_code}
            log.info("%s %s", request.method, route(), extra={"fields": {**fields, "duration_ms": took}})
        return response

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
