"""Pages: what visitors, programs and probes are told."""

import json
import logging
from collections.abc import Sequence
from uuid import UUID

import pytest
from flask.testing import FlaskClient
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from sqlalchemy import Engine, text

from visitors.counting import Counter
from visitors.database import STALE_AFTER, State, Watch, connect
from visitors.logs import JsonFormatter
from visitors.settings import Settings
from visitors.tracing import trace_requests
from visitors.web import create_app


def figures(client: FlaskClient) -> dict[str, int]:
    answer = client.get("/figures")
    assert answer.status_code == 200
    found: dict[str, int] = answer.get_json()
    return found


def test_a_visitor_is_known_by_the_cookie(client: FlaskClient) -> None:
    answer = client.get("/")
    assert answer.status_code == 200
    assert "Welcome, <b>visitor 1</b>." in answer.text
    assert '<a href="https://ada.example" rel="noopener">Ada Lovelace</a>' in answer.text
    cookie = client.get_cookie("visitor")
    assert cookie
    assert cookie.http_only
    assert UUID(cookie.value)
    assert answer.headers["Cache-Control"] == "no-store"
    for time in ("2nd", "3rd", "4th"):
        assert f"for the <b>{time} time</b>" in client.get("/").text


@pytest.mark.parametrize("cookie", ["", "me", "'; DROP TABLE visitors; --", "0" * 31, "é"])
def test_a_cookie_that_is_none_of_ours_is_a_new_visitor(client: FlaskClient, cookie: str) -> None:
    client.set_cookie("visitor", cookie)
    assert "Welcome, <b>visitor" in client.get("/").text
    assert figures(client) == {"visits": 1, "visitors": 1, "today": 1, "new_today": 1}


def test_only_a_look_at_the_page_is_a_visit(client: FlaskClient) -> None:
    for path in ("/figures", "/version", "/healthz", "/metrics"):
        assert client.get(path).status_code == 200
    assert client.get("/nowhere").status_code == 404
    assert client.post("/").status_code == 405
    assert figures(client)["visits"] == 0


def test_version(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPLOY_APPS_VERSION", "1.2.0+7")
    monkeypatch.setenv("DEPLOY_APPS_RELEASE", "r7")
    assert client.get("/version").get_json() == {
        "app": "visitors",
        "version": "1.2.0+7",
        "release": "r7",
        "replica": "",
    }
    assert "visitors 1.2.0+7" in client.get("/").text


def test_metrics(client: FlaskClient) -> None:
    client.get("/")
    client.get("/some/path")
    told = client.get("/metrics").text
    assert 'http_requests_total{method="GET",route="/",status="200"}' in told
    assert 'http_requests_total{method="GET",route="none",status="404"}' in told
    assert 'http_request_duration_seconds_bucket{le="0.005",method="GET",route="/"}' in told
    assert 'database_query_duration_seconds_count{query="record"}' in told
    assert "some/path" not in told


def test_an_outage_is_told_but_takes_nobody_out_of_service(
    client: FlaskClient, engine: Engine, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert client.get("/healthz").get_json() == {"status": "ok", "database": "answers"}
    # A server that hangs: the probe's last answer grows old.
    monkeypatch.setattr(watch, "_answered", watch._answered - STALE_AFTER)  # noqa: SLF001
    health = client.get("/healthz")
    assert (health.status_code, health.get_json()["database"]) == (200, "does not answer")
    answer = client.get("/")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    assert "Nobody is counted right now." in answer.text
    assert "database_up 0.0" in client.get("/metrics").text
    watch.probe()
    assert client.get("/").status_code == 200

    # A schema that this version does not know, met by a replica that serves, and by one that starts.
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE visitors RENAME COLUMN last_seen TO seen"))
    assert client.get("/").status_code == 503, "before the watch knows"
    watch.probe()
    assert client.get("/healthz").get_json() == {"status": "ok", "database": "has another schema"}
    assert client.get("/").status_code == 503
    monkeypatch.setattr(watch, "ready", False)
    watch.probe()
    health = client.get("/healthz")
    assert (health.status_code, health.get_json()["status"]) == (503, "starting")


def test_a_database_that_is_away(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    url = watch._engine.url.update_query_dict({"host": "/nowhere"})  # noqa: SLF001
    away = Watch(connect(url))
    assert away.state is State.UNKNOWN
    away.probe()
    assert (away.state, away.ready) == (State.SILENT, False)
    monkeypatch.setattr("time.sleep", lambda _: (_ for _ in ()).throw(SystemExit))
    with pytest.raises(SystemExit):
        away._run()  # noqa: SLF001


def test_logs_are_json(client: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    client.get("/version?secret=1", headers={"X-Request-ID": "id-1"})
    client.get("/healthz")
    logging.getLogger("visitors").warning("careful")
    *_, line, careful = [json.loads(JsonFormatter().format(record)) for record in caplog.records]
    assert (line["level"], line["message"], line["status"], line["app"]) == ("info", "request", 200, "visitors")
    assert (line["method"], line["path"], line["route"], line["request_id"]) == ("GET", "/version", "/version", "id-1")
    assert 0 < line["duration"] < 1, "seconds"
    assert "trace_id" not in line
    assert careful["level"] == "warn"


def test_a_request_and_its_statements_are_part_of_the_trace_that_it_names(
    engine: Engine, watch: Watch, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    said: list[str] = []
    # Formatted while the request is open, as the handler of the real log does.
    monkeypatch.setattr(caplog.handler, "emit", lambda record: said.append(JsonFormatter().format(record)))
    # Nobody listens there, and nobody is disturbed by that.
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    app = create_app(Settings(engine.url, "Ada", "https://ada.example"), Counter(engine), watch)
    trace_requests(app, engine)
    ended: list[ReadableSpan] = []
    provider = trace.get_tracer_provider()
    assert isinstance(provider, TracerProvider)
    processor = SimpleSpanProcessor(Kept(ended))
    provider.add_span_processor(processor)
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    assert app.test_client().get("/", headers={"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"}).status_code == 200
    (line,) = [json.loads(line) for line in said if '"route"' in line]
    assert (line["trace_id"], len(line["span_id"])) == (trace_id, 16)
    found = {span.name: trace.format_trace_id(span.context.trace_id) for span in ended if span.context}
    assert {name.split()[0] for name in found} >= {"GET", "INSERT", "SELECT"}
    assert set(found.values()) == {trace_id}


def test_without_a_collector_the_log_still_names_the_callers_trace(
    engine: Engine, watch: Watch, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    said: list[str] = []
    monkeypatch.setattr(caplog.handler, "emit", lambda record: said.append(JsonFormatter().format(record)))
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    app = create_app(Settings(engine.url, "Ada", "https://ada.example"), Counter(engine), watch)
    trace_requests(app, engine)
    caller = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    client = app.test_client()
    assert client.get("/version", headers={"traceparent": caller}).headers["traceresponse"] == caller
    assert "traceresponse" not in client.get("/version").headers
    lines = [json.loads(line) for line in said if '"route"' in line]
    assert [line.get("trace_id") for line in lines] == ["4bf92f3577b34da6a3ce929d0e0e4736", None]


class Kept(SpanExporter):
    """Spans in memory, as they ended."""

    def __init__(self, ended: list[ReadableSpan]) -> None:
        self._ended = ended

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self._ended.extend(spans)
        return SpanExportResult.SUCCESS
