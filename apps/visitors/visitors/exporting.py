"""Spans on their way to a collector, by OTLP."""

from typing import TYPE_CHECKING

from flask import Flask
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from . import identity

if TYPE_CHECKING:
    from sqlalchemy import Engine


def export_spans(app: Flask, engine: "Engine") -> None:
    """Send a span of each request and statement to whom the standard variables name."""
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
