"""Visits and figures as requests need them: never slower than the database's limits, and measured."""

import threading
import time
from uuid import UUID

from prometheus_client import Gauge, Histogram
from sqlalchemy import Engine

from . import store

# Each replica counts everybody at most once a second, however many ask.
FRESH_FOR = 1.0

queries = Histogram("database_query_duration_seconds", "Time that a statement took, with its commit.", ["query"])
visits_gauge = Gauge("visitors_visits", "Visits so far, as last counted by this replica.")
visitors_gauge = Gauge("visitors_unique", "Unique visitors so far, as last counted by this replica.")


class Counter:
    """Counts visits, and remembers the figures for a moment."""

    def __init__(self, engine: Engine) -> None:
        """Nothing is asked yet."""
        self._engine = engine
        self._counting = threading.Lock()
        self._figures: store.Figures | None = None
        self._counted = float("-inf")

    def record(self, visitor: UUID) -> int:
        """Count a visit and give the visitor's number of visits."""
        with queries.labels("record").time():
            return store.record(self._engine, visitor)

    def figures(self) -> store.Figures:
        """Give the figures, at most a second old; while one thread counts, the others take what there is."""
        known = self._figures
        if known and time.monotonic() - self._counted < FRESH_FOR:
            return known
        if not self._counting.acquire(blocking=known is None) and known:
            return known
        try:
            with queries.labels("figures").time():
                found = store.figures(self._engine)
            self._figures, self._counted = found, time.monotonic()
        finally:
            self._counting.release()
        visits_gauge.set(found.visits)
        visitors_gauge.set(found.visitors)
        return found
