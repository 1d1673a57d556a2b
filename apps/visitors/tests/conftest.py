"""A real PostgreSQL for the tests, in a folder of its own and on a socket only."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from sqlalchemy import URL, Engine, text

from visitors.counting import Counter
from visitors.database import Watch, connect
from visitors.migrate import migrate
from visitors.settings import Settings
from visitors.web import create_app

BIN = Path("/usr/lib/postgresql/17/bin")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[URL]:
    folder = tmp_path_factory.mktemp("postgres")
    data, sockets = folder / "data", folder / "s"
    sockets.mkdir()
    subprocess.run([BIN / "initdb", "--username=visitors", "--auth=trust", "-D", data], check=True, capture_output=True)
    options = f"-c listen_addresses='' -c unix_socket_directories={sockets} -c fsync=off"
    start: list[str | Path] = [BIN / "pg_ctl", "-D", data, "-w", "-l", folder / "log", "-o", options, "start"]
    # Not captured: the server would inherit the pipe, whose end never comes then.
    subprocess.run(start, check=True, stdout=subprocess.DEVNULL)
    yield URL.create("postgresql+psycopg", "visitors", query={"host": str(sockets)}, database="postgres")
    subprocess.run([BIN / "pg_ctl", "-D", data, "-m", "immediate", "stop"], check=True, capture_output=True)


@pytest.fixture
def empty(server: URL) -> Iterator[URL]:
    """Give the database without any table."""
    engine = connect(server, pool_size=1)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    yield server
    engine.dispose()


@pytest.fixture
def engine(empty: URL) -> Iterator[Engine]:
    """Give the database with this version's schema."""
    migrate(empty)
    made = connect(empty)
    yield made
    made.dispose()


@pytest.fixture
def watch(engine: Engine) -> Watch:
    """Give a watch that has asked once; nothing asks behind a test's back."""
    made = Watch(engine)
    made.probe()
    return made


@pytest.fixture
def client(engine: Engine, watch: Watch) -> FlaskClient:
    settings = Settings(engine.url, "Ada Lovelace", "https://ada.example")
    return create_app(settings, Counter(engine), watch).test_client()
