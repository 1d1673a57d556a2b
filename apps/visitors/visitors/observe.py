"""What each request leaves behind: a metric and a line in the log; tracing.py adds its trace."""

import logging
import time

from flask import Flask, Response, g, request
from prometheus_client import Counter, Histogram

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
                "route": route,
                "status": response.status_code,
                "duration": round(took, 6),
                "request_id": request.headers.get("X-Request-ID", ""),
            }
            log.info("request", extra={"fields": fields})
        return response
