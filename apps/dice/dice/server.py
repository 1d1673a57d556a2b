"""Gunicorn's settings and the app that it serves."""

import os
from typing import TYPE_CHECKING

from . import logs
from .web import create_app

if TYPE_CHECKING:
    from flask import Flask

bind = f"0.0.0.0:{os.environ.get('PORT', '8000')}"
# One process: prometheus-flask-exporter counts in memory, so with two of them each scrape would meet one by chance and
# see counters fall. Its multi-process mode shares files instead, which outlive their process and add up wrong gauges.
workers = 1
worker_class = "gthread"
threads = 8
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
    """Put it together; called in the worker, since the exporter's thread of spans does not survive a fork."""
    return create_app()
