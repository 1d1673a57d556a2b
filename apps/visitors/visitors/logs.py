"""Logs as one JSON object a line, so that programs find what belongs together."""

import json
import logging
import os
from datetime import UTC, datetime
from typing import Any

from opentelemetry import trace

from . import identity

# Python's levels by the names that all apps have for them.
LEVELS = {"DEBUG": "debug", "INFO": "info", "WARNING": "warn", "ERROR": "error", "CRITICAL": "error"}
WANTED = os.environ.get("LOG_LEVEL", "")
LOWEST = next((level for level, name in LEVELS.items() if name == WANTED), "INFO")


class JsonFormatter(logging.Formatter):
    """A record with who wrote it, the trace it belongs to, and the fields that it was given."""

    def format(self, record: logging.LogRecord) -> str:
        """Put it on one line; JSON escapes the line breaks of a traceback."""
        entry: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": LEVELS[record.levelname],
            "message": record.getMessage(),
            **identity.as_dict(),
        }
        span = trace.get_current_span().get_span_context()
        if span.is_valid:
            entry["trace_id"] = trace.format_trace_id(span.trace_id)
            entry["span_id"] = trace.format_span_id(span.span_id)
        entry.update(getattr(record, "fields", {}))
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


# For gunicorn too, whose own lines would else be of another form.
CONFIG: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": JsonFormatter}},
    "handlers": {"stdout": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout", "formatter": "json"}},
    "root": {"level": LOWEST, "handlers": ["stdout"]},
    "loggers": {"gunicorn.error": {"level": LOWEST, "handlers": [], "propagate": True}},
}
