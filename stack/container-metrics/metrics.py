"""What each container uses, in Prometheus' text format and under the names that cAdvisor gives.

The figures are files of the kernel (control groups v1 or v2). The engine is asked which containers there are, how
often it has restarted them, and which of them met their limit of memory: their group ends with them, its count too.
"""

import http.client
import http.server
import json
import os
import signal
import socket
import sys
import threading
import time
import urllib.parse
from collections import Counter
from collections.abc import Iterator
from typing import Any

CGROUPS = os.environ.get("CGROUPS", "/host/cgroup")
ENGINE = os.environ.get("ENGINE_SOCKET", "/var/run/docker.sock")
PORT = int(os.environ.get("PORT", "9101"))

# What the engine tells of a container.
type Told = dict[str, Any]

# Deeper there are only the groups that a container makes inside of its own.
DEPTH = 4
# What a v1 kernel says where there is no limit is this or a little less.
NO_LIMIT = 1 << 62

HELP = {
    "container_cpu_usage_seconds_total": ("counter", "Processor time."),
    "container_cpu_cfs_periods_total": ("counter", "Periods in which the limit of processors was looked at."),
    "container_cpu_cfs_throttled_periods_total": ("counter", "Of these, those in which the limit was reached."),
    "container_memory_usage_bytes": ("gauge", "Memory, with the page cache."),
    "container_memory_working_set_bytes": ("gauge", "Memory that cannot be taken back: what the limit kills for."),
    "container_spec_memory_limit_bytes": ("gauge", "The limit of memory; none: no sample."),
    "container_oom_events_total": (
        "counter",
        "How often the limit of memory was met by a kill, also by one that ended it.",
    ),
    "container_processes": ("gauge", "Processes and threads."),
    "container_restarts_total": ("counter", "How often the engine has started it again; none of cAdvisor's names."),
}

# Labels of deploy-apps, by the labels that its own metrics have.
LABELS = {"project": "project", "app": "service", "release": "release", "replica": "replica", "role": "role"}


class EngineConnection(http.client.HTTPConnection):
    """HTTP over the engine's socket."""

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(ENGINE)


def ask(path: str) -> bytes:
    connection = EngineConnection("engine", timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        if answer.status != http.HTTPStatus.OK:
            raise OSError(f"the engine answered {answer.status}")
        return answer.read()
    finally:
        connection.close()


def known() -> dict[str, Told]:
    """The containers that run or shall run again, by their identifiers.

    One that falls again and again is between two lives at most times, so `restarting` is as good as running.
    """
    filters = urllib.parse.quote(json.dumps({"status": ["running", "restarting"]}))
    return {container["Id"]: container for container in json.loads(ask(f"/containers/json?filters={filters}"))}


def restarts(container: str) -> int | None:
    try:
        return int(json.loads(ask(f"/containers/{container}/json"))["RestartCount"])
    except OSError:
        # It was removed meanwhile.
        return None


class Kills:
    """How often each container met its limit of memory since this process began, as the engine has noticed."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._since = time.time()
        self._lock = threading.Lock()

    def up_to_now(self) -> Counter[str]:
        filters = urllib.parse.quote(json.dumps({"type": ["container"], "event": ["oom"]}))
        with self._lock:
            until = time.time()
            told = ask(f"/events?since={self._since:.9f}&until={until:.9f}&filters={filters}")
            # Only when it was answered: what a failed question misses is asked for by the next.
            self._since = until
            self._counts.update(json.loads(line)["Actor"]["ID"] for line in told.splitlines())
            return self._counts.copy()


KILLS = Kills()


def groups(controller: str, ids: set[str]) -> dict[str, str]:
    """Where each container's group of this controller is; with v2 there is one tree for all of them.

    Its folder is named after the container: `ID` (driver cgroupfs) or `docker-ID.scope` (systemd), at a place that
    the engine's `--cgroup-parent` decides.
    """
    root = os.path.join(CGROUPS, controller)
    found = {}
    for folder, folders, _ in os.walk(root):
        for name in folders:
            container = name.removeprefix("docker-").removesuffix(".scope")
            if container in ids:
                found[container] = os.path.join(folder, name)
        depth = folder[len(root) :].count(os.sep)
        folders[:] = [] if depth >= DEPTH else [name for name in folders if len(name) < 64]
    return found


def number(group: str, name: str) -> int | None:
    try:
        with open(os.path.join(group, name), encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):
        # It has ended meanwhile, or the file says `max`.
        return None


def table(group: str, name: str) -> dict[str, int]:
    try:
        with open(os.path.join(group, name), encoding="ascii") as file:
            return {key: int(value) for key, value in (line.split() for line in file)}
    except (OSError, ValueError):
        return {}


def version_2(group: str) -> dict[str, float | None]:
    cpu, memory = table(group, "cpu.stat"), table(group, "memory.stat")
    usage = number(group, "memory.current")
    return {
        "container_cpu_usage_seconds_total": cpu["usage_usec"] / 1e6 if "usage_usec" in cpu else None,
        "container_cpu_cfs_periods_total": cpu.get("nr_periods"),
        "container_cpu_cfs_throttled_periods_total": cpu.get("nr_throttled"),
        "container_memory_usage_bytes": usage,
        "container_memory_working_set_bytes": None if usage is None else max(0, usage - memory.get("inactive_file", 0)),
        "container_spec_memory_limit_bytes": number(group, "memory.max"),
        "container_processes": number(group, "pids.current"),
    }


def version_1(by_controller: dict[str, str]) -> dict[str, float | None]:
    usage = number(by_controller.get("memory", ""), "memory.usage_in_bytes")
    limit = number(by_controller.get("memory", ""), "memory.limit_in_bytes")
    memory = table(by_controller.get("memory", ""), "memory.stat")
    cpu = table(by_controller.get("cpu", ""), "cpu.stat")
    used = number(by_controller.get("cpuacct", ""), "cpuacct.usage")
    cached = memory.get("total_inactive_file", 0)
    return {
        "container_cpu_usage_seconds_total": None if used is None else used / 1e9,
        "container_cpu_cfs_periods_total": cpu.get("nr_periods"),
        "container_cpu_cfs_throttled_periods_total": cpu.get("nr_throttled"),
        "container_memory_usage_bytes": usage,
        "container_memory_working_set_bytes": None if usage is None else max(0, usage - cached),
        "container_spec_memory_limit_bytes": limit if limit is not None and limit < NO_LIMIT else None,
        "container_processes": number(by_controller.get("pids", ""), "pids.current"),
    }


def figures(ids: set[str]) -> Iterator[tuple[str, dict[str, float | None]]]:
    if os.path.exists(os.path.join(CGROUPS, "cgroup.controllers")):
        for container, group in groups("", ids).items():
            yield container, version_2(group)
        return
    places = {controller: groups(controller, ids) for controller in ("memory", "cpu", "cpuacct", "pids")}
    for container in ids:
        yield container, version_1({name: found[container] for name, found in places.items() if container in found})


def labels(container: Told) -> str:
    own = container.get("Labels") or {}
    values = {"name": container["Names"][0].lstrip("/"), "id": container["Id"][:12], "image": container["Image"]}
    values |= {label: own[f"deploy-apps.{key}"] for label, key in LABELS.items() if f"deploy-apps.{key}" in own}
    # The release is `7` in every metric, whatever the engine's label says.
    values |= {"release": values["release"].removeprefix("r")} if "release" in values else {}
    escaped = (f'{key}="{value}"' for key, value in values.items() if not set(value) & set('"\\\n'))
    return ",".join(escaped)


def text() -> str:
    containers = known()
    kills = KILLS.up_to_now()
    # A container that is between two lives has no group and no figures, but a count of its lives.
    values: dict[str, dict[str, float | None]] = {
        container: {"container_restarts_total": restarts(container), "container_oom_events_total": kills[container]}
        for container in containers
    }
    for container, used in figures(set(containers)):
        values[container] |= used
    samples: dict[str, list[str]] = {name: [] for name in HELP}
    for container, of_it in values.items():
        for name, value in of_it.items():
            if value is not None:
                samples[name].append(f"{name}{{{labels(containers[container])}}} {value}")
    lines = []
    for name, (kind, what) in HELP.items():
        lines += [f"# HELP {name} {what}", f"# TYPE {name} {kind}", *sorted(samples[name])]
    return "\n".join(lines) + "\n"


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers a scraper, and the healthcheck."""

    def do_GET(self) -> None:
        if self.path == "/healthz":
            self.answer(200, "ok\n")
        elif self.path == "/metrics":
            try:
                self.answer(200, text())
            except (OSError, ValueError, http.client.HTTPException) as problem:
                self.answer(503, f"cannot ask the engine: {problem}\n")
        else:
            self.answer(404, "not found\n")

    def answer(self, status: int, body: str) -> None:
        data = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Says nothing: a line for each scrape is of no use to anybody."""


if __name__ == "__main__":
    # Process 1 has no default action for SIGTERM: without this a stop would take the whole grace period.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    http.server.ThreadingHTTPServer(("", PORT), Handler).serve_forever()
