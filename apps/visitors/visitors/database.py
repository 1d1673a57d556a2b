"""How the database is reached, and what is known about it without asking."""

import logging
import threading
import time
from enum import StrEnum

from sqlalchemy import URL, Engine, create_engine
from sqlalchemy.exc import ProgrammingError, SQLAlchemyError

from . import store

log = logging.getLogger(__name__)

# Fewer than the server's threads: while PostgreSQL hangs, the others still answer health checks.
POOL_SIZE = 4
PROBE_EVERY = 1.0
# An answer that is older counts as none. Above the probe's own limits, so one slow answer is no outage.
STALE_AFTER = 6.0


def connect(url: URL, pool_size: int = POOL_SIZE) -> Engine:
    """Make an engine whose every wait has an end."""
    return create_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=12,
        # A connection that died with the server is replaced before a visitor meets it.
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args={
            "connect_timeout": 3,
            # Longer than a migration can hold its locks: a visitor waits for it and gets no error.
            "options": "-c statement_timeout=15s -c lock_timeout=12s",
            # A server that is gone without a word, as after a cut cable, is given up by the kernel after 5 s.
            "tcp_user_timeout": 5000,
            "keepalives_idle": 5,
            "application_name": "visitors",
        },
    )


class State(StrEnum):
    """What the last probe met."""

    UNKNOWN = "not asked yet"
    ANSWERS = "answers"
    SILENT = "does not answer"
    FOREIGN = "has another schema"


class Watch:
    """Asks the database every second on a thread of its own, so that nobody waits who only wants to know.

    An outage must not take replicas out of service: all of them share the one database, so with the first they would
    all be gone, and a slow page would become no page. Only a replica that has never reached a database with its schema
    is not ready. So a release that cannot work gets no traffic, and no rollback goes behind a contracted schema.
    """

    def __init__(self, engine: Engine) -> None:
        """Nothing is asked before `start`."""
        self._engine = engine
        self._state = State.UNKNOWN
        self._answered = float("-inf")
        self.ready = False

    def start(self) -> None:
        """Begin to ask, until the process ends."""
        threading.Thread(target=self._run, name="database-watch", daemon=True).start()

    @property
    def state(self) -> State:
        """What is known; a probe that hangs, as on a paused server, makes the last answer stale."""
        if self._state is State.ANSWERS and time.monotonic() - self._answered > STALE_AFTER:
            return State.SILENT
        return self._state

    def probe(self) -> None:
        """Ask once."""
        try:
            store.fits(self._engine)
        except ProgrammingError:
            self._become(State.FOREIGN)
        except SQLAlchemyError:
            self._become(State.SILENT)
        else:
            self._answered = time.monotonic()
            self.ready = True
            self._become(State.ANSWERS)

    def _become(self, state: State) -> None:
        if state is not self._state:
            level = logging.INFO if state is State.ANSWERS else logging.WARNING
            log.log(level, "the database %s", state)
        self._state = state

    def _run(self) -> None:
        while True:
            self.probe()
            time.sleep(PROBE_EVERY)
