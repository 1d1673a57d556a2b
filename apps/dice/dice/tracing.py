"""Which trace a request belongs to, and who is told of its spans."""

import os

from flask import Flask, Response, g, request
from opentelemetry import context, trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator


def trace_requests(app: Flask) -> None:
    """Give each request its trace: a span of its own where there is a collector, else what the caller has sent."""
    if os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") and os.environ.get("OTEL_SDK_DISABLED") != "true":
        # Loaded only where it is used: it takes nearly as long as all the rest of the start.
        from .exporting import export_spans  # noqa: PLC0415

        export_spans(app)
    else:
        join_traces(app)

    @app.after_request
    def say(response: Response) -> Response:
        span = trace.get_current_span().get_span_context()
        if span.is_valid:
            # The proxy logs it. So its line leads to the trace as well, also when the client has not begun one.
            ids = f"{trace.format_trace_id(span.trace_id)}-{trace.format_span_id(span.span_id)}"
            response.headers["traceresponse"] = f"00-{ids}-{span.trace_flags:02x}"
        return response


def join_traces(app: Flask) -> None:
    """Let lines of the log name the caller's trace although nothing is exported from here."""
    propagator = TraceContextTextMapPropagator()

    @app.before_request
    def join() -> None:
        g.joined = context.attach(propagator.extract(request.headers))

    @app.teardown_request
    def leave(_: BaseException | None) -> None:
        if token := g.pop("joined", None):
            context.detach(token)
