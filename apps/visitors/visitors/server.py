"""Gunicorn's settings and the app that it serves."""

import os
from typing import TYPE_CHECKING

from . import logs
from .counting import Counter
from .database import Watch, connect
from .settings import Settings
from .tracing import trace_requests
from .web import create_app

if TYPE_CHECKING:
    from flask import Flask

bind = f"0.0.0.0:{os.environ.get('PORT', '8000')}"
# One process: two would each have metrics of their own behind one /metrics, and each scrape would meet one of them by
# chance. What needs more than one core takes more replicas, which are measured apart.
workers = 1
worker_class = "gthread"
threads = 16
# Above the second after which the proxy lets an idle connection go: the side that reuses it must be the one that closes
# it, else a request could meet the close on its way.
keepalive = 75
# A replica is drained before it is stopped, so this is for those who stop it by hand; it fits into stop_grace_period.
graceful_timeout = 8
# The heartbeat is a file, and the root file system is read-only.
worker_tmp_dir = "/dev/shm"  # noqa: S108 # memory, as gunicorn's own documentation has it
control_socket_disable = True
logconfig_dict = logs.CONFIG


def app() -> "Flask":
    """Put it all together; called in the worker, since threads and connections do not survive a fork."""
    settings = Settings.read()
    engine = connect(settings.database)
    # The probe has a connection of its own: it must tell a slow database from a full pool, and leave no spans.
    watch = Watch(connect(settings.database, pool_size=1))
    made = create_app(settings, Counter(engine), watch)
    trace_requests(made, engine)
    watch.start()
    return made
