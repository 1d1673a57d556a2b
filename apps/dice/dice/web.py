"""The pages, and what each request leaves behind: a metric, a line in the log and, with a collector, a span."""

import logging
import secrets
import time

from flask import Flask, Response, g, jsonify, request
from prometheus_client import CollectorRegistry
from prometheus_flask_exporter import NO_PREFIX, PrometheusMetrics

from . import identity
from .tracing import trace_requests

log = logging.getLogger(__name__)

SIDES = 6
# Asked every second by machines; in logs and traces they would bury the players.
UNTOLD = {"/healthz", "/metrics"}


def create_app() -> Flask:
    """Put the app together."""
    app = Flask(__name__)
    trace_requests(app)
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
    """Log each request."""

    @app.before_request
    def begin() -> None:
        g.began = time.perf_counter()

    @app.after_request
    def finish(response: Response) -> Response:
        if request.path not in UNTOLD:
            fields = {
                "method": request.method,
                "path": request.path,
                "route": route(),
                "status": response.status_code,
                "duration": round(time.perf_counter() - g.began, 6),
                "request_id": request.headers.get("X-Request-ID", ""),
            }
            log.info("request", extra={"fields": fields})
        return response
