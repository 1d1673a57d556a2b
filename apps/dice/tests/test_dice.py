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
    client.get("/")
    client.get("/healthz")
    lines = [json.loads(JsonFormatter().format(record)) for record in caplog.records]
    (line,) = [line for line in lines if "path" in line]
    assert (line["level"], line["message"], line["status"], line["app"]) == ("info", "GET /", 200, "dice")


def test_a_request_is_part_of_the_trace_that_it_names(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    said: list[str] = []
    # Formatted while the request is open, as the handler of the real log does.
    monkeypatch.setattr(caplog.handler, "emit", lambda record: said.append(JsonFormatter().format(record)))
    # Nobody listens there, and nobody is disturbed by that.
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    client = web.create_app().test_client()
    assert client.get("/", headers={"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"}).status_code == 200
    assert [json.loads(line).get("trace_id") for line in said if "GET /" in line] == [trace_id]
