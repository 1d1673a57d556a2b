"""The die: what it shows, and what it tells of itself."""

import json
import logging
from collections import Counter

import pytest
from flask.testing import FlaskClient

from dice import web
from dice.logs import JsonFormatter


@pytest.fixture
def client() -> FlaskClient:
    return web.create_app().test_client()


def test_each_side_comes_up_and_no_other(client: FlaskClient) -> None:
    rolls = Counter(client.get("/").get_json()["roll"] for _ in range(600))
    # A side that is missing in 600 rolls of a fair die: once in 10^46 runs.
    assert set(rolls) == {1, 2, 3, 4, 5, 6}


def test_version(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPLOY_APPS_VERSION", "1.0.0+3")
    monkeypatch.setenv("DEPLOY_APPS_RELEASE", "r3")
    assert client.get("/version").get_json() == {"app": "dice", "version": "1.0.0+3", "release": "r3", "replica": ""}


def test_metrics_have_no_series_that_a_stranger_could_make(client: FlaskClient) -> None:
    client.get("/")
    assert client.get("/some/path").status_code == 404
    assert client.get("/healthz").status_code == 200
    told = client.get("/metrics").text
    assert 'http_requests_total{method="GET",route="/",status="200"} 1.0' in told
    assert 'http_request_duration_seconds_count{method="GET",route="/"} 1.0' in told
    assert "some/path" not in told


def test_logs_are_json(client: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    client.get("/?secret=1", headers={"X-Request-ID": "id-1"})
    client.get("/healthz")
    logging.getLogger("dice").warning("careful")
    *_, line, careful = [json.loads(JsonFormatter().format(record)) for record in caplog.records]
    assert (line["level"], line["message"], line["status"], line["app"]) == ("info", "request", 200, "dice")
    assert (line["method"], line["path"], line["route"], line["request_id"]) == ("GET", "/", "/", "id-1")
    assert 0 < line["duration"] < 1, "seconds"
    assert careful["level"] == "warn"


@pytest.mark.parametrize("endpoint", ["", "http://127.0.0.1:9"], ids=["nobody listens", "a collector that is away"])
def test_a_request_is_part_of_the_trace_that_it_names(
    endpoint: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    said: list[str] = []
    # Formatted while the request is open, as the handler of the real log does.
    monkeypatch.setattr(caplog.handler, "emit", lambda record: said.append(JsonFormatter().format(record)))
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    client = web.create_app().test_client()
    answer = client.get("/", headers={"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"})
    assert answer.headers["traceresponse"].startswith(f"00-{trace_id}-")
    (line,) = [json.loads(line) for line in said if '"route"' in line]
    assert line["trace_id"] == trace_id
    assert answer.headers["traceresponse"].split("-")[2] == line["span_id"]
